package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/dispatch/river"
	"agentstudio/internal/engine"
	"agentstudio/internal/execution"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/workflow"
)

type shared struct{ *river.Dispatcher }

func (d shared) run(ctx, drain context.Context, e *engine.Engine) error { return d.Run(ctx, drain, e) }

// startShared brings a studio up as one of several processes on a database.
func startShared(t testing.TB, url string, p *probes, programs map[string]*workflow.Program) *studio {
	t.Helper()
	return startCarried(t, url, p, programs, nil)
}

func startCarried(t testing.TB, url string, p *probes, programs map[string]*workflow.Program, over carrier) *studio {
	t.Helper()
	db := storetest.Open(t, store.Config{URL: url})
	queue, err := river.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	worker := newID()
	d := river.New(url, store.NewLeases(db, queue), river.Config{Worker: execution.Worker{ID: worker, Lease: 2 * time.Second}, Log: slog.New(slog.DiscardHandler)})
	s := startWith(t, db, p, programs, store.NewExecutions(db, queue, time.Now), shared{d}, worker, over)
	<-d.Ready()
	return s
}

func TestTwoProcessesShareTheExecutions(t *testing.T) {
	url := storetest.PostgresURL(t)
	p := newProbes()
	first := startShared(t, url, p, nil)
	first.define(chain)
	parent := first.define(`
name: parent
nodes:
  - {id: start, kind: manual-trigger}
  - {id: nap, kind: wait, config: {seconds: 1.5}}
  - {id: c, kind: probe, config: {value: 1}}
connections: [{source: start, target: nap}, {source: nap, target: c}]
`)
	second := startShared(t, url, p, first.programs)
	var ids []string
	for i := range 20 {
		ids = append(ids, first.create("chain", map[string]any{"n": i}).ID, second.create(parent, nil).ID)
	}
	for _, id := range ids {
		awaitRow(t, first, id, execution.Completed)
	}
	if n := p.count("b"); n != 20 {
		t.Errorf("the node of 20 chains ran %d times", n)
	}
	if n := p.count("c"); n != 20 {
		t.Errorf("the node after 20 waits ran %d times", n)
	}
}

func TestCancelReachesAnEngineInAnotherProcess(t *testing.T) {
	url := storetest.PostgresURL(t)
	p := newProbes()
	first := startShared(t, url, p, nil)
	id := first.define(slow)
	p.on("work", func(ctx context.Context, _ node.Call, _ probeConfig) (node.Result, error) {
		<-ctx.Done()
		return node.Result{}, ctx.Err()
	})
	x := first.create(id, nil)
	awaitNode(t, first, x.ID, "work")
	other := storetest.Open(t, store.Config{URL: url, MaxConns: 2})
	queue, err := river.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	asked := time.Now()
	if _, err := store.NewExecutions(other, queue, time.Now).RequestCancel(t.Context(), "w", x.ID); err != nil {
		t.Fatal(err)
	}
	awaitRow(t, first, x.ID, execution.Cancelled)
	if took := time.Since(asked); took > time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestAnExecutionTakenFromALiveWorkerGoesOn(t *testing.T) {
	url := storetest.PostgresURL(t)
	p := newProbes()
	first := startShared(t, url, p, nil)
	id := first.define(slow)
	var calls atomic.Int32
	p.on("work", func(ctx context.Context, _ node.Call, _ probeConfig) (node.Result, error) {
		if calls.Add(1) > 1 {
			return node.Result{}, nil
		}
		<-ctx.Done()
		return node.Result{}, ctx.Err()
	})
	x := first.create(id, nil)
	awaitNode(t, first, x.ID, "work")
	other := storetest.Open(t, store.Config{URL: url, MaxConns: 2})
	queue, err := river.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	// The database's clock jumps: the lease is over there, and nobody has told
	// the worker, which gets the job that is to have the execution go on.
	if _, err := other.Read().ExecContext(t.Context(), `UPDATE workers SET expires_at = 1`); err != nil {
		t.Fatal(err)
	}
	if silent, n, err := store.NewLeases(other, queue).TakeOver(t.Context()); err != nil || len(silent) != 1 || n != 1 {
		t.Fatalf("%v silent, %d executions, %v", silent, n, err)
	}
	awaitRow(t, first, x.ID, execution.Completed)
}

// awaitRow waits for a status that another process may have brought about.
func awaitRow(t *testing.T, s *studio, id string, want execution.Status) {
	t.Helper()
	awaitRowFor(t, s, id, want, 20*time.Second)
}

func awaitRowFor(t *testing.T, s *studio, id string, want execution.Status, limit time.Duration) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.find(id).Status != want {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("execution %s is %s", id, fmt.Sprintf("%+v %+v", s.find(id), s.find(id).Error))
		}
	}
}

func awaitNode(t *testing.T, s *studio, id, node string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.nodes(id)[node].Status != execution.NodeRunning {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("node %s does not run", node)
		}
	}
}

const slow = `
name: slow
nodes:
  - {id: start, kind: manual-trigger}
  - {id: work, kind: probe}
connections: [{source: start, target: work}]
`
