// Package dispatchtest is what every dispatcher must do, whatever it is made
// of: accepted executions reach an engine, once at a time, in their order and
// not before their time.
package dispatchtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

// Engine is what a dispatcher drives.
type Engine interface {
	Execute(ctx context.Context, t execution.Ticket) (wake time.Time, err error)
	Signal(id string) bool
}

// Dispatcher is one dispatcher on a store of its own.
type Dispatcher struct {
	// Journal is the store behind it, whose writer runs.
	Journal  execution.Journal
	Announce func(tickets ...execution.Ticket)
	// Run drives the engine until ctx ends; executions run under drain.
	Run func(ctx, drain context.Context, engine Engine) error
	// MaxActive is how many executions it hands out at a time.
	MaxActive int
}

// Run tries a dispatcher; open makes a fresh one.
func Run(t *testing.T, open func(t *testing.T) Dispatcher) {
	for name, test := range map[string]func(*testing.T, *bench){
		"AnnouncedExecutionsRunOnce":                        runOnce,
		"ExecutionsLeftBehindRunOnStart":                    leftBehind,
		"ScheduledExecutionsWaitForTheirTime":               scheduled,
		"WaitingExecutionsWakeUp":                           wakeUp,
		"AnnouncingARunningExecutionTellsIt":                signal,
		"NoMoreThanAllowedRunAtATime":                       bounded,
		"UrgentExecutionsGoFirst":                           urgent,
		"AnEngineThatFailsIsTriedAgain":                     failing,
		"AnEngineThatFailsForEverDoesNotKeepItFromStopping": failingForEver,
		"StoppingWaitsForWhatRuns":                          stopping,
		"ALostAnnouncementIsFoundByTheNextStart":            lost,
		"ExecutionsThatAreOverAreNotHandedOut":              over,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, &bench{t: t, Dispatcher: open(t), ran: map[string]int{}, changed: make(chan struct{}, 1)})
		})
	}
}

// bench is a dispatcher with an engine that the test steers.
type bench struct {
	Dispatcher
	t       *testing.T
	do      func(ctx context.Context, t execution.Ticket) (time.Time, error)
	mu      sync.Mutex
	ran     map[string]int
	active  int
	most    int
	signals map[string]int
	changed chan struct{}
	count   int
}

// Execute implements Engine.
func (b *bench) Execute(ctx context.Context, ticket execution.Ticket) (time.Time, error) {
	b.mu.Lock()
	b.ran[ticket.ID]++
	b.active++
	b.most = max(b.most, b.active)
	b.mu.Unlock()
	defer b.note(func() { b.active-- })
	b.note(func() {})
	if b.do != nil {
		return b.do(ctx, ticket)
	}
	return time.Time{}, b.finish(ticket)
}

// Signal implements Engine.
func (b *bench) Signal(id string) bool {
	b.note(func() {
		if b.signals == nil {
			b.signals = map[string]int{}
		}
		b.signals[id]++
	})
	return true
}

func (b *bench) note(change func()) {
	b.mu.Lock()
	change()
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// finish ends an execution the way an engine does.
func (b *bench) finish(ticket execution.Ticket) error {
	return b.settle(ticket, execution.Head{Status: execution.Completed, CompletedAt: time.Now(), Release: true})
}

func (b *bench) settle(ticket execution.Ticket, head execution.Head) error {
	epoch := int64(1)
	if ticket.Fresh == nil {
		x, err := b.Journal.Claim(context.Background(), ticket.ID, "local")
		if fault.Is(err, fault.Conflict) { // it is over: a row that was read just before
			return nil
		}
		if err != nil {
			return err
		}
		epoch = x.Epoch
	}
	return b.Journal.Commit(context.Background(), execution.Commit{WorkspaceID: "w", ExecutionID: ticket.ID, Epoch: epoch, Head: &head})
}

// create stores an execution and returns its ticket.
func (b *bench) create(change func(*execution.Execution)) execution.Ticket {
	b.t.Helper()
	b.count++
	x := execution.Execution{ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", b.count), WorkspaceID: "w", WorkflowID: "f", WorkflowName: "f", WorkflowVersion: 1,
		Status: execution.Pending, TriggerType: "manual", StartNode: "s", TriggerData: []byte("{}"), CreatedAt: time.Now(), Epoch: 1, Worker: "local"}
	if change != nil {
		change(&x)
	}
	if _, _, err := b.Journal.Create(context.Background(), execution.New{Execution: x}); err != nil {
		b.t.Fatal(err)
	}
	return execution.Ticket{ID: x.ID, WorkspaceID: "w", Priority: x.Priority, At: x.ScheduledAt, Fresh: &x}
}

// start runs the dispatcher until the test or stop ends.
func (b *bench) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	drain, cutOff := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx, drain, b) }()
	stop = sync.OnceFunc(func() {
		defer cutOff()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				b.t.Error(err)
			}
		case <-time.After(20 * time.Second):
			b.t.Error("it did not stop")
		}
	})
	b.t.Cleanup(stop)
	return stop
}

// until waits for something the engine sees.
func (b *bench) until(what string, holds func() bool) {
	b.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		b.mu.Lock()
		ok := holds()
		b.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-b.changed:
		case <-deadline:
			b.t.Fatalf("%s: never happened; ran %v", what, b.ran)
		}
	}
}

func runOnce(t *testing.T, b *bench) {
	stop := b.start()
	for range 50 {
		ticket := b.create(nil)
		b.Announce(ticket)
		b.Announce(ticket)
	}
	b.until("all ran", func() bool { return len(b.ran) == 50 && b.active == 0 })
	stop()
	for id, n := range b.ran {
		if n > 2 { // the second announcement may find it over, and look
			t.Errorf("%s ran %d times", id, n)
		}
	}
}

func leftBehind(_ *testing.T, b *bench) {
	for range 20 {
		b.create(func(x *execution.Execution) { x.Status = execution.Running })
	}
	b.start()
	b.until("all ran", func() bool { return len(b.ran) == 20 })
}

func lost(_ *testing.T, b *bench) {
	ticket := b.create(nil)
	b.start()
	b.until("it ran", func() bool { return b.ran[ticket.ID] == 1 })
}

func scheduled(t *testing.T, b *bench) {
	b.start()
	at := time.Now().Add(300 * time.Millisecond)
	ticket := b.create(func(x *execution.Execution) { x.ScheduledAt = at })
	b.Announce(ticket)
	b.until("it ran", func() bool { return b.ran[ticket.ID] > 0 })
	if time.Now().Before(at.Add(-time.Millisecond)) {
		t.Error("it ran before its time")
	}
}

func wakeUp(t *testing.T, b *bench) {
	woken := 0
	at := time.Now().Add(300 * time.Millisecond).Truncate(time.Millisecond)
	b.do = func(_ context.Context, ticket execution.Ticket) (time.Time, error) {
		if time.Now().Before(at) {
			return at, b.settle(ticket, execution.Head{Status: execution.Waiting, WakeAt: at, Release: true})
		}
		b.note(func() { woken++ })
		return time.Time{}, b.finish(ticket)
	}
	b.start()
	ticket := b.create(nil)
	b.Announce(ticket)
	b.until("it was woken", func() bool { return woken == 1 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.ran[ticket.ID]; n > 3 { // a look too many does no harm, polling would
		t.Errorf("it was looked at %d times", n)
	}
}

func signal(_ *testing.T, b *bench) {
	leave := make(chan struct{})
	b.do = func(_ context.Context, ticket execution.Ticket) (time.Time, error) {
		<-leave
		return time.Time{}, b.finish(ticket)
	}
	b.start()
	ticket := b.create(nil)
	b.Announce(ticket)
	b.until("it runs", func() bool { return b.active == 1 })
	b.Announce(execution.Ticket{ID: ticket.ID, WorkspaceID: "w"})
	b.until("it was told", func() bool { return b.signals[ticket.ID] == 1 })
	close(leave)
	b.until("it ended", func() bool { return b.active == 0 })
}

func bounded(t *testing.T, b *bench) {
	leave := make(chan struct{})
	b.do = func(_ context.Context, ticket execution.Ticket) (time.Time, error) {
		<-leave
		return time.Time{}, b.finish(ticket)
	}
	b.start()
	for range 3 * b.MaxActive {
		b.Announce(b.create(nil))
	}
	b.until("as many run as may", func() bool { return b.active == b.MaxActive })
	close(leave)
	b.until("all ran", func() bool { return len(b.ran) == 3*b.MaxActive && b.active == 0 })
	if b.most > b.MaxActive {
		t.Errorf("%d ran at a time", b.most)
	}
}

func urgent(t *testing.T, b *bench) {
	var urgent string
	for i := range 3 * b.MaxActive {
		ticket := b.create(func(x *execution.Execution) {
			if i == 3*b.MaxActive-1 {
				x.Priority = 9
			}
		})
		urgent = ticket.ID
	}
	leave := make(chan struct{})
	b.do = func(_ context.Context, ticket execution.Ticket) (time.Time, error) {
		<-leave
		return time.Time{}, b.finish(ticket)
	}
	b.start()
	b.until("as many run as may", func() bool { return b.active == b.MaxActive })
	b.mu.Lock()
	first := b.ran[urgent]
	b.mu.Unlock()
	close(leave)
	if first != 1 {
		t.Error("the urgent one is not among the first")
	}
	b.until("all ran", func() bool { return len(b.ran) == 3*b.MaxActive })
}

func failingForEver(_ *testing.T, b *bench) {
	b.do = func(context.Context, execution.Ticket) (time.Time, error) {
		return time.Time{}, errors.New("the database is away")
	}
	stop := b.start()
	ticket := b.create(nil)
	b.Announce(ticket)
	b.until("it was tried again", func() bool { return b.ran[ticket.ID] > 2 })
	stop()
}

func failing(_ *testing.T, b *bench) {
	b.do = func(_ context.Context, ticket execution.Ticket) (time.Time, error) {
		b.mu.Lock()
		n := b.ran[ticket.ID]
		b.mu.Unlock()
		if n < 3 {
			return time.Time{}, errors.New("the database is away")
		}
		return time.Time{}, b.finish(ticket)
	}
	b.start()
	ticket := b.create(nil)
	b.Announce(ticket)
	b.until("it was tried again", func() bool { return b.ran[ticket.ID] == 3 && b.active == 0 })
}

func stopping(t *testing.T, b *bench) {
	leave := make(chan struct{})
	b.do = func(_ context.Context, ticket execution.Ticket) (time.Time, error) {
		<-leave
		return time.Time{}, b.finish(ticket)
	}
	stop := b.start()
	b.Announce(b.create(nil))
	b.until("it runs", func() bool { return b.active == 1 })
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	select {
	case <-stopped:
		t.Error("it stopped while an execution ran")
	case <-time.After(50 * time.Millisecond):
	}
	close(leave)
	<-stopped
	b.Announce(b.create(nil))
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ran) != 1 {
		t.Errorf("something started after the stop: %v", b.ran)
	}
}

func over(t *testing.T, b *bench) {
	done := b.create(nil)
	if err := b.finish(done); err != nil {
		t.Fatal(err)
	}
	next := b.create(nil)
	b.start()
	b.until("the open one ran", func() bool { return b.ran[next.ID] == 1 })
	if b.ran[done.ID] != 0 {
		t.Error("one that was over ran")
	}
}
