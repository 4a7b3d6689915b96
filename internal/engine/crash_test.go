package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

const crashWorkflow = `
name: crash
nodes:
  - {id: start, kind: manual-trigger}
  - {id: a, kind: probe, config: {value: "{{ trigger.n }}"}}
  - {id: each, kind: loop, config: {items: "{{ [1, 2, 3, 4] }}", parallel: 2}}
  - {id: work, kind: probe, parent_id: each, config: {value: "{{ item * nodes.a.output }}"}}
  - {id: b, kind: probe, config: {value: "{{ sum(nodes.each.output.items) }}"}}
  - {id: pause, kind: wait, config: {seconds: 0.02}}
  - {id: c, kind: set, config: {values: {total: "{{ nodes.b.output }}"}}}
connections: [{source: start, target: a}, {source: a, target: each}, {source: each, target: b}, {source: b, target: pause}, {source: pause, target: c}]
`

// TestNothingIsLostAndNothingFinishedRunsAgain stops the engine at random
// moments, without letting anything end, and starts another on the same
// database, as after kill -9.
func TestNothingIsLostAndNothingFinishedRunsAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newProbes()
		var mu sync.Mutex
		started := map[string]int{} // by idempotency key
		record := func(ctx context.Context, c node.Call, cfg probeConfig) (node.Result, error) {
			mu.Lock()
			started[c.Key]++
			mu.Unlock()
			select {
			case <-time.After(time.Duration(rand.IntN(3000)) * time.Microsecond):
			case <-ctx.Done():
				return node.Result{}, ctx.Err()
			}
			return node.Output("", cfg.Value), nil
		}
		for _, id := range []string{"a", "work", "b"} {
			p.on(id, record)
		}
		s := start(t, db, p, nil)
		id := s.define(crashWorkflow)
		var ids []string
		for i := range 40 {
			ids = append(ids, s.create(id, map[string]any{"n": i}).ID)
		}
		for range 8 {
			<-time.After(time.Duration(5+rand.IntN(25)) * time.Millisecond)
			s.stop()
			finished := finishedKeys(t, s, ids)
			mu.Lock()
			before := map[string]int{}
			for key := range finished {
				before[key] = started[key]
			}
			mu.Unlock()
			s = start(t, db, p, s.programs)
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				for key, n := range before {
					if started[key] != n {
						t.Errorf("%s was finished and ran again", key)
					}
				}
			}()
		}
		for i, id := range ids {
			x := s.wait(id)
			s.expectStatus(x, execution.Completed)
			expectJSON(t, x.Output, fmt.Sprintf(`{"total": %d}`, 10*i))
			if x.CompletedNodes != 7 {
				t.Errorf("completed %d nodes of 7", x.CompletedNodes)
			}
		}
	})
}

func finishedKeys(t *testing.T, s *studio, ids []string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, id := range ids {
		runs, _, err := s.store.AllNodeRuns(context.Background(), "w", id, 1000, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range runs {
			if n.Status == execution.NodeCompleted {
				out[id+"/"+n.NodeID+"/"+n.Iteration] = true
			}
		}
	}
	return out
}

func TestCommittedStepIsNotDoneAgain(t *testing.T) {
	db := storetest.SQLite(t)
	p := newProbes()
	var mu sync.Mutex
	done := map[string]int{}
	reached, gate := make(chan struct{}, 4), make(chan struct{})
	p.on("agent", func(ctx context.Context, c node.Call, _ probeConfig) (node.Result, error) {
		total := ""
		for i := range 4 {
			out, err := c.Step(ctx, node.Step{Name: fmt.Sprintf("turn-%d", i), Kind: "turn"}, func(context.Context) (node.StepResult, error) {
				mu.Lock()
				defer mu.Unlock()
				done[fmt.Sprint(i)]++
				return node.StepResult{Output: i, Usage: node.Usage{Input: 10, CostMicros: 5}}, nil
			})
			if err != nil {
				return node.Result{}, err
			}
			total += string(out)
			if i == 2 {
				reached <- struct{}{}
				select {
				case <-gate:
				case <-ctx.Done():
					return node.Result{}, ctx.Err()
				}
			}
		}
		return node.Output("", total), nil
	})
	s := start(t, db, p, nil)
	x := s.create(s.define(`
name: agent
nodes: [{id: start, kind: manual-trigger}, {id: agent, kind: probe}]
connections: [{source: start, target: agent}]
`), nil)
	<-reached
	s.stop()
	close(gate)
	s = start(t, db, p, s.programs)
	x = s.wait(x.ID)
	s.expectStatus(x, execution.Completed)
	expectJSON(t, x.Output, `"0123"`)
	for turn, n := range done {
		if n != 1 {
			t.Errorf("turn %s was done %d times", turn, n)
		}
	}
	if x.Usage.Input != 40 || x.Usage.CostMicros != 20 || s.nodes(x.ID)["agent"].Usage.Input != 40 {
		t.Errorf("usage: %+v, node %+v", x.Usage, s.nodes(x.ID)["agent"].Usage)
	}
}

func TestNodeThatMayNotBeRepeatedFailsAfterACrash(t *testing.T) {
	db := storetest.SQLite(t)
	p := newProbes()
	entered := make(chan struct{}, 1)
	p.on("pay", func(ctx context.Context, _ node.Call, _ probeConfig) (node.Result, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return node.Result{}, ctx.Err()
	})
	s := start(t, db, p, nil)
	x := s.create(s.define(`
name: once
nodes: [{id: start, kind: manual-trigger}, {id: pay, kind: once}]
connections: [{source: start, target: pay}]
`), nil)
	<-entered
	s.stop()
	s = start(t, db, p, s.programs)
	x = s.wait(x.ID)
	s.expectStatus(x, execution.Failed)
	if x.Error.Code != "crashed" || p.count("pay") != 1 {
		t.Fatalf("error %+v after %d runs", x.Error, p.count("pay"))
	}
}

func TestCommitIsFenced(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newProbes()
		s := start(t, db, p, nil)
		hold := make(chan struct{})
		entered := make(chan struct{}, 1)
		p.on("hold", func(ctx context.Context, _ node.Call, _ probeConfig) (node.Result, error) {
			entered <- struct{}{}
			select {
			case <-hold:
			case <-ctx.Done():
			}
			return node.Output("", 1), ctx.Err()
		})
		x := s.create(s.define(`
name: fenced
nodes: [{id: start, kind: manual-trigger}, {id: hold, kind: probe}]
connections: [{source: start, target: hold}]
`), nil)
		<-entered
		err := s.store.Commit(context.Background(), execution.Commit{WorkspaceID: "w", ExecutionID: x.ID, Epoch: 99, Head: &execution.Head{Status: execution.Completed}})
		if !fault.Is(err, fault.Stale) {
			t.Fatalf("a commit of another epoch answered %v", err)
		}
		if got := s.find(x.ID); got.Status == execution.Completed {
			t.Fatal("it was written")
		}
		close(hold)
		s.expectStatus(s.wait(x.ID), execution.Completed)
	})
}
