package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// splits measures one split over a growing number of workers: with one, it
// stays in its execution.
func (f *fleet) splits(ctx context.Context) error {
	calls := max(f.split/10, 1)
	computing, err := f.server.Create(ctx, splitOf(f.split, 100, object{"kind": "set", "config": object{"values": object{"n": "{{ item * 2 }}"}}}))
	if err != nil {
		return err
	}
	calling, err := f.server.Create(ctx, splitOf(calls, 100, object{"kind": "http-request", "config": object{"method": "POST", "url": f.address}}))
	if err != nil {
		return err
	}
	fmt.Printf("| workers | %d items that compute | CPU of workers and PostgreSQL | CPU of each worker | %d calls of 50 ms, 100 at a time |\n|---|---|---|---|---|\n", f.split, calls)
	for range f.most {
		if err := f.another(ctx); err != nil {
			return err
		}
		busy, spent, each, err := f.timed(ctx, computing, f.split, true)
		if err != nil {
			return err
		}
		idle, _, _, err := f.timed(ctx, calling, calls, false)
		if err != nil {
			return err
		}
		fmt.Printf("| %d | %.0f ms | %.0f ms | %v | %.0f ms |\n", len(f.workers), busy.Seconds()*1000, spent.Seconds()*1000, each, idle.Seconds()*1000)
	}
	return nil
}

// splitOf is a split of so many items with a body of one node.
func splitOf(items, parallel int, body object) object {
	body["id"], body["parent_id"] = "work", "each"
	return object{"name": "Split", "nodes": []object{{"id": "start", "kind": "manual-trigger"},
		{"id": "each", "kind": "split", "config": object{"items": fmt.Sprintf("{{ 1..%d }}", items), "parallel": parallel}}, body},
		"connections": []object{{"source": "start", "target": "each"}}}
}

// timed runs a split five times and returns the median of its durations, and
// what the last run has cost. Each result is compared.
func (f *fleet) timed(ctx context.Context, workflow string, items int, doubled bool) (median, cpu time.Duration, each []time.Duration, err error) {
	var times []time.Duration
	for range 5 {
		before, err := f.spent(ctx)
		if err != nil {
			return 0, 0, nil, err
		}
		each = each[:0]
		for _, w := range f.workers {
			spent, err := w.CPU()
			if err != nil {
				return 0, 0, nil, err
			}
			each = append(each, -spent)
		}
		var x struct {
			Status     string
			DurationMS int64 `json:"duration_ms"`
			Output     struct{ Items []struct{ N int } }
		}
		if err := f.server.Call(ctx, http.MethodPost, "/api/v1/executions", object{"workflow_id": workflow, "wait": 60}, &x); err != nil {
			return 0, 0, nil, err
		}
		if x.Status != "completed" || len(x.Output.Items) != items {
			return 0, 0, nil, fmt.Errorf("the split is %s with %d results", x.Status, len(x.Output.Items))
		}
		for i, item := range x.Output.Items {
			if doubled && item.N != 2*(i+1) {
				return 0, 0, nil, errors.New("a result is wrong")
			}
		}
		after, err := f.spent(ctx)
		if err != nil {
			return 0, 0, nil, err
		}
		cpu = after - before
		for i, w := range f.workers {
			spent, err := w.CPU()
			if err != nil {
				return 0, 0, nil, err
			}
			each[i] = (each[i] + spent).Round(10 * time.Millisecond)
		}
		times = append(times, time.Duration(x.DurationMS)*time.Millisecond)
	}
	slices.SortFunc(times, cmp.Compare)
	return times[len(times)/2], cpu, each, nil
}
