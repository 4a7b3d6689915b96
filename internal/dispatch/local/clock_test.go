package local_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/dispatch/local"
	"agentstudio/internal/execution"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"

	"github.com/google/uuid"
)

// world is an engine that ends what it is given, and a clock that the test sets.
type world struct {
	t       *testing.T
	journal *store.Executions

	mu  sync.Mutex
	at  time.Time
	ran map[string]int
	one chan string // an execution has ended
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) set(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = at
}

// Execute implements local.Engine.
func (w *world) Execute(ctx context.Context, ticket execution.Ticket) (time.Time, error) {
	x, err := w.journal.Claim(ctx, ticket.ID, "local")
	if err != nil {
		return time.Time{}, err
	}
	w.mu.Lock()
	w.ran[ticket.ID]++
	w.mu.Unlock()
	err = w.journal.Commit(ctx, execution.Commit{WorkspaceID: "w", ExecutionID: x.ID, Epoch: x.Epoch, Head: &execution.Head{Status: execution.Completed, CompletedAt: w.now(), Release: true}})
	w.one <- ticket.ID
	return time.Time{}, err
}

// Signal implements local.Engine.
func (w *world) Signal(string) bool { return false }

func (w *world) create(at time.Time) string {
	w.t.Helper()
	x := execution.Execution{ID: uuid.Must(uuid.NewV7()).String(), WorkspaceID: "w", WorkflowID: "f", WorkflowName: "f", WorkflowVersion: 1, Status: execution.Pending,
		TriggerType: "manual", StartNode: "s", TriggerData: []byte("{}"), CreatedAt: w.now(), ScheduledAt: at, Epoch: 1, Worker: "local"}
	if _, _, err := w.journal.Create(w.t.Context(), execution.New{Execution: x}); err != nil {
		w.t.Fatal(err)
	}
	return x.ID
}

func (w *world) runs(id string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ran[id]
}

func TestTimersGoOffOnceWhenTheClockJumps(t *testing.T) {
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	w := &world{t: t, at: noon, ran: map[string]int{}, one: make(chan string, 16)}
	w.journal = store.NewExecutions(storetest.SQLite(t), nil, w.now)
	d := local.New(w.journal, local.Config{Now: w.now, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- w.journal.Run(ctx) }()
	running, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- d.Run(running, ctx, w) }()
	defer func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	next := func(want string) {
		t.Helper()
		select {
		case got := <-w.one:
			if got != want {
				t.Fatalf("%s ran, want %s", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nothing runs")
		}
	}
	// looked sets the clock and waits until the table was read by it: what is
	// due, and was not announced, is found by the look for an announced timer.
	looked := func(at time.Time) {
		t.Helper()
		w.set(at)
		mark := w.create(at)
		d.Announce(execution.Ticket{ID: uuid.NewString(), WorkspaceID: "w", At: at.Add(time.Millisecond)})
		next(mark)
	}
	timer := w.create(noon.Add(time.Hour))
	looked(noon)
	looked(noon.Add(-time.Hour))
	if n := w.runs(timer); n != 0 {
		t.Errorf("an hour back: it went off %d times", n)
	}
	w.set(noon.Add(time.Hour + time.Minute))
	d.Announce(execution.Ticket{ID: uuid.NewString(), WorkspaceID: "w", At: noon.Add(time.Hour + 2*time.Minute)})
	next(timer)
	looked(noon)
	looked(noon.Add(2 * time.Hour))
	if n := w.runs(timer); n != 1 {
		t.Errorf("it went off %d times", n)
	}
}
