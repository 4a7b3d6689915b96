package store_test

import (
	"context"
	"testing"
	"time"

	"agentstudio/internal/dispatch/river"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

// leased is a PostgreSQL database with one execution that nobody holds.
type leased struct {
	t       *testing.T
	db      *store.DB
	journal *store.Executions
	leases  *store.Leases
}

func newLeased(t *testing.T) *leased {
	t.Helper()
	db := storetest.Postgres(t)
	queue, err := river.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	l := &leased{t: t, db: db, journal: store.NewExecutions(db, queue, time.Now), leases: store.NewLeases(db, queue)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.journal.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	x := execution.Execution{ID: "x", WorkspaceID: "w", Status: execution.Pending, TriggerData: []byte("{}"), CreatedAt: time.Now(), Epoch: 1}
	if _, _, err := l.journal.Create(t.Context(), execution.New{Execution: x}); err != nil {
		t.Fatal(err)
	}
	l.jobs(1)
	return l
}

func (l *leased) register(id string, lease time.Duration) execution.Worker {
	l.t.Helper()
	w := execution.Worker{ID: id, Lease: lease}
	if err := l.leases.Register(l.t.Context(), w); err != nil {
		l.t.Fatal(err)
	}
	return w
}

// jobs checks how many jobs there are, and takes them away.
func (l *leased) jobs(want int64) {
	l.t.Helper()
	result, err := l.db.Read().ExecContext(l.t.Context(), `DELETE FROM river_job`)
	if err != nil {
		l.t.Fatal(err)
	}
	if n, err := result.RowsAffected(); err != nil || n != want {
		l.t.Errorf("%d jobs, want %d (%v)", n, want, err)
	}
}

func (l *leased) claim(worker string) *execution.Execution {
	l.t.Helper()
	x, err := l.journal.Claim(l.t.Context(), "x", worker)
	if err != nil {
		l.t.Fatal(err)
	}
	return x
}

func (l *leased) commit(x *execution.Execution, h execution.Head) error {
	return l.journal.Commit(l.t.Context(), execution.Commit{WorkspaceID: "w", ExecutionID: "x", Epoch: x.Epoch, Head: &h})
}

func TestClaimIsRefusedWhileAnotherWorkerLives(t *testing.T) {
	l := newLeased(t)
	a := l.register("a", time.Minute)
	l.register("b", time.Minute)
	mine := l.claim("a")
	if _, err := l.journal.Claim(t.Context(), "x", "b"); !fault.Is(err, fault.Conflict) {
		t.Fatalf("the claim of b is %v", err)
	}
	if held, err := l.leases.Heartbeat(t.Context(), a, 10); err != nil || len(held) != 1 || !held[0].Look {
		t.Errorf("a was not told to look: %+v, %v", held, err)
	}
	l.register("a", time.Nanosecond) // its lease ends at once; what it held is released
	if x := l.claim("b"); x.Epoch <= mine.Epoch {
		t.Errorf("epoch %d after %d", x.Epoch, mine.Epoch)
	}
	if err := l.commit(mine, execution.Head{Status: execution.Completed, Release: true}); !fault.Is(err, fault.Stale) {
		t.Errorf("the commit of a is %v", err)
	}
}

func TestReleaseOfAFlaggedExecutionWritesAJob(t *testing.T) {
	l := newLeased(t)
	l.register("a", time.Minute)
	x := l.claim("a")
	if err := l.leases.Look(t.Context(), []execution.Ticket{{ID: "x", WorkspaceID: "w"}}); err != nil {
		t.Fatal(err)
	}
	l.jobs(0)
	rest := execution.Head{Status: execution.Waiting, Release: true}
	if err := l.commit(x, rest); err != nil {
		t.Fatal(err)
	}
	l.jobs(1)
	if err := l.commit(l.claim("a"), rest); err != nil {
		t.Fatal(err)
	}
	l.jobs(0)
	if _, err := l.journal.RequestCancel(t.Context(), "w", "x"); err != nil {
		t.Fatal(err)
	}
	l.jobs(1)
}

func TestAWorkerThatWasTakenOverHearsOfIt(t *testing.T) {
	l := newLeased(t)
	a := l.register("a", time.Nanosecond)
	l.claim("a")
	silent, n, err := l.leases.TakeOver(t.Context())
	if err != nil || len(silent) != 1 || n != 1 {
		t.Fatalf("took over %d of %v, %v", n, silent, err)
	}
	l.jobs(1)
	if _, err := l.leases.Heartbeat(t.Context(), a, 10); !fault.Is(err, fault.Stale) {
		t.Errorf("the heartbeat is %v", err)
	}
	if silent, _, err := l.leases.TakeOver(t.Context()); err != nil || len(silent) != 0 {
		t.Errorf("took over %v again, %v", silent, err)
	}
}

func TestADueTimerWritesOneJob(t *testing.T) {
	l := newLeased(t)
	l.register("a", time.Minute)
	const away = time.Second // longer than a commit takes on a busy machine
	at := time.Now().Add(away)
	if err := l.commit(l.claim("a"), execution.Head{Status: execution.Waiting, WakeAt: at, Release: true}); err != nil {
		t.Fatal(err)
	}
	l.jobs(0)
	woken := 0
	for woken == 0 {
		n, next, err := l.leases.Wake(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 && (next < 0 || next > away) {
			t.Fatalf("the next timer is in %s", next)
		}
		woken += n
	}
	if n, next, err := l.leases.Wake(t.Context(), 10); err != nil || n != 0 || next >= 0 {
		t.Errorf("woken again: %d, next %s, %v", n, next, err)
	}
	l.jobs(1)
}
