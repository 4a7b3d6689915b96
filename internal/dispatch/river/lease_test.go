package river_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"agentstudio/internal/dispatch/river"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

func TestExecutionsOfASilentWorkerRunOnAnotherOnceMore(t *testing.T) {
	w := newWorld(t)
	late := make(chan error, 1)
	freed := make(chan struct{})
	w.do = func(ctx context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		if p.name == "first" { // hangs, then tries to commit what it did
			<-freed
			late <- p.finish(x)
			return ctx.Err()
		}
		return p.finish(x)
	}
	first := w.start("first")
	id := first.create(nil)
	w.until("it runs", func() bool { return len(w.began[id]) == 1 })
	second := w.start("second")
	first.cut.sever()
	w.until("it ran elsewhere", func() bool { return second.status(id) == execution.Completed })
	close(freed)
	if err := <-late; !fault.Is(err, fault.Stale) {
		t.Errorf("the commit of the first is %v", err)
	}
	w.mu.Lock()
	if got := fmt.Sprint(w.began[id]); got != "[first second]" {
		t.Errorf("it ran on %s", got)
	}
	w.mu.Unlock()
	if n := second.workers(); n != 1 {
		t.Errorf("%d workers are listed", n)
	}
	first.cut.mend()
	w.until("it has registered anew", func() bool { return second.workers() == 2 })
	first.stop()
	if n := second.workers(); n != 1 {
		t.Errorf("%d workers are listed after one has left", n)
	}
}

func TestAWorkerWithoutALeaseStartsNothing(t *testing.T) {
	w := newWorld(t)
	w.do = func(_ context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		return p.finish(x)
	}
	first := w.start("first")
	first.cut.sever()
	w.until("others may take over", func() bool {
		silent, _, err := first.leases.TakeOver(context.Background())
		return err == nil && len(silent) == 1
	})
	id := first.create(nil)
	second := w.start("second")
	w.until("it ran", func() bool { return second.status(id) == execution.Completed })
	first.cut.mend()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := fmt.Sprint(w.began[id]); got != "[second]" {
		t.Errorf("it ran on %s", got)
	}
}

func TestJobsAWorkerHadBegunWithAreGivenToOthers(t *testing.T) {
	w := newWorld(t)
	w.do = func(_ context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		return p.finish(x)
	}
	p := w.start("p")
	id := p.create(func(x *execution.Execution) { x.ScheduledAt = time.Now().Add(time.Hour) })
	// A worker that died between taking the job and claiming the execution.
	if _, err := p.db.Read().ExecContext(t.Context(), `INSERT INTO river_job (args, kind, max_attempts, state, attempted_at, attempted_by, attempt)
		VALUES (jsonb_build_object('id', $1::text, 'workspace', 'w'), 'execution', 10, 'running', now(), '{ghost}', 1)`, id); err != nil {
		t.Fatal(err)
	}
	// The leader sweeps when it begins: either finds it.
	if _, err := p.leases.Sweep(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	w.until("it ran", func() bool { return p.status(id) == execution.Completed })
}

func TestWhatWasForgottenIsFoundBySweeping(t *testing.T) {
	w := newWorld(t)
	w.do = func(_ context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		return p.finish(x)
	}
	bare := store.NewExecutions(open(t, w.url).db, nil, time.Now) // writes no jobs
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = bare.Run(ctx) }()
	for i, x := range []execution.Execution{{Status: execution.Running, Worker: "local"}, {Status: execution.Pending}, {Status: execution.Waiting}} {
		x.ID, x.WorkspaceID, x.TriggerData, x.CreatedAt, x.Epoch = fmt.Sprint("e", i), "w", []byte("{}"), time.Now(), 1
		if _, _, err := bare.Create(t.Context(), execution.New{Execution: x}); err != nil {
			t.Fatal(err)
		}
	}
	p := w.start("p")
	w.until("all ran", func() bool {
		return p.status("e0").Over() && p.status("e1").Over() && p.status("e2").Over()
	})
	if n, err := p.leases.Sweep(t.Context(), 10); err != nil || n != 0 {
		t.Errorf("there was more to find: %d, %v", n, err)
	}
}

func TestAStopBeforeTheStartIsNoFailure(t *testing.T) {
	url := storetest.PostgresURL(t)
	db := storetest.Open(t, store.Config{URL: url})
	queue, err := river.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	d := river.New(url, store.NewLeases(db, queue), river.Config{Worker: execution.Worker{ID: "early"}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Run(ctx, t.Context(), nil); err != nil {
		t.Errorf("stopping it at once is an error: %v", err)
	}
}
