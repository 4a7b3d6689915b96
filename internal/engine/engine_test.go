package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

const chain = `
name: chain
nodes:
  - {id: start, kind: manual-trigger}
  - {id: a, kind: set, config: {values: {n: "{{ trigger.n + 1 }}"}}}
  - {id: b, kind: probe, config: {value: "{{ nodes.a.output.n * 2 }}"}}
  - {id: c, kind: set, config: {values: {result: "{{ input }}", from: "{{ nodes.a.output.n }}"}}}
connections:
  - {source: start, target: a}
  - {source: a, target: b}
  - {source: b, target: c}
`

func TestChainRunsToItsOutput(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := start(t, db, newProbes(), nil)
		x := s.run(chain, map[string]any{"n": 4})
		s.expectStatus(x, execution.Completed)
		expectJSON(t, x.Output, `{"result": 10, "from": 5}`)
		if x.CompletedNodes != 4 || x.Progress() != 100 || x.StartedAt.IsZero() || x.CompletedAt.IsZero() {
			t.Fatalf("counters: %+v", x)
		}
		events, err := s.store.Events(context.Background(), "w", x.ID, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range events {
			if e.Seq != int64(i+1) {
				t.Fatalf("event %d has seq %d", i, e.Seq)
			}
		}
		if last := events[len(events)-1]; last.Type != event.ExecutionUpdate || !strings.Contains(string(last.Data), `"completed"`) {
			t.Fatalf("last event: %+v", last)
		}
	})
}

func TestBranchNotTakenIsSkippedAndMergeGoesOn(t *testing.T) {
	s := start(t, storetest.SQLite(t), newProbes(), nil)
	x := s.run(`
name: branches
nodes:
  - {id: start, kind: manual-trigger}
  - {id: if, kind: condition, config: {condition: "trigger.n > 3"}}
  - {id: yes, kind: set, config: {values: {v: big}}}
  - {id: no, kind: set, config: {values: {v: small}}}
  - {id: no2, kind: set, config: {values: {v: smaller}}}
  - {id: merge, kind: merge}
connections:
  - {source: start, target: if}
  - {source: if, source_handle: "true", target: yes}
  - {source: if, source_handle: "false", target: no}
  - {source: no, target: no2}
  - {source: yes, target: merge}
  - {source: no2, target: merge}
`, map[string]any{"n": 5})
	s.expectStatus(x, execution.Completed)
	nodes := s.nodes(x.ID)
	if nodes["no"].Status != execution.NodeSkipped || nodes["no2"].Status != execution.NodeSkipped || nodes["yes"].Status != execution.NodeCompleted {
		t.Fatalf("statuses: %+v", nodes)
	}
	expectJSON(t, x.Output, `{"yes": {"v": "big"}}`)
}

func TestSiblingsRunAtTheSameTime(t *testing.T) {
	p := newProbes()
	s := start(t, storetest.SQLite(t), p, nil)
	var inside atomic.Int32
	all := make(chan struct{})
	meet := func(ctx context.Context, c node.Call, _ probeConfig) (node.Result, error) {
		if inside.Add(1) == 3 {
			close(all)
		}
		select {
		case <-all:
			return node.Output("", c.NodeID), nil
		case <-ctx.Done():
			return node.Result{}, ctx.Err()
		}
	}
	for _, id := range []string{"a", "b", "c"} {
		p.on(id, meet)
	}
	x := s.run(`
name: siblings
nodes:
  - {id: start, kind: manual-trigger}
  - {id: a, kind: probe, timeout_seconds: 10}
  - {id: b, kind: probe, timeout_seconds: 10}
  - {id: c, kind: probe, timeout_seconds: 10}
connections: [{source: start, target: a}, {source: start, target: b}, {source: start, target: c}]
`, nil)
	s.expectStatus(x, execution.Completed)
	expectJSON(t, x.Output, `{"a": "a", "b": "b", "c": "c"}`)
}

func TestTransientFailureIsTriedAgainAndPermanentIsNot(t *testing.T) {
	p := newProbes()
	s := start(t, storetest.SQLite(t), p, nil)
	p.on("flaky", func(_ context.Context, c node.Call, _ probeConfig) (node.Result, error) {
		if c.Attempt < 3 {
			return node.Result{}, fault.New(fault.Upstream, "try later")
		}
		return node.Output("", c.Attempt), nil
	})
	p.on("wrong", func(context.Context, node.Call, probeConfig) (node.Result, error) {
		return node.Result{}, fault.New(fault.Invalid, "never will")
	})
	x := s.run(`
name: retries
nodes:
  - {id: start, kind: manual-trigger}
  - {id: flaky, kind: probe, retry: {max_attempts: 4, delays: [0.01]}}
  - {id: wrong, kind: probe, retry: {max_attempts: 4, delays: [0.01]}, on_error: continue}
connections: [{source: start, target: flaky}, {source: flaky, target: wrong}]
`, nil)
	s.expectStatus(x, execution.Completed)
	if p.count("flaky") != 3 || p.count("wrong") != 1 {
		t.Fatalf("flaky ran %d times, wrong %d times", p.count("flaky"), p.count("wrong"))
	}
	expectJSON(t, x.Output, `{"error": {"code": "invalid", "message": "never will"}}`)
}

func TestOnErrorStopsContinuesOrBranches(t *testing.T) {
	for _, c := range []struct{ mode, want, output string }{
		{"stop", "failed", ``},
		{"continue", "completed", `{"path": "normal"}`},
		{"branch", "completed", `{"path": "error"}`},
	} {
		p := newProbes()
		s := start(t, storetest.SQLite(t), p, nil)
		p.on("bad", func(context.Context, node.Call, probeConfig) (node.Result, error) {
			return node.Result{}, fault.New(fault.Conflict, "broken")
		})
		normal := "{source: bad, target: normal}"
		other := "{source: bad, target: other, source_handle: error}"
		if c.mode != "branch" {
			other = "{source: start, target: other}"
		}
		text := fmt.Sprintf(`
name: errors
nodes:
  - {id: start, kind: manual-trigger}
  - {id: bad, kind: probe, on_error: %s}
  - {id: normal, kind: set, config: {values: {path: normal}}}
  - {id: other, kind: set, config: {values: {path: error}}}
  - {id: end, kind: merge, config: {mode: all}}
connections: [{source: start, target: bad}, %s, %s]
`, c.mode, normal, other)
		if c.mode == "continue" {
			text = strings.Replace(text, "{source: start, target: other}", "{source: start, target: end}", 1)
			text = strings.Replace(text, "id: other, kind: set", "id: other, kind: set, enabled: true", 1)
		}
		x := s.run(text, nil)
		if string(x.Status) != c.want {
			t.Errorf("%s: %s %+v", c.mode, x.Status, x.Error)
		}
		if c.mode == "stop" && (x.Error == nil || x.Error.NodeID != "bad" || x.Error.Message != "broken") {
			t.Errorf("error: %+v", x.Error)
		}
		if c.mode == "branch" {
			expectJSON(t, x.Output, c.output)
		}
	}
}

func TestLoopKeepsOrderAndRunsParallelRounds(t *testing.T) {
	p := newProbes()
	s := start(t, storetest.SQLite(t), p, nil)
	p.on("work", func(_ context.Context, c node.Call, cfg probeConfig) (node.Result, error) {
		if c.Iteration == "2" {
			return node.Result{}, fault.New(fault.Conflict, "no %s", c.Iteration)
		}
		return node.Output("", cfg.Value), nil
	})
	x := s.run(`
name: loop
nodes:
  - {id: start, kind: manual-trigger}
  - {id: each, kind: loop, config: {items: "{{ trigger.items }}", parallel: 3, on_item_error: continue}}
  - {id: work, kind: probe, parent_id: each, config: {value: "{{ item * 10 + index }}"}}
  - {id: wrap, kind: set, parent_id: each, config: {values: {v: "{{ input }}", of: "{{ nodes.start.output.items | len }}"}}}
  - {id: after, kind: set, config: {values: {got: "{{ map(filter(nodes.each.output.items, # != nil), .v) }}", errors: "{{ nodes.each.output.errors }}"}}}
connections:
  - {source: start, target: each}
  - {source: work, target: wrap}
  - {source: each, target: after}
`, map[string]any{"items": []int{1, 2, 3, 4, 5}})
	s.expectStatus(x, execution.Completed)
	expectJSON(t, x.Output, `{"got": [10, 21, 43, 54], "errors": [{"index": 2, "error": {"code": "conflict", "message": "no 2", "node_id": "work"}}]}`)
}

func TestNestedAndWhileLoops(t *testing.T) {
	s := start(t, storetest.SQLite(t), newProbes(), nil)
	x := s.run(`
name: nested
nodes:
  - {id: start, kind: manual-trigger}
  - {id: outer, kind: loop, config: {items: "{{ [1, 2, 3] }}", parallel: 2}}
  - {id: inner, kind: loop, parent_id: outer, config: {items: "{{ [item, item * 10] }}"}}
  - {id: leaf, kind: set, parent_id: inner, config: {values: {v: "{{ item }}"}}}
  - {id: count, kind: loop, config: {while: "index < 3"}}
  - {id: step, kind: set, parent_id: count, config: {values: {i: "{{ index }}"}}}
connections: [{source: start, target: outer}, {source: outer, target: count}]
`, nil)
	s.expectStatus(x, execution.Completed)
	expectJSON(t, x.Output, `{"items": [{"i": 0}, {"i": 1}, {"i": 2}], "errors": []}`)
	expectJSON(t, s.nodes(x.ID)["outer"].Output, `{"items": [{"items": [{"v": 1}, {"v": 10}], "errors": []}, {"items": [{"v": 2}, {"v": 20}], "errors": []}, {"items": [{"v": 3}, {"v": 30}], "errors": []}], "errors": []}`)
}

func TestLoopFailsWithItsItem(t *testing.T) {
	p := newProbes()
	s := start(t, storetest.SQLite(t), p, nil)
	p.on("work", func(_ context.Context, c node.Call, _ probeConfig) (node.Result, error) {
		return node.Result{}, fault.New(fault.Conflict, "bad item")
	})
	x := s.run(`
name: loopfail
nodes:
  - {id: start, kind: manual-trigger}
  - {id: each, kind: loop, config: {items: "{{ [1,2,3] }}", parallel: 2}}
  - {id: work, kind: probe, parent_id: each}
connections: [{source: start, target: each}]
`, nil)
	s.expectStatus(x, execution.Failed)
	if x.Error.NodeID != "each" || !strings.Contains(x.Error.Message, "bad item") {
		t.Fatalf("error: %+v", x.Error)
	}
}

func TestCancelCutsWhatRuns(t *testing.T) {
	p := newProbes()
	s := start(t, storetest.SQLite(t), p, nil)
	entered, left := make(chan struct{}), make(chan struct{})
	p.on("long", func(ctx context.Context, _ node.Call, _ probeConfig) (node.Result, error) {
		close(entered)
		<-ctx.Done()
		close(left)
		return node.Result{}, ctx.Err()
	})
	x := s.create(s.define(`
name: cancel
nodes: [{id: start, kind: manual-trigger}, {id: long, kind: probe}, {id: next, kind: probe}]
connections: [{source: start, target: long}, {source: long, target: next}]
`), nil)
	<-entered
	if _, err := s.store.RequestCancel(context.Background(), "w", x.ID); err != nil {
		t.Fatal(err)
	}
	s.disp.Announce(execution.Ticket{ID: x.ID, WorkspaceID: "w"})
	x = s.wait(x.ID)
	<-left
	s.expectStatus(x, execution.Cancelled)
	if n := s.nodes(x.ID)["long"]; n.Status != execution.NodeCancelled {
		t.Fatalf("node: %+v", n)
	}
	if p.count("next") != 0 {
		t.Fatal("a successor ran")
	}
}

func TestPausedExecutionStartsNothingUntilResumed(t *testing.T) {
	p := newProbes()
	s := start(t, storetest.SQLite(t), p, nil)
	entered, release := make(chan struct{}), make(chan struct{})
	p.on("first", func(context.Context, node.Call, probeConfig) (node.Result, error) {
		close(entered)
		<-release
		return node.Output("", 1), nil
	})
	x := s.create(s.define(`
name: pause
nodes: [{id: start, kind: manual-trigger}, {id: first, kind: probe}, {id: next, kind: probe}]
connections: [{source: start, target: first}, {source: first, target: next}]
`), nil)
	<-entered
	ask := func(paused bool) {
		if _, err := s.store.RequestPause(context.Background(), "w", x.ID, paused); err != nil {
			t.Fatal(err)
		}
		s.disp.Announce(execution.Ticket{ID: x.ID, WorkspaceID: "w"})
	}
	ask(true)
	s.until(x.ID, "paused", func(x *execution.Execution) bool { return x.Status == execution.Paused })
	close(release)
	s.until(x.ID, "past first", func(x *execution.Execution) bool { return x.CompletedNodes == 2 })
	if p.count("next") != 0 {
		t.Fatal("a node started while paused")
	}
	ask(false)
	s.expectStatus(s.wait(x.ID), execution.Completed)
}

func TestWaitHoldsNothingAndGoesOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := start(t, db, newProbes(), nil)
		x := s.create(s.define(`
name: waiting
nodes: [{id: start, kind: manual-trigger}, {id: wait, kind: wait, config: {seconds: 0.3}}, {id: next, kind: set, config: {values: {ok: true}}}]
connections: [{source: start, target: wait}, {source: wait, target: next}]
`), nil)
		s.until(x.ID, "waiting", func(x *execution.Execution) bool { return x.Status == execution.Waiting })
		x = s.wait(x.ID)
		s.expectStatus(x, execution.Completed)
		if took := x.CompletedAt.Sub(x.StartedAt); took < 300*time.Millisecond {
			t.Fatalf("waited %s only", took)
		}
	})
}

func TestTimeoutsOfNodeAndExecution(t *testing.T) {
	p := newProbes()
	s := start(t, storetest.SQLite(t), p, nil)
	hang := func(ctx context.Context, _ node.Call, _ probeConfig) (node.Result, error) {
		<-ctx.Done()
		return node.Result{}, ctx.Err()
	}
	p.on("hang", hang)
	x := s.run(`
name: nodelimit
nodes: [{id: start, kind: manual-trigger}, {id: hang, kind: probe, timeout_seconds: 0.05}]
connections: [{source: start, target: hang}]
`, nil)
	s.expectStatus(x, execution.Failed)
	if x.Error.Code != "timeout" || x.Error.NodeID != "hang" {
		t.Fatalf("error: %+v", x.Error)
	}
	x = s.run(`
name: wholelimit
settings: {timeout_seconds: 0.05}
nodes: [{id: start, kind: manual-trigger}, {id: hang, kind: probe}]
connections: [{source: start, target: hang}]
`, nil)
	s.expectStatus(x, execution.Failed)
	if x.Error.Code != "timeout" || x.Error.NodeID != "" {
		t.Fatalf("error: %+v", x.Error)
	}
}

func TestMergeOfTheFirstCancelsTheRest(t *testing.T) {
	p := newProbes()
	s := start(t, storetest.SQLite(t), p, nil)
	cut := make(chan struct{})
	p.on("slow", func(ctx context.Context, _ node.Call, _ probeConfig) (node.Result, error) {
		<-ctx.Done()
		close(cut)
		return node.Result{}, ctx.Err()
	})
	x := s.run(`
name: first
nodes:
  - {id: start, kind: manual-trigger}
  - {id: fast, kind: probe, config: {value: 1}}
  - {id: slow, kind: probe}
  - {id: merge, kind: merge, config: {mode: first, cancel_rest: true}}
connections: [{source: start, target: fast}, {source: start, target: slow}, {source: fast, target: merge}, {source: slow, target: merge}]
`, nil)
	s.expectStatus(x, execution.Completed)
	<-cut
	if n := s.nodes(x.ID)["slow"]; n.Status != execution.NodeCancelled {
		t.Fatalf("slow: %+v", n)
	}
}

func TestSubWorkflowAnswersItsParent(t *testing.T) {
	s := start(t, storetest.SQLite(t), newProbes(), nil)
	s.define(`
name: child
nodes: [{id: start, kind: workflow-trigger}, {id: double, kind: set, config: {values: {n: "{{ trigger.n * 2 }}"}}}]
connections: [{source: start, target: double}]
`)
	parent := `
name: parent
nodes:
  - {id: start, kind: manual-trigger}
  - {id: each, kind: loop, config: {items: "{{ [1, 2, 3] }}", parallel: 3}}
  - {id: call, kind: run-workflow, parent_id: each, config: {workflow_id: child, input: {n: "{{ item }}"}}}
connections: [{source: start, target: each}]
`
	x := s.run(parent, nil)
	s.expectStatus(x, execution.Completed)
	expectJSON(t, x.Output, `{"items": [{"n": 2}, {"n": 4}, {"n": 6}], "errors": []}`)
	x = s.run(strings.NewReplacer("name: parent", "name: recursive", "workflow_id: child", "workflow_id: recursive", "[1, 2, 3]", "[1]").Replace(parent), nil)
	s.expectStatus(x, execution.Failed)
	if !strings.Contains(x.Error.Message, "deep") {
		t.Fatalf("error: %+v", x.Error)
	}
}

func TestLargeOutputsSpillAndReadBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newProbes()
		s := start(t, db, p, nil)
		p.on("big", func(context.Context, node.Call, probeConfig) (node.Result, error) {
			return node.Output("", map[string]any{"text": strings.Repeat("x", 300_000)}), nil
		})
		x := s.run(`
name: big
nodes: [{id: start, kind: manual-trigger}, {id: big, kind: probe}, {id: len, kind: set, config: {values: {n: "{{ len(nodes.big.output.text) }}"}}}, {id: keep, kind: probe}]
connections: [{source: start, target: big}, {source: big, target: len}, {source: big, target: keep}]
`, nil)
		s.expectStatus(x, execution.Completed)
		if n := s.nodes(x.ID)["big"]; n.OutputRef == "" || n.Output != nil {
			t.Fatalf("big was kept inline: %d bytes", len(n.Output))
		}
		if len(x.Output) < 300_000 || !strings.Contains(string(x.Output), `"n":300000`) {
			t.Fatalf("output has %d bytes", len(x.Output))
		}
		var out any
		if err := json.Unmarshal(x.Output, &out); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPanickingNodeFailsOnlyItself(t *testing.T) {
	p := newProbes()
	s := start(t, storetest.SQLite(t), p, nil)
	p.on("boom", func(context.Context, node.Call, probeConfig) (node.Result, error) { panic("secret detail") })
	x := s.run(`
name: panics
nodes: [{id: start, kind: manual-trigger}, {id: boom, kind: probe}]
connections: [{source: start, target: boom}]
`, nil)
	s.expectStatus(x, execution.Failed)
	if strings.Contains(x.Error.Message, "secret") || x.Error.Code != "internal" {
		t.Fatalf("error: %+v", x.Error)
	}
}

func TestManyExecutionsAtOnce(t *testing.T) {
	s := start(t, storetest.SQLite(t), newProbes(), nil)
	id := s.define(chain)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			x := s.wait(s.create(id, map[string]any{"n": i}).ID)
			if x.Status != execution.Completed {
				t.Errorf("%d: %s %+v", i, x.Status, x.Error)
			}
		})
	}
	wg.Wait()
}
