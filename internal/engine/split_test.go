package engine_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

// shares returns the shares of an execution's splits, newest first.
func (s *studio) shares(id string) []*execution.Execution {
	s.t.Helper()
	page, err := s.store.List(context.Background(), "w", execution.Filter{ParentID: id, TriggerType: execution.TriggerSplit, Limit: 1000})
	if err != nil {
		s.t.Fatal(err)
	}
	return page.Items
}

// refuse fails the rounds that are named after its node.
func refuse(iterations ...string) func(context.Context, node.Call, probeConfig) (node.Result, error) {
	return func(_ context.Context, c node.Call, cfg probeConfig) (node.Result, error) {
		for _, i := range iterations {
			if c.Iteration == i {
				return node.Result{}, fault.New(fault.Conflict, "no %s", i)
			}
		}
		return node.Output("", cfg.Value), nil
	}
}

// splitStories are splits whose author must not be able to tell where their
// rounds run.
var splitStories = []struct {
	name, body, result string
	items              string
	config             string
	do                 map[string]func(context.Context, node.Call, probeConfig) (node.Result, error)
	want               string // of the output; "" when only both ways must agree
	fails              string
}{
	{name: "results keep the order of the items", items: "1..40", body: `{id: work, kind: probe, parent_id: each, config: {value: "{{ item * 2 }}"}}`,
		result: "{{ sum(nodes.each.output.items) + nodes.each.output.items[39] }}", want: `{"r": 1720}`},
	{name: "items may be anything", items: `[1, "a", nil, {"k": [1.5]}, [2], true, "é"]`, body: `{id: work, kind: probe, parent_id: each, config: {value: "{{ [index, item] }}"}}`,
		result: "{{ nodes.each.output.items }}", want: `{"r": [[0,1],[1,"a"],[2,null],[3,{"k":[1.5]}],[4,[2]],[5,true],[6,"é"]]}`},
	{name: "the body sees what is around it", items: "1..30",
		body: `{id: work, kind: set, parent_id: each, config: {values: {all: "{{ [item, index, trigger.n, nodes.a.output, nodes.big.output[index], nodes.bad.error.message, execution.id == nodes.a2.output] }}"}}}`,
		do: map[string]func(context.Context, node.Call, probeConfig) (node.Result, error){
			"bad": func(context.Context, node.Call, probeConfig) (node.Result, error) {
				return node.Result{}, fault.New(fault.Conflict, "broken")
			},
			"big": func(context.Context, node.Call, probeConfig) (node.Result, error) {
				out := make([]any, 30)
				for i := range out {
					out[i] = fmt.Sprintf("%d%s", i, strings.Repeat("x", 4000))[:2]
					if i == 0 {
						out[i] = strings.Repeat("y", 100_000)
					}
				}
				return node.Output("", out), nil
			}},
		result: "{{ nodes.each.output.items[12].all }}", want: `{"r": [13, 12, 5, "A", "12", "broken", true]}`},
	{name: "failed items leave their errors", items: "1..40", config: "on_item_error: continue", body: `{id: work, kind: probe, parent_id: each, config: {value: "{{ item }}"}}`,
		do:     map[string]func(context.Context, node.Call, probeConfig) (node.Result, error){"work": refuse("3", "38")},
		result: "{{ [nodes.each.output.items[3], nodes.each.output.items[4], nodes.each.output.errors] }}",
		want:   `{"r": [null, 5, [{"index": 3, "error": {"code": "conflict", "message": "no 3", "node_id": "work"}}, {"index": 38, "error": {"code": "conflict", "message": "no 38", "node_id": "work"}}]]}`},
	{name: "a failed item stops the split", items: "1..40", body: `{id: work, kind: probe, parent_id: each, config: {value: "{{ item }}"}}`,
		do: map[string]func(context.Context, node.Call, probeConfig) (node.Result, error){"work": refuse("27")}, result: "1",
		fails: "conflict: round 27 failed at work: no 27 (each)"},
	{name: "a loop in a split", items: "1..20", body: `{id: inner, kind: loop, parent_id: each, config: {items: "{{ [item, item * 10] }}"}}
  - {id: work, kind: probe, parent_id: inner, config: {value: "{{ item + index }}"}}
  - {id: after, kind: set, parent_id: each, config: {values: {s: "{{ sum(nodes.inner.output.items) + item }}"}}}`,
		result: "{{ sum(map(nodes.each.output.items, .s)) }}", want: `{"r": 2540}`},
	{name: "a split in a split", items: "1..20", body: `{id: inner, kind: split, parent_id: each, config: {items: "{{ 1..(5 + item) }}", parallel: 4}}
  - {id: before, kind: set, parent_id: each, config: {values: {b: "{{ item * 100 }}"}}}
  - {id: work, kind: probe, parent_id: inner, config: {value: "{{ [item, nodes.before.output.b, nodes.a.output] }}"}}`,
		result: "{{ [len(nodes.each.output.items), nodes.each.output.items[19].items[24]] }}", want: `{"r": [20, [25, 2000, "A"]]}`},
	{name: "an outcome that does not fit a row", items: "1..40", body: `{id: work, kind: probe, parent_id: each, config: {value: "{{ item }}"}}`,
		do: map[string]func(context.Context, node.Call, probeConfig) (node.Result, error){
			"work": func(_ context.Context, _ node.Call, cfg probeConfig) (node.Result, error) {
				return node.Output("", map[string]any{"n": cfg.Value, "x": strings.Repeat("z", 70_000)}), nil
			}},
		result: "{{ [sum(map(nodes.each.output.items, .n)), sum(map(nodes.each.output.items, len(#.x)))] }}", want: `{"r": [820, 2800000]}`},
	{name: "a body that ends the execution", items: "1..40", body: `{id: if, kind: condition, parent_id: each, config: {condition: "item == 17"}}
  - {id: enough, kind: stop, parent_id: each, config: {output: "{{ item }}"}}`, result: "1", want: `17`},
}

func splitWorkflow(i int) string {
	c := splitStories[i]
	more := ""
	if strings.Contains(c.body, "id: enough") {
		more = `, {source: if, source_handle: "true", target: enough}`
	}
	if strings.Contains(c.body, "id: inner") && strings.Contains(c.body, "id: after") {
		more = `, {source: inner, target: after}`
	}
	if strings.Contains(c.body, "id: before") {
		more = `, {source: before, target: inner}`
	}
	config := c.config
	if config != "" {
		config = ", " + config
	}
	return fmt.Sprintf(`
name: split%d
nodes:
  - {id: start, kind: manual-trigger}
  - {id: a, kind: probe, config: {value: A}}
  - {id: a2, kind: probe, config: {value: "{{ execution.id }}"}}
  - {id: big, kind: probe, config: {value: [1]}}
  - {id: bad, kind: probe, on_error: continue, config: {value: 1}}
  - {id: each, kind: split, config: {items: "{{ %s }}", parallel: 6%s}}
  - %s
  - {id: out, kind: set, config: {values: {r: "%s"}}}
connections: [{source: start, target: a}, {source: a, target: a2}, {source: a2, target: big}, {source: big, target: bad}, {source: bad, target: each}, {source: each, target: out}%s]
`, i, strings.ReplaceAll(c.items, `"`, `\"`), config, c.body, c.result, more)
}

func TestASplitIsTheSameToItsAuthorWhereverItRuns(t *testing.T) {
	for i, c := range splitStories {
		t.Run(c.name, func(t *testing.T) {
			for from, where := range map[int]string{0: "in its execution", 2: "spread"} {
				t.Run(where, func(t *testing.T) {
					storetest.Each(t, func(t *testing.T, db *store.DB) {
						p := newProbes()
						p.splitFrom = from
						for id, do := range c.do {
							p.on(id, do)
						}
						s := start(t, db, p, nil)
						x := s.run(splitWorkflow(i), map[string]any{"n": 5})
						if shares := s.shares(x.ID); (len(shares) > 0) != (from > 0) {
							t.Errorf("there are %d shares", len(shares))
						}
						if c.fails != "" {
							s.expectStatus(x, execution.Failed)
							if got := fmt.Sprintf("%s: %s (%s)", x.Error.Code, x.Error.Message, x.Error.NodeID); got != c.fails {
								t.Errorf("it failed as %s, want %s", got, c.fails)
							}
							return
						}
						s.expectStatus(x, execution.Completed)
						expectJSON(t, x.Output, c.want)
					})
				})
			}
		})
	}
}

// spreadSplit has so many items, each of which goes through a probe.
func spreadSplit(name string, items, parallel int, more string) string {
	return fmt.Sprintf(`
name: %s
%s
nodes:
  - {id: start, kind: manual-trigger}
  - {id: each, kind: split, config: {items: "{{ 1..%d }}", parallel: %d}}
  - {id: work, kind: probe, parent_id: each, config: {value: "{{ item * 2 }}"}}
  - {id: after, kind: probe, parent_id: each, config: {value: "{{ nodes.work.output + 1 }}"}}
  - {id: total, kind: set, config: {values: {sum: "{{ sum(nodes.each.output.items) }}", n: "{{ len(nodes.each.output.items) }}"}}}
connections: [{source: start, target: each}, {source: each, target: total}, {source: work, target: after}]
`, name, more, items, parallel)
}

func spreadTotal(items int) string {
	return fmt.Sprintf(`{"sum": %d, "n": %d}`, items*(items+1)+items, items)
}

func TestParallelHoldsOverAllShares(t *testing.T) {
	for more, most := range map[string]int64{"": 7, "settings: {max_parallel: 3}": 3} {
		p := newProbes()
		p.splitFrom = 2
		var at, highest atomic.Int64
		p.on("work", func(_ context.Context, _ node.Call, cfg probeConfig) (node.Result, error) {
			n := at.Add(1)
			for old := highest.Load(); n > old && !highest.CompareAndSwap(old, n); old = highest.Load() {
			}
			<-time.After(time.Millisecond)
			at.Add(-1)
			return node.Output("", cfg.Value), nil
		})
		s := start(t, storetest.SQLite(t), p, nil)
		x := s.run(spreadSplit("bounded", 80, 7, more), nil)
		s.expectStatus(x, execution.Completed)
		expectJSON(t, x.Output, spreadTotal(80))
		if n := highest.Load(); n > most || n < 2 {
			t.Errorf("%q: %d items were at work at the same time, want at most %d", more, n, most)
		}
	}
}

// TestASpreadSplitLosesNothingAndRepeatsNothing stops the engine at random
// moments, as after kill -9, while its splits are spread.
func TestASpreadSplitLosesNothingAndRepeatsNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newProbes()
		p.splitFrom = 2
		var mu sync.Mutex
		started := map[string]int{}
		record := func(ctx context.Context, c node.Call, cfg probeConfig) (node.Result, error) {
			mu.Lock()
			started[c.Key]++
			mu.Unlock()
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				return node.Result{}, ctx.Err()
			}
			return node.Output("", cfg.Value), nil
		}
		p.on("work", record)
		p.on("after", record)
		s := start(t, db, p, nil)
		id := s.define(spreadSplit("crash", 150, 8, ""))
		x := s.create(id, nil)
		checked := 0
		for i := range 6 {
			eventually(t, "more items", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(started) > (i+1)*40
			})
			s.stop()
			mu.Lock()
			before := map[string]int{}
			for _, share := range s.shares(x.ID) {
				for key := range finishedKeys(t, s, []string{share.ID}) {
					parts := strings.SplitN(key, "/", 2)
					if key := x.ID + "/" + parts[1]; started[key] > 0 {
						before[key] = started[key]
					}
				}
			}
			checked += len(before)
			mu.Unlock()
			s = start(t, db, p, s.programs)
			defer func() {
				for key, n := range before {
					if started[key] != n {
						t.Errorf("%s was finished and ran again", key)
					}
				}
			}()
		}
		x = s.wait(x.ID)
		s.expectStatus(x, execution.Completed)
		expectJSON(t, x.Output, spreadTotal(150))
		if checked == 0 {
			t.Error("it was never stopped in the middle")
		}
		for key := range started {
			if !strings.HasPrefix(key, x.ID+"/") {
				t.Errorf("the key %s does not begin with the execution", key)
			}
		}
	})
}

func TestCancelReachesAllShares(t *testing.T) {
	for _, parked := range []bool{false, true} {
		t.Run(fmt.Sprintf("parked=%v", parked), func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				p := newProbes()
				p.splitFrom = 2
				var at atomic.Int64
				p.on("work", func(ctx context.Context, _ node.Call, _ probeConfig) (node.Result, error) {
					at.Add(1)
					defer at.Add(-1)
					<-ctx.Done()
					return node.Result{}, ctx.Err()
				})
				s := start(t, db, p, nil)
				x := s.create(s.define(spreadSplit("cancel", 100, 12, "")), nil)
				eventually(t, "12 items at work", func() bool { return at.Load() == 12 })
				if parked {
					eventually(t, "the parent at rest", func() bool { return s.find(x.ID).Status == execution.Waiting })
				}
				asked := time.Now()
				if _, err := s.store.RequestCancel(t.Context(), "w", x.ID); err != nil {
					t.Fatal(err)
				}
				s.disp.Announce(execution.Ticket{ID: x.ID, WorkspaceID: "w"})
				s.expectStatus(s.wait(x.ID), execution.Cancelled)
				eventually(t, "nothing at work", func() bool { return at.Load() == 0 })
				if took := time.Since(asked); took > time.Second {
					t.Errorf("it took %s", took)
				}
				eventually(t, "all shares cancelled", func() bool {
					for _, share := range s.shares(x.ID) {
						if share.Status != execution.Cancelled {
							return false
						}
					}
					return true
				})
			})
		})
	}
}

func TestPauseHoldsAllShares(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newProbes()
		p.splitFrom = 2
		var ran atomic.Int64
		p.on("work", func(_ context.Context, _ node.Call, cfg probeConfig) (node.Result, error) {
			<-time.After(2 * time.Millisecond)
			ran.Add(1)
			return node.Output("", cfg.Value), nil
		})
		s := start(t, db, p, nil)
		x := s.create(s.define(spreadSplit("pause", 200, 4, "")), nil)
		eventually(t, "some at work", func() bool { return ran.Load() > 20 })
		pause := func(paused bool) {
			if _, err := s.store.RequestPause(t.Context(), "w", x.ID, paused); err != nil {
				t.Fatal(err)
			}
			s.disp.Announce(execution.Ticket{ID: x.ID, WorkspaceID: "w"})
		}
		pause(true)
		eventually(t, "all paused", func() bool {
			for _, share := range s.shares(x.ID) {
				if !share.Status.Over() && share.Status != execution.Paused {
					return false
				}
			}
			return s.find(x.ID).Status == execution.Paused
		})
		before := ran.Load()
		<-time.After(50 * time.Millisecond)
		if after := ran.Load(); after != before || after >= 200 {
			t.Errorf("%d items ran while it was paused, %d in all", after-before, after)
		}
		pause(false)
		x = s.wait(x.ID)
		s.expectStatus(x, execution.Completed)
		expectJSON(t, x.Output, spreadTotal(200))
	})
}

func TestAnItemThatFailsStopsTheOtherShares(t *testing.T) {
	p := newProbes()
	p.splitFrom = 2
	var at atomic.Int64
	p.on("work", func(ctx context.Context, c node.Call, _ probeConfig) (node.Result, error) {
		if c.Iteration == "0" {
			for at.Load() < 7 && ctx.Err() == nil {
				<-time.After(time.Millisecond)
			}
			return node.Result{}, fault.New(fault.Conflict, "no")
		}
		at.Add(1)
		defer at.Add(-1)
		<-ctx.Done()
		return node.Result{}, ctx.Err()
	})
	s := start(t, storetest.SQLite(t), p, nil)
	x := s.run(strings.Replace(spreadSplit("stops", 100, 8, ""), "id: each, kind: split,", "id: each, kind: split, on_error: continue,", 1), nil)
	s.expectStatus(x, execution.Failed) // total reads what is not there
	if n := s.nodes(x.ID)["each"]; n.Status != execution.NodeFailed || n.Error.Message != "round 0 failed at work: no" {
		t.Errorf("the split is %s %+v", n.Status, n.Error)
	}
	eventually(t, "nothing at work", func() bool { return at.Load() == 0 })
	for _, share := range s.shares(x.ID) {
		if !share.Status.Over() && !share.CancelRequested {
			t.Errorf("a share is still %s", share.Status)
		}
	}
}

func TestAShareWithoutItsSplitEnds(t *testing.T) {
	db := storetest.SQLite(t)
	p := newProbes()
	p.splitFrom = 2
	entered := make(chan struct{}, 100)
	p.on("work", func(ctx context.Context, _ node.Call, _ probeConfig) (node.Result, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return node.Result{}, ctx.Err()
	})
	s := start(t, db, p, nil)
	x := s.create(s.define(spreadSplit("orphans", 20, 4, "")), nil)
	<-entered
	s.stop()
	// As if its process had died between the end of the parent and the cancels.
	if err := db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE executions SET status = 'failed', completed_at = 1 WHERE id = $1`, x.ID)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s = start(t, db, p, s.programs)
	for _, share := range s.shares(x.ID) {
		s.expectStatus(s.wait(share.ID), execution.Cancelled)
	}
}

func TestSharesAreNobodysBusinessButTheirParents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newProbes()
		p.splitFrom = 2
		s := start(t, db, p, nil)
		x := s.run(spreadSplit("shares", 50, 5, ""), nil)
		s.expectStatus(x, execution.Completed)
		shares := s.shares(x.ID)
		items := 0
		for _, share := range shares {
			items += share.CompletedNodes
			if share.ParentNode != "each" || share.Depth != 0 {
				t.Errorf("a share of %s at depth %d", share.ParentNode, share.Depth)
			}
			if err := s.store.Delete(t.Context(), "w", share.ID); !fault.Is(err, fault.Conflict) {
				t.Errorf("a share was deleted: %v", err)
			}
		}
		if items != 50 {
			t.Errorf("the shares count %d items", items)
		}
		page, err := s.store.List(t.Context(), "w", execution.Filter{Limit: 100})
		if err != nil || page.Total != 1 || len(page.Items) != 1 {
			t.Errorf("%d executions are listed (%v)", page.Total, err)
		}
		if page, err = s.store.List(t.Context(), "w", execution.Filter{Limit: 3, ParentID: x.ID}); err != nil || page.Total != len(shares) || page.NextCursor == "" {
			t.Errorf("%d children are listed (%v)", page.Total, err)
		}
		if err := s.store.Delete(t.Context(), "w", x.ID); err != nil {
			t.Fatal(err)
		}
		s.expectStatus(s.run(spreadSplit("shares", 50, 5, ""), nil), execution.Completed)
		if n, err := store.NewRetention(db).OfWorkspace(t.Context(), "w", time.Now().Add(time.Hour), 100); n != 1 || err != nil {
			t.Errorf("retention found %d executions (%v): shares go with their parent", n, err)
		}
		for _, table := range []string{"executions", "node_executions", "execution_events"} {
			var n int
			if err := db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil || n > 0 {
				t.Errorf("%d rows of %s are left (%v)", n, table, err)
			}
		}
	})
}

func TestHowFarASplitIsStandsInItsNode(t *testing.T) {
	p := newProbes()
	p.splitFrom = 2
	var ran atomic.Int64
	gate := make(chan struct{})
	p.on("work", func(ctx context.Context, _ node.Call, cfg probeConfig) (node.Result, error) {
		if ran.Add(1) > 30 {
			select {
			case <-gate:
			case <-ctx.Done():
			}
		}
		return node.Output("", cfg.Value), ctx.Err()
	})
	s := start(t, storetest.SQLite(t), p, nil)
	x := s.create(s.define(spreadSplit("progress", 60, 3, "")), nil)
	eventually(t, "half of it done", func() bool {
		n := s.nodes(x.ID)["each"]
		return n.Wait != nil && n.Wait.Shares != nil && n.Wait.Shares.Completed >= 20 && n.Wait.Shares.Items == 60
	})
	close(gate)
	s.expectStatus(s.wait(x.ID), execution.Completed)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-time.After(2 * time.Millisecond):
		case <-deadline:
			t.Fatalf("there never was %s", what)
		}
	}
}
