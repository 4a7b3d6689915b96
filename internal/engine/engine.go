// Package engine runs executions: it visits nodes, waits, retries, repeats
// and commits what happened before anybody hears of it.
//
// One goroutine owns one execution at a time (run.go). What may start next is
// decided by execution.Progress from committed facts, so an execution taken up
// after a crash goes the same way as one that never stopped.
package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

// Programs finds compiled versions of workflows. Implementations cache.
type Programs interface {
	execution.Definitions
	// Live returns the version that runs when a workflow is started by another.
	Live(ctx context.Context, workspaceID, workflowID string) (version int, err error)
}

// Publisher announces committed events and passing deltas. It never blocks.
type Publisher interface {
	Publish(ctx context.Context, events ...event.Event)
}

// Control asks for the end of other executions, or holds them up: those that
// an execution has started.
type Control interface {
	RequestCancel(ctx context.Context, workspaceID, id string) (*execution.Execution, error)
	RequestPause(ctx context.Context, workspaceID, id string, paused bool) (*execution.Execution, error)
}

// Observer counts what an engine does. It must not block.
type Observer interface {
	// Began hears of an execution that starts, so long after it was to.
	Began(late time.Duration)
	// Ended hears of an execution whose end is committed.
	Ended(status execution.Status, took time.Duration)
	// Node hears of a node whose outcome is committed.
	Node(kind string, status execution.NodeStatus)
}

// Tracer tells others what is going on and how long it takes. What is begun
// within the contexts it returns belongs to what they were made for. It must
// not block.
type Tracer interface {
	// Execution hears of an execution that is taken into memory, and its end of
	// when it leaves it: over, or to rest.
	Execution(ctx context.Context, x *execution.Execution) (_ context.Context, end func(x *execution.Execution, err error))
	// Node hears of an attempt at a node.
	Node(ctx context.Context, kind string, c *node.Call) (_ context.Context, end func(parked bool, err error))
}

// Config adjusts an engine; zero values are useful.
type Config struct {
	Worker      string        // name in leases; "local" when empty
	NodeTimeout time.Duration // of one attempt, when neither node nor kind says; 5 minutes
	MaxParallel int           // nodes of one execution at a time, when the workflow does not say; 16
	InlineBytes int           // outputs above this become payloads; 64 KiB
	OutputBytes int           // outputs above this fail their node; 32 MiB
	MaxDepth    int           // of sub-workflows; 10
	MaxItems    int           // of a loop; 100,000
	// SplitFrom is how many items a split needs to be spread over the workers;
	// with fewer it stays in its execution. 0: none is spread.
	SplitFrom int
	// SplitAlone spreads splits although no other worker is there.
	SplitAlone bool
	StayAwake  time.Duration // waits shorter than this keep the execution in memory; 1 s
	Drain      time.Duration // how long a stop waits for nodes in flight; 20 s
	Log        *slog.Logger
	Now        func() time.Time
	NewID      func() string
	// Holds reports whether this process may still run what it has claimed. A
	// process that was stopped for a while asks before it reaches outside: by
	// then others may have gone on. nil: always.
	Holds func() bool
	// Outcome hears of an execution whose end or response is committed, before
	// the event is published, unless its output is too large to be at hand. It
	// must not block. nil: nobody wants to know.
	Outcome func(x *execution.Execution)
	// Observer counts; nil: nobody does.
	Observer Observer
	// Tracer follows executions and nodes; nil: nobody does.
	Tracer Tracer
}

func (c *Config) fill() {
	set(&c.NodeTimeout, 5*time.Minute)
	set(&c.MaxParallel, 16)
	set(&c.InlineBytes, 64<<10)
	set(&c.OutputBytes, 32<<20)
	set(&c.MaxDepth, 10)
	set(&c.MaxItems, 100_000)
	set(&c.StayAwake, time.Second)
	set(&c.Drain, 20*time.Second)
	set(&c.Worker, "local")
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Holds == nil {
		c.Holds = func() bool { return true }
	}
}

func set[T comparable](field *T, fallback T) {
	var zero T
	if *field == zero {
		*field = fallback
	}
}

// Engine runs executions. Make one with New.
type Engine struct {
	cfg      Config
	journal  execution.Journal
	programs Programs
	bus      Publisher
	announce execution.Announcer
	control  Control

	mu   sync.Mutex
	runs map[string]*run

	stop     chan struct{} // closed by Stop: start no more nodes
	stopOnce sync.Once
}

// New returns an engine. NewID must be set: it makes the ids of child executions.
func New(journal execution.Journal, programs Programs, bus Publisher, announce execution.Announcer, control Control, cfg Config) *Engine {
	cfg.fill()
	return &Engine{cfg: cfg, journal: journal, programs: programs, bus: bus, announce: announce, control: control,
		runs: map[string]*run{}, stop: make(chan struct{})}
}

// Stop lets executions end what is in flight, commit it, and go to rest; no
// further node starts. Execute returns soon after.
func (e *Engine) Stop() { e.stopOnce.Do(func() { close(e.stop) }) }

// Active returns how many executions are in memory.
func (e *Engine) Active() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.runs)
}

// Execute runs an execution until it is over or waits for something that is
// further away than Config.StayAwake; then it returns when to look again
// (zero: somebody will announce it). Every goroutine it started has ended when
// it returns. An error means that it could not go on for reasons of ours: the
// execution is unchanged since its last commit and may be tried again.
func (e *Engine) Execute(ctx context.Context, t execution.Ticket) (wake time.Time, err error) {
	for again := true; again && err == nil; t.Fresh = nil {
		wake, again, err = e.execute(ctx, t)
	}
	return wake, err
}

// execute is one life of an execution in memory, under one lease. It reports
// whether somebody wanted it while it went to rest.
func (e *Engine) execute(ctx context.Context, t execution.Ticket) (wake time.Time, again bool, err error) {
	x := t.Fresh
	fresh := x != nil
	if !fresh {
		x, err = e.journal.Claim(ctx, t.ID, e.cfg.Worker)
		if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
			return time.Time{}, false, nil
		}
		if err != nil {
			return time.Time{}, false, err
		}
	}
	if x.Status.Over() {
		return time.Time{}, false, nil
	}
	if now := e.cfg.Now(); x.Status == execution.Pending && x.ScheduledAt.After(now) && !x.CancelRequested {
		return x.ScheduledAt, false, nil
	}
	r := newRun(e, x)
	if !e.enter(r) {
		return time.Time{}, false, nil
	}
	defer e.leave(r)
	if t := e.cfg.Tracer; t != nil {
		var end func(*execution.Execution, error)
		ctx, end = t.Execution(ctx, x)
		defer func() { end(r.x, err) }()
	}
	// What is pending has left no rows behind, whoever claimed it.
	wake, err = r.execute(ctx, (fresh || x.Status == execution.Pending) && x.RetryOf == "")
	return wake, r.again, err
}

func (e *Engine) enter(r *run) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, running := e.runs[r.x.ID]; running {
		return false
	}
	e.runs[r.x.ID] = r
	return true
}

func (e *Engine) leave(r *run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.runs, r.x.ID)
}

// Signal tells a running execution to look at its row again: somebody asked to
// cancel or pause it, or a child ended. It reports whether the execution is in
// memory and will look.
func (e *Engine) Signal(id string) bool {
	e.mu.Lock()
	r := e.runs[id]
	e.mu.Unlock()
	return r != nil && r.look()
}
