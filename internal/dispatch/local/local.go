// Package local hands executions to an engine in the same process, straight
// from the commit that created them: nothing is polled. The executions table
// is the queue; what is kept in memory is only which executions run now.
package local

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"agentstudio/internal/execution"
)

// Source finds executions that want an engine.
type Source interface {
	// Open returns those whose time has come, most urgent first, and when the
	// next one will (zero: none). running includes those that were under way.
	Open(ctx context.Context, now time.Time, running bool, limit int) (tickets []execution.Ticket, next time.Time, err error)
}

// Engine runs executions.
type Engine interface {
	// Execute runs one until it is over or rests; it returns when to look again.
	Execute(ctx context.Context, t execution.Ticket) (wake time.Time, err error)
	// Signal tells a running one to look at its row; false when it does not run.
	Signal(id string) bool
}

// Config adjusts a dispatcher; zero values are useful.
type Config struct {
	// MaxActive bounds the executions in memory; the others wait as rows. 512.
	MaxActive int
	// Retry is how long an execution rests after the engine could not go on
	// for reasons of ours. 1 s.
	Retry time.Duration
	Log   *slog.Logger
	Now   func() time.Time
}

// Dispatcher is the embedded dispatcher. It serves one engine.
type Dispatcher struct {
	cfg    Config
	source Source

	mu      sync.Mutex
	engine  Engine
	active  map[string]*flight
	backlog bool // rows wait for room
	ended   bool
	running sync.WaitGroup
	ctx     context.Context // of the executions; set by Run
	stop    <-chan struct{} // closed when Run is to end; set by Run

	poke chan struct{}
	wake time.Time // when to look at the table next; zero: not before a poke
}

type flight struct {
	again  bool // announced while it was going to rest
	ticket execution.Ticket
}

// New returns a dispatcher.
func New(source Source, cfg Config) *Dispatcher {
	if cfg.MaxActive <= 0 {
		cfg.MaxActive = 512
	}
	if cfg.Retry <= 0 {
		cfg.Retry = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Dispatcher{cfg: cfg, source: source, active: map[string]*flight{}, poke: make(chan struct{}, 1)}
}

// Run takes up what an earlier process left behind, then hands out executions
// until ctx ends; it returns when the last one has come to rest. Executions
// run under drain's context, so that the caller decides how long they may take
// to end after ctx did.
func (d *Dispatcher) Run(ctx, drain context.Context, engine Engine) error {
	d.mu.Lock()
	d.engine, d.ctx, d.stop = engine, drain, ctx.Done()
	d.mu.Unlock()
	defer d.running.Wait()
	defer func() {
		d.mu.Lock()
		d.ended = true
		d.mu.Unlock()
	}()
	recovering := true
	for {
		more, next, err := d.scan(ctx, recovering)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			d.cfg.Log.Error("look for executions", "error", err)
			next = d.cfg.Now().Add(d.cfg.Retry)
		} else if !more {
			recovering = false
		}
		d.rest(ctx, next)
		if ctx.Err() != nil {
			return nil
		}
	}
}

// glance is how often the table is looked at whatever happens: the clock may
// have jumped, as it does when a laptop wakes up.
const glance = 30 * time.Second

// rest waits until somebody pokes or the time comes.
func (d *Dispatcher) rest(ctx context.Context, next time.Time) {
	d.mu.Lock()
	d.wake = next
	d.mu.Unlock()
	wait := glance
	if !next.IsZero() {
		wait = min(wait, max(next.Sub(d.cfg.Now()), 0))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-d.poke:
	case <-timer.C:
	}
}

// scan starts what the table says is due, as far as there is room. more says
// that rows are left.
func (d *Dispatcher) scan(ctx context.Context, running bool) (more bool, next time.Time, err error) {
	d.mu.Lock()
	room := d.cfg.MaxActive - len(d.active)
	d.backlog = room <= 0
	d.mu.Unlock()
	if room <= 0 {
		return true, time.Time{}, nil
	}
	// Executions that run already may be among the rows: ask for so many more.
	limit := d.cfg.MaxActive + room
	tickets, next, err := d.source.Open(ctx, d.cfg.Now(), running, limit)
	if err != nil {
		return true, next, err
	}
	for _, t := range tickets {
		if !d.start(t) {
			return true, next, nil
		}
	}
	if len(tickets) == limit {
		d.mu.Lock()
		d.backlog = true
		d.mu.Unlock()
		return true, next, nil
	}
	return false, next, nil
}

// Announce implements execution.Announcer.
func (d *Dispatcher) Announce(tickets ...execution.Ticket) {
	for _, t := range tickets {
		if !t.At.IsZero() && t.At.After(d.cfg.Now()) {
			d.wakeBy(t.At)
			continue
		}
		d.mu.Lock()
		f := d.active[t.ID]
		engine := d.engine
		d.mu.Unlock()
		if f != nil {
			if !engine.Signal(t.ID) {
				d.again(t)
			}
			continue
		}
		if !d.start(t) {
			d.look()
		}
	}
}

// again has an execution that is just going to rest looked at once more.
func (d *Dispatcher) again(t execution.Ticket) {
	d.mu.Lock()
	f := d.active[t.ID]
	if f != nil {
		f.again = true
	}
	d.mu.Unlock()
	if f == nil && !d.start(t) {
		d.look()
	}
}

// wakeBy has the table looked at by the time.
func (d *Dispatcher) wakeBy(at time.Time) {
	d.mu.Lock()
	sooner := d.wake.IsZero() || at.Before(d.wake) || d.wake.Before(d.cfg.Now()) // the last: the clock has jumped over it
	d.mu.Unlock()
	if sooner {
		d.look()
	}
}

func (d *Dispatcher) look() {
	select {
	case d.poke <- struct{}{}:
	default:
	}
}

// start runs an execution in a goroutine of its own. It reports false when
// there is no room, or the dispatcher does not run: then the row waits.
func (d *Dispatcher) start(t execution.Ticket) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.engine == nil || d.ended {
		return false
	}
	if _, runs := d.active[t.ID]; runs {
		return true
	}
	if len(d.active) >= d.cfg.MaxActive {
		d.backlog = true
		return false
	}
	f := &flight{ticket: t}
	d.active[t.ID] = f
	d.running.Go(func() { d.fly(f) })
	return true
}

func (d *Dispatcher) fly(f *flight) {
	for {
		wake, err := d.engine.Execute(d.ctx, f.ticket)
		f.ticket.Fresh = nil
		if err != nil && d.ctx.Err() == nil {
			d.cfg.Log.Error("execution could not go on", "execution_id", f.ticket.ID, "error", err)
			if !d.pause() {
				d.land(f)
				return
			}
			continue
		}
		if !wake.IsZero() {
			d.wakeBy(wake)
		}
		if d.land(f) {
			return
		}
	}
}

// pause waits before another try; false when the dispatcher ends.
func (d *Dispatcher) pause() bool {
	timer := time.NewTimer(d.cfg.Retry)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.stop:
		return false
	case <-d.ctx.Done():
		return false
	}
}

// land takes an execution off the list; false when it is wanted once more.
func (d *Dispatcher) land(f *flight) bool {
	d.mu.Lock()
	if f.again && !d.ended {
		f.again = false
		d.mu.Unlock()
		return false
	}
	delete(d.active, f.ticket.ID)
	backlog := d.backlog && len(d.active) <= d.cfg.MaxActive*3/4
	d.mu.Unlock()
	if backlog {
		d.look()
	}
	return true
}
