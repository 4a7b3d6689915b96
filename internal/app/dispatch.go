package app

import (
	"context"
	"fmt"
	"os"

	"agentstudio/internal/config"
	"agentstudio/internal/dispatch/local"
	"agentstudio/internal/dispatch/river"
	"agentstudio/internal/engine"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/store"
)

// engineName is the name of the embedded engine in leases.
const engineName = "local"

// splitFrom is how many items a split needs to go to several workers. A share
// costs one or two milliseconds: below this, one process is done sooner unless
// its items are slow, and then it has most of them at work at once.
const splitFrom = 100

// dispatch is how executions reach the engine of this process.
type dispatch struct {
	journal  *store.Executions
	announce execution.Announcer
	worker   string // the engine's name in leases
	leased   string // who holds what is created here: the worker, or nobody yet
	run      func(ctx, drain context.Context, e *engine.Engine) error
	ready    <-chan struct{} // closed once executions are taken
	host     func() string   // the worker, when it may run what somebody here waits for; nil: what is created here runs here anyway
	// splitFrom is from how many items on a split goes to other workers; 0: never.
	splitFrom int
	holds     func() bool // whether the worker's lease has not ended; nil: it never does
}

// needsShared explains why a worker cannot be alone.
func needsShared(cfg config.Config, opts Options) error {
	if opts.Worker && cfg.DatabaseURL == "" {
		return fault.New(fault.Conflict, "a worker shares a PostgreSQL database with the servers: set DATABASE_URL. On SQLite, `agentstudio serve` runs everything itself")
	}
	return nil
}

// embedded is the one process on a SQLite file.
func (a *App) embedded() dispatch {
	journal := store.NewExecutions(a.db, nil, a.now)
	d := local.New(journal, local.Config{MaxActive: a.concurrency(), Log: a.opts.Log})
	journal.Tell(d)
	return dispatch{journal: journal, announce: d, worker: engineName, leased: engineName, ready: closed(),
		run: func(ctx, drain context.Context, e *engine.Engine) error { return d.Run(ctx, drain, e) }}
}

// shared is one of any number of processes on a PostgreSQL database.
func (a *App) shared() (dispatch, error) {
	queue, err := river.NewQueue()
	if err != nil {
		return dispatch{}, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	queues := a.opts.Queues
	if len(queues) == 0 {
		queues = []string{"default"}
	}
	me := execution.Worker{ID: NewID(), Name: fmt.Sprintf("%s/%d", host, os.Getpid()), Host: host, Version: a.opts.Version, Queues: queues}
	journal := store.NewExecutions(a.db, queue, a.now)
	d := river.New(a.cfg.DatabaseURL.Reveal(), store.NewLeases(a.db, queue), river.Config{Worker: me, MaxActive: a.concurrency(), Log: a.opts.Log, Observer: a.metrics})
	out := dispatch{splitFrom: splitFrom, journal: journal, announce: d, worker: me.ID, ready: d.Ready(), holds: d.Holds, host: d.Host,
		run: func(ctx, drain context.Context, e *engine.Engine) error { return d.Run(ctx, drain, e) }}
	if a.engineOff() {
		out.ready = closed()
		out.run = func(ctx, _ context.Context, _ *engine.Engine) error { d.Tell(ctx); return nil }
	}
	return out, nil
}

func (a *App) dispatching() (dispatch, error) {
	if a.db.Dialect() == store.Postgres {
		return a.shared()
	}
	return a.embedded(), nil
}

// engineOff reports whether this process leaves all executions to others.
func (a *App) engineOff() bool { return a.cfg.Engine == "off" && !a.opts.Worker }

func (a *App) concurrency() int {
	if a.opts.Concurrency > 0 {
		return a.opts.Concurrency
	}
	return a.cfg.MaxActive
}

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// Work runs executions until ctx ends, without answering calls. started is
// called once executions are taken.
func (a *App) Work(ctx context.Context, started func()) error {
	if a.opts.Metrics != nil {
		show, stop := context.WithCancel(ctx)
		shown := make(chan struct{})
		go func() { defer close(shown); a.showMetrics(show, a.opts.Metrics) }()
		defer func() { stop(); <-shown }()
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	select {
	case <-a.running:
		started()
		return <-ended
	case err := <-ended:
		return err
	}
}
