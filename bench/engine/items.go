package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// items runs a loop of a thousand rounds in another, five nodes in each, and
// weighs the server all the while.
func (b *bench) items(n int) func(context.Context) error {
	return func(ctx context.Context) error {
		d := chain("Items", node("start", "manual-trigger", map[string]any{}), node("outer", "loop", map[string]any{"items": fmt.Sprintf("{{ 1..%d }}", n/1000)}))
		inside := func(parent string, n map[string]any) map[string]any { n["parent_id"] = parent; return n }
		nodes, _ := d["nodes"].([]map[string]any)
		edges, _ := d["connections"].([]map[string]any)
		nodes = append(nodes, inside("outer", node("inner", "loop", map[string]any{"items": "{{ 1..1000 }}", "parallel": 16})))
		from := "item"
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			nodes = append(nodes, inside("inner", node(id, "set", map[string]any{"values": map[string]any{"n": "{{ " + from + " + 1 }}"}})))
			if id != "a" {
				edges = append(edges, map[string]any{"source": string(id[0] - 1), "target": id})
			}
			from = "nodes." + id + ".output.n"
		}
		d["nodes"], d["connections"], d["settings"] = nodes, edges, map[string]any{"timeout_seconds": 7200}
		id, err := b.Create(ctx, d)
		if err != nil {
			return err
		}
		began := time.Now()
		var x executionView
		if err := b.Call(ctx, http.MethodPost, "/api/v1/executions", map[string]any{"workflow_id": id}, &x); err != nil {
			return err
		}
		var most int64
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for looks := 0; x.Status != "completed"; looks++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			now, err := b.Memory()
			if err != nil {
				return err
			}
			most = max(most, now)
			if looks%20 > 0 { // the answer is large when it is there
				continue
			}
			var page struct{ Items []executionView }
			if err := b.Call(ctx, http.MethodGet, "/api/v1/executions?limit=1", nil, &page); err != nil {
				return err
			}
			if x = page.Items[0]; x.Status == "failed" {
				return fmt.Errorf("the loop failed")
			}
		}
		b.add(fmt.Sprintf("%d items × 5 nodes in a loop: most resident memory", n), fmt.Sprintf("%d MiB (%s)", most>>20, time.Since(began).Round(time.Second)), "256 MiB")
		return nil
	}
}
