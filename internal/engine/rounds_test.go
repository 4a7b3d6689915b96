package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

const manyRounds = `
name: many
nodes:
  - {id: start, kind: manual-trigger}
  - {id: each, kind: loop, config: {items: "{{ 1..2500 }}", parallel: 16, on_item_error: continue}}
  - {id: work, kind: probe, parent_id: each, config: {value: "{{ item * 2 }}"}}
  - {id: count, kind: set, config: {values: {n: "{{ len(nodes.each.output.items) }}", failed: "{{ len(nodes.each.output.errors) }}"}}}
connections: [{source: start, target: each}, {source: each, target: count}]
`

// checkManyRounds looks whether the loop's output is what its rounds came to.
func checkManyRounds(t *testing.T, s *studio, id string) {
	t.Helper()
	node := s.nodes(id)["each"]
	text := node.Output
	if text == nil {
		var err error
		if text, err = s.store.Payload(context.Background(), "w", node.OutputRef); err != nil {
			t.Fatal(err)
		}
	}
	var out struct {
		Items  []any
		Errors []struct {
			Index int
			Error execution.Error
		}
	}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Items) != 2500 {
		t.Fatalf("there are %d items", len(out.Items))
	}
	for i, v := range out.Items {
		want := any(float64(2 * (i + 1)))
		if i == 7 || i == 2400 {
			want = nil
		}
		if v != want {
			t.Fatalf("item %d is %v, want %v", i, v, want)
		}
	}
	if len(out.Errors) != 2 || out.Errors[0].Index != 7 || out.Errors[1].Index != 2400 || out.Errors[0].Error.NodeID != "work" {
		t.Errorf("the errors are %+v", out.Errors)
	}
}

func failTwo(_ context.Context, c node.Call, cfg probeConfig) (node.Result, error) {
	if c.Iteration == "7" || c.Iteration == "2400" {
		return node.Result{}, fault.New(fault.Conflict, "no %s", c.Iteration)
	}
	return node.Output("", cfg.Value), nil
}

func TestALoopTooLongForMemoryKeepsTheOrderOfItsItems(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newProbes()
		p.on("work", failTwo)
		s := start(t, db, p, nil)
		x := s.run(manyRounds, nil)
		s.expectStatus(x, execution.Completed)
		expectJSON(t, x.Output, `{"n": 2500, "failed": 2}`)
		checkManyRounds(t, s, x.ID)
	})
}

func TestALoopTooLongForMemoryGoesOnAfterACrash(t *testing.T) {
	p := newProbes()
	var ran atomic.Int64
	reached := make(chan struct{}, 1)
	p.on("work", func(ctx context.Context, c node.Call, cfg probeConfig) (node.Result, error) {
		if ran.Add(1) == 1700 {
			reached <- struct{}{}
		}
		return failTwo(ctx, c, cfg)
	})
	db := storetest.SQLite(t)
	s := start(t, db, p, nil)
	x := s.create(s.define(manyRounds), nil)
	select {
	case <-reached:
	case <-time.After(time.Minute):
		t.Fatal("the loop does not get there")
	}
	s.stop()
	s = start(t, db, p, s.programs)
	done := s.wait(x.ID)
	s.expectStatus(done, execution.Completed)
	checkManyRounds(t, s, x.ID)
	if n := ran.Load(); n < 2500 || n > 2500+64 {
		t.Errorf("%d rounds ran for 2500 items: only those in flight may run again", n)
	}
}

func TestALongWhileLoopSeesThePreviousRoundAfterACrash(t *testing.T) {
	p := newProbes()
	var ran atomic.Int64
	reached := make(chan struct{}, 1)
	p.on("work", func(_ context.Context, _ node.Call, cfg probeConfig) (node.Result, error) {
		if ran.Add(1) == 1300 {
			reached <- struct{}{}
		}
		return node.Output("", cfg.Value), nil
	})
	db := storetest.SQLite(t)
	s := start(t, db, p, nil)
	x := s.create(s.define(`
name: while
nodes:
  - {id: start, kind: manual-trigger}
  - {id: count, kind: loop, config: {while: "index < 1500", max_items: 2000}}
  - {id: work, kind: probe, parent_id: count, config: {value: "{{ index }}"}}
  - {id: last, kind: set, config: {values: {n: "{{ len(nodes.count.output.items) }}", last: "{{ nodes.count.output.items[1499] }}"}}}
connections: [{source: start, target: count}, {source: count, target: last}]
`), nil)
	select {
	case <-reached:
	case <-time.After(time.Minute):
		t.Fatal("the loop does not get there")
	}
	s.stop()
	s = start(t, db, p, s.programs)
	done := s.wait(x.ID)
	s.expectStatus(done, execution.Completed)
	expectJSON(t, done.Output, fmt.Sprintf(`{"n": 1500, "last": %d}`, 1499))
}

// What is cut off by the end of its process has not come to rest: written down
// as waiting, nobody would take it up again.
func TestAnExecutionThatIsCutOffIsNotTakenForWaiting(t *testing.T) {
	s := start(t, storetest.SQLite(t), newProbes(), nil)
	id := s.define(`
name: cut
nodes:
  - {id: start, kind: manual-trigger}
  - {id: count, kind: loop, config: {while: "index < 100000", max_items: 100000}}
  - {id: work, kind: set, parent_id: count, config: {values: {n: "{{ index }}"}}}
connections: [{source: start, target: count}]
`)
	for range 30 {
		x := execution.Execution{ID: newID(), WorkspaceID: "w", WorkflowID: id, WorkflowName: id, WorkflowVersion: 1, Status: execution.Pending,
			TriggerType: "manual", TriggerData: []byte("{}"), CreatedAt: time.Now(), Epoch: 1, Worker: "local"}
		if _, _, err := s.store.Create(t.Context(), execution.New{Execution: x}); err != nil {
			t.Fatal(err)
		}
		ctx, cut := context.WithTimeout(t.Context(), 5*time.Millisecond)
		_, _ = s.eng.Execute(ctx, execution.Ticket{ID: x.ID, WorkspaceID: "w", Fresh: &x})
		cut()
		if got := s.find(x.ID); got.Status == execution.Waiting {
			t.Fatal("it is written down as waiting, for nothing")
		}
	}
}
