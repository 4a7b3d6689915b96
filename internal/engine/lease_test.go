package engine_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/engine"
	"agentstudio/internal/execution"
	"agentstudio/internal/node"
	"agentstudio/internal/store/storetest"
)

// A process that was stopped for longer than its lease, and goes on, must not
// reach outside for executions that others have taken over.
func TestAnEngineWhoseLeaseHasEndedReachesNothingOutside(t *testing.T) {
	p := newProbes()
	s := start(t, storetest.SQLite(t), p, nil)
	var ended atomic.Bool
	p.on("a", func(context.Context, node.Call, probeConfig) (node.Result, error) {
		ended.Store(true)
		return node.Output("", 1), nil
	})
	p.on("c", func(ctx context.Context, c node.Call, _ probeConfig) (node.Result, error) {
		_, err := c.Step(ctx, node.Step{Name: "turn", Kind: "turn"}, func(context.Context) (node.StepResult, error) {
			if ended.Load() {
				t.Error("a step was taken without the lease")
			}
			return node.StepResult{Output: 1}, nil
		})
		return node.Output("", 1), err
	})
	id := s.define(`
name: stopped
nodes:
  - {id: start, kind: manual-trigger}
  - {id: a, kind: probe}
  - {id: b, kind: probe}
  - {id: c, kind: probe}
connections: [{source: start, target: a}, {source: a, target: b}, {source: b, target: c}]
`)
	stopped := engine.New(s.store, s, s.bus, s.disp, s.store, engine.Config{Worker: "local", Log: slog.New(slog.DiscardHandler), NewID: newID, Holds: func() bool { return !ended.Load() }})
	x := execution.Execution{ID: newID(), WorkspaceID: "w", WorkflowID: id, WorkflowName: id, WorkflowVersion: 1, Status: execution.Pending,
		TriggerType: "manual", TriggerData: []byte("{}"), CreatedAt: time.Now(), Epoch: 1, Worker: "local"}
	if _, _, err := s.store.Create(t.Context(), execution.New{Execution: x}); err != nil {
		t.Fatal(err)
	}
	if _, err := stopped.Execute(t.Context(), execution.Ticket{ID: x.ID, WorkspaceID: "w"}); err != nil {
		t.Fatal(err)
	}
	if p.count("a") != 1 || p.count("b") != 0 {
		t.Errorf("a ran %d times and b %d times", p.count("a"), p.count("b"))
	}
	ended.Store(false)
	s.disp.Announce(execution.Ticket{ID: x.ID, WorkspaceID: "w"})
	s.expectStatus(s.wait(x.ID), execution.Completed)
	if p.count("a") != 1 || p.count("b") != 1 {
		t.Errorf("after all a ran %d times and b %d times", p.count("a"), p.count("b"))
	}
}
