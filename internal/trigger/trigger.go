// Package trigger starts workflows by themselves: when a schedule ticks, when
// an execution ends, when a file arrives. Publishing a workflow writes what it
// waits for into tables, in the transaction that publishes it; those rows are
// the truth, on every replica at once. What is kept here is only when to look
// at them next.
//
// (Webhooks need nobody to wait for them: the API finds their rows when called.)
package trigger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"sync"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"

	"github.com/google/uuid"
)

// Executions are the use cases a trigger starts executions with.
type Executions interface {
	Start(ctx context.Context, by access.Actor, in execution.StartInput) (*execution.Execution, bool, error)
	Prepare(ctx context.Context, by access.Actor, in execution.StartInput) (*execution.New, error)
	Accepted(n *execution.New)
	Look(workspaceID, id string)
}

// Store is what the triggers need of the tables. Every method is one
// transaction.
type Store interface {
	Schedules
	FollowUps
	Listeners
}

// Listener hears of committed events.
type Listener interface {
	Subscribe(rooms ...string) event.Subscription
}

// Config adjusts a Runner; zero values are useful.
type Config struct {
	Now func() time.Time
	Log *slog.Logger
	// Armed hears that something was armed in this process, Followed that an
	// execution's end has called for another. Without them it is found out
	// within Glance.
	Armed, Followed <-chan struct{}
	// Glance is how often the tables are looked at whatever happens, and how
	// long a failure is waited out; 30 s and 1 s.
	Glance, Retry time.Duration
}

// Runner runs the triggers. Any number of them, in any number of processes,
// may run on one database: each tick and each follow-up is fired by one.
type Runner struct {
	cfg        Config
	store      Store
	executions Executions
	bus        Listener
}

// New returns a runner.
func New(store Store, executions Executions, bus Listener, cfg Config) *Runner {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Glance <= 0 {
		cfg.Glance = 30 * time.Second
	}
	if cfg.Retry <= 0 {
		cfg.Retry = time.Second
	}
	return &Runner{cfg: cfg, store: store, executions: executions, bus: bus}
}

// waiter is a trigger that waits for rows of its table to come due.
type waiter interface {
	name() string
	// look does what is due and returns when to look again; zero: nothing waits.
	look(ctx context.Context) (next time.Time, err error)
	// woken hears of things that are worth a look.
	woken() <-chan struct{}
	close()
}

// waiters lists the triggers that wait, one file each.
func (r *Runner) waiters() []waiter {
	return []waiter{newTicker(r), newFollower(r)}
}

// Run waits and fires until ctx ends, and returns when everything it began has
// ended.
func (r *Runner) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, w := range r.waiters() {
		running.Go(func() { r.wait(ctx, w) })
	}
	running.Wait()
	return nil
}

func (r *Runner) wait(ctx context.Context, w waiter) {
	defer w.close()
	for ctx.Err() == nil {
		next, err := w.look(ctx)
		rest := r.cfg.Glance
		switch {
		case err != nil && ctx.Err() == nil:
			r.cfg.Log.Error("triggers cannot be looked at", "trigger", w.name(), "error", err)
			rest = r.cfg.Retry
		case !next.IsZero():
			rest = min(rest, max(next.Sub(r.cfg.Now()), 0))
		}
		timer := time.NewTimer(rest)
		select {
		case <-ctx.Done():
		case <-w.woken():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// lasting reports whether a failure will be the same the next time: then there
// is no use in trying again.
func lasting(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.NotFound, fault.Conflict, fault.TooLarge, fault.Forbidden:
		return true
	}
	return false
}

// identity is the id of the execution that stands for a happening: a UUID of
// version 7 (RFC 9562) of its time, the rest taken from its name, so that
// whoever starts it gives it the same id.
func identity(name string, at time.Time) string {
	sum := sha256.Sum256([]byte(name))
	var id uuid.UUID
	copy(id[:], sum[:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli())<<16)
	copy(id[:6], ms[:6])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}
