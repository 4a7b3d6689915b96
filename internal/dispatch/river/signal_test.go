package river_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/execution"
)

func TestCancelReachesTheWorkerThatRunsIt(t *testing.T) {
	w := newWorld(t)
	told := make(chan time.Time, 1)
	w.do = func(ctx context.Context, p *process, x *execution.Execution, signal <-chan struct{}) error {
		select {
		case <-signal:
			told <- time.Now()
		case <-ctx.Done():
			return ctx.Err()
		}
		return p.finish(x)
	}
	first := w.start("first")
	id := first.create(nil)
	w.until("it runs", func() bool { return len(w.began[id]) == 1 })
	other := open(t, w.url)
	asked := time.Now()
	if _, err := other.journal.RequestCancel(t.Context(), "w", id); err != nil {
		t.Fatal(err)
	}
	if took := (<-told).Sub(asked); took > time.Second {
		t.Errorf("it took %s", took)
	}
	w.until("it ended", func() bool { return first.status(id).Over() })
}

func TestCancelOfAWaitingExecutionIsTakenUp(t *testing.T) {
	w := newWorld(t)
	w.do = func(_ context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		if x.CancelRequested {
			return p.commit(x, execution.Head{Status: execution.Cancelled, CompletedAt: time.Now(), Release: true})
		}
		return p.commit(x, execution.Head{Status: execution.Waiting, Release: true})
	}
	p := w.start("p")
	id := p.create(nil)
	w.until("it waits", func() bool { return p.status(id) == execution.Waiting })
	if _, err := open(t, w.url).journal.RequestCancel(t.Context(), "w", id); err != nil {
		t.Fatal(err)
	}
	w.until("it is cancelled", func() bool { return p.status(id) == execution.Cancelled })
}

func TestTheEndOfAChildWakesItsParentWhereverThatIs(t *testing.T) {
	w := newWorld(t)
	w.do = func(ctx context.Context, p *process, x *execution.Execution, signal <-chan struct{}) error {
		if x.ParentID != "" {
			return p.journal.Commit(context.Background(), execution.Commit{WorkspaceID: "w", ExecutionID: x.ID, Epoch: x.Epoch, Parent: x.ParentID,
				Head: &execution.Head{Status: execution.Completed, CompletedAt: time.Now(), Release: true}})
		}
		if x.Status == execution.Waiting {
			return p.finish(x)
		}
		return p.commit(x, execution.Head{Status: execution.Waiting, Release: true})
	}
	first := w.start("first")
	w.start("second")
	for range 20 {
		parent := first.create(nil)
		w.until("it waits", func() bool { return first.status(parent) == execution.Waiting })
		first.create(func(x *execution.Execution) { x.ParentID = parent })
		w.until("it goes on", func() bool { return first.status(parent) == execution.Completed })
	}
}

// TestNoSignalIsLostWhenItRacesWithRest asks an execution to look at its row
// while it is going to rest, many times: what is asked for must be seen.
func TestNoSignalIsLostWhenItRacesWithRest(t *testing.T) {
	w := newWorld(t)
	w.do = func(ctx context.Context, p *process, x *execution.Execution, signal <-chan struct{}) error {
		for looked := false; ; looked = true {
			if looked {
				again, err := p.journal.Find(context.Background(), "w", x.ID)
				if err != nil {
					return err
				}
				x.CancelRequested = again.CancelRequested
			}
			if x.CancelRequested {
				return p.commit(x, execution.Head{Status: execution.Cancelled, CompletedAt: time.Now(), Release: true})
			}
			select {
			case <-signal:
			case <-ctx.Done():
				return ctx.Err()
			default:
				return p.commit(x, execution.Head{Status: execution.Waiting, Release: true})
			}
		}
	}
	first, second := w.start("first"), w.start("second")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 40 {
				id := first.create(nil)
				asks := second
				if i%2 == 0 {
					asks = first
				}
				w.until("it is taken", func() bool { return len(w.began[id]) > 0 })
				if _, err := asks.journal.RequestCancel(context.Background(), "w", id); err != nil {
					t.Error(err)
				}
				w.until("it is cancelled", func() bool { return first.status(id) == execution.Cancelled })
			}
		})
	}
	all.Wait()
}

func TestTimersGoOnWhenTheLeaderLeaves(t *testing.T) {
	w := newWorld(t)
	w.do = func(_ context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		if x.Status == execution.Waiting {
			if early := time.Until(x.WakeAt); early > 5*time.Millisecond {
				t.Errorf("woken %s early", early)
			}
			return p.finish(x)
		}
		return p.commit(x, execution.Head{Status: execution.Waiting, WakeAt: time.Now().Add(400 * time.Millisecond), Release: true})
	}
	first := w.start("first")
	id := first.create(nil)
	w.until("it woke", func() bool { return first.status(id) == execution.Completed })
	second := w.start("second")
	id = second.create(nil)
	w.until("it waits", func() bool { return second.status(id) == execution.Waiting })
	first.stop()
	w.until("it woke", func() bool { return second.status(id) == execution.Completed })
}

func TestWhatAStoppingWorkerHoldsGoesOnAtOnce(t *testing.T) {
	w := newWorld(t)
	w.do = func(ctx context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		if p.name == "first" {
			<-ctx.Done()
			return ctx.Err()
		}
		return p.finish(x)
	}
	first := w.start("first")
	id := first.create(nil)
	w.until("it runs", func() bool { return len(w.began[id]) == 1 })
	second := w.start("second")
	first.stop()
	stopped := time.Now()
	w.until("it ran elsewhere", func() bool { return second.status(id) == execution.Completed })
	if took := time.Since(stopped); took > lease/2 {
		t.Errorf("it went on after %s", took)
	}
	if n := second.workers(); n != 1 {
		t.Errorf("%d workers are listed", n)
	}
}

// TestCutConnectionsAreMadeAgain cuts what the worker listens and leads on:
// signals and timers go on.
func TestCutConnectionsAreMadeAgain(t *testing.T) {
	w := newWorld(t)
	w.do = func(ctx context.Context, p *process, x *execution.Execution, signal <-chan struct{}) error {
		switch {
		case x.Status == execution.Waiting:
			return p.finish(x)
		case x.Priority == 1:
			return p.commit(x, execution.Head{Status: execution.Waiting, WakeAt: time.Now().Add(100 * time.Millisecond), Release: true})
		}
		for {
			select {
			case <-signal: // also after each new connection, just in case
				if again, err := p.journal.Find(ctx, "w", x.ID); err != nil || again.CancelRequested {
					return errors.Join(err, p.finish(x))
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	p := w.start("p")
	other := open(t, w.url)
	for range 3 {
		held := p.create(nil)
		w.until("it runs", func() bool { return len(w.began[held]) == 1 })
		if _, err := other.db.Read().ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'agentstudio worker'`); err != nil {
			t.Fatal(err)
		}
		if _, err := other.journal.RequestCancel(t.Context(), "w", held); err != nil {
			t.Fatal(err)
		}
		timer := p.create(func(x *execution.Execution) { x.Priority = 1 })
		w.until("it was told", func() bool { return p.status(held).Over() })
		w.until("the timer woke it", func() bool { return p.status(timer).Over() })
	}
}

func TestWaitingExecutionsCostNoJobs(t *testing.T) {
	w := newWorld(t)
	w.do = func(_ context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		return p.commit(x, execution.Head{Status: execution.Waiting, WakeAt: time.Now().Add(time.Hour), Release: true})
	}
	p := w.start("p")
	for range 20 {
		id := p.create(nil)
		w.until("it waits", func() bool { return p.status(id) == execution.Waiting })
	}
	p.create(func(x *execution.Execution) { x.ScheduledAt = time.Now().Add(time.Hour) })
	p.stop()
	var jobs int
	if err := p.db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM river_job WHERE state <> 'completed'`).Scan(&jobs); err != nil || jobs != 0 {
		t.Errorf("%d jobs, %v", jobs, err)
	}
}

func TestInsertsInQuickSuccessionAllNotify(t *testing.T) {
	w := newWorld(t)
	w.do = func(_ context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		return p.finish(x)
	}
	p := w.start("p")
	for range 200 {
		began := time.Now()
		id := p.create(nil)
		w.until("it ran", func() bool { return len(w.began[id]) == 1 })
		if took := time.Since(began); took > 800*time.Millisecond {
			t.Errorf("it started after %s: a notification was missing", took)
		}
	}
}
