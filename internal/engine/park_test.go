package engine_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/engine"
	"agentstudio/internal/execution"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

// meddling is a journal with something happening around the commit that gives
// up the lease.
type meddling struct {
	*store.Executions
	before, after func(c execution.Commit)
	claims        atomic.Int32
	done          atomic.Bool
}

func (m *meddling) Claim(ctx context.Context, id, worker string) (*execution.Execution, error) {
	m.claims.Add(1)
	return m.Executions.Claim(ctx, id, worker)
}

func (m *meddling) Commit(ctx context.Context, c execution.Commit) error {
	rests := c.Head != nil && c.Head.Release && !c.Head.Status.Over() && m.done.CompareAndSwap(false, true)
	if rests && m.before != nil {
		m.before(c)
	}
	err := m.Executions.Commit(ctx, c)
	if rests && m.after != nil {
		m.after(c)
	}
	return err
}

const longWait = `
name: long
nodes:
  - {id: start, kind: manual-trigger}
  - {id: nap, kind: wait, config: {seconds: 3600}}
connections: [{source: start, target: nap}]
`

// executeMeddled runs an execution that goes to rest on an engine of its own.
func executeMeddled(t *testing.T, m *meddling, meddle func(m *meddling, e *engine.Engine)) {
	t.Helper()
	// The studio's dispatcher must not find what is created here: it works on
	// another database.
	s := start(t, storetest.SQLite(t), newProbes(), nil)
	m.Executions = store.NewExecutions(storetest.Postgres(t), nil, time.Now)
	writing, stop := context.WithCancel(context.Background())
	written := make(chan error, 1)
	go func() { written <- m.Run(writing) }()
	t.Cleanup(func() {
		stop()
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
	e := engine.New(m, s, s.bus, s.disp, m.Executions, engine.Config{Worker: "a", Log: slog.New(slog.DiscardHandler), NewID: newID, StayAwake: time.Millisecond})
	meddle(m, e)
	x := execution.Execution{ID: newID(), WorkspaceID: "w", WorkflowID: s.define(longWait), WorkflowName: "long", WorkflowVersion: 1, Status: execution.Pending,
		TriggerType: "manual", TriggerData: []byte("{}"), CreatedAt: time.Now(), Epoch: 1}
	if _, _, err := m.Create(t.Context(), execution.New{Execution: x}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := e.Execute(t.Context(), execution.Ticket{ID: x.ID, WorkspaceID: "w"})
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the engine did not let go")
	}

}

func TestAnEngineThatLostItsLeaseWhileGoingToRestLetsGo(t *testing.T) {
	executeMeddled(t, &meddling{}, func(m *meddling, _ *engine.Engine) {
		m.before = func(c execution.Commit) {
			if _, err := m.Executions.Claim(context.Background(), c.ExecutionID, "thief"); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAnExecutionWantedWhileGoingToRestIsClaimedAnew(t *testing.T) {
	m := &meddling{}
	executeMeddled(t, m, func(m *meddling, e *engine.Engine) {
		m.after = func(c execution.Commit) { e.Signal(c.ExecutionID) }
	})
	if n := m.claims.Load(); n != 2 {
		t.Errorf("it was claimed %d times", n)
	}
}
