package river

import (
	"context"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

// keepLease renews the lease until ctx ends, takes over from workers that are
// silent, and looks after what this one holds. When the lease could not be
// renewed in time, others may have taken over: then everything in memory is
// dropped, and nothing starts before the worker is registered anew.
func (d *Dispatcher) keepLease(ctx context.Context, renewed time.Time) {
	var idle map[string]int64 // held at the last beat without being run
	for d.rest(ctx, min(d.cfg.Beat, time.Until(renewed.Add(d.cfg.Worker.Lease)))) {
		began := time.Now()
		held, err := d.beat(ctx, renewed.Add(d.cfg.Worker.Lease))
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			renewed = began
			d.renewed(began)
			idle = d.lookAfter(ctx, held, idle)
			d.takeOver(ctx)
		case fault.Is(err, fault.Stale) || time.Since(renewed) >= d.cfg.Worker.Lease:
			d.cfg.Log.Warn("lease lost: executions in memory are dropped", "worker", d.cfg.Worker.ID, "error", err)
			if d.cfg.Observer != nil {
				d.cfg.Observer.LeaseLost()
			}
			if renewed = d.registerAnew(ctx); renewed.IsZero() {
				return
			}
			idle = nil
		default:
			d.cfg.Log.Warn("lease not renewed", "worker", d.cfg.Worker.ID, "error", err)
		}
	}
}

// rest waits; false when ctx ended.
func (d *Dispatcher) rest(ctx context.Context, long time.Duration) bool {
	timer := time.NewTimer(max(long, time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// beat renews the lease, by the deadline.
func (d *Dispatcher) beat(ctx context.Context, deadline time.Time) ([]execution.Held, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return d.leases.Heartbeat(ctx, d.cfg.Worker, 4*d.cfg.MaxActive)
}

// lookAfter has flagged executions looked at whose notification was lost, and
// lets go of those that are held and not run, when they were so at the last
// beat too. It returns the latter.
func (d *Dispatcher) lookAfter(ctx context.Context, held []execution.Held, before map[string]int64) map[string]int64 {
	var flagged []string
	var gone []execution.Held
	idle := map[string]int64{}
	d.mu.Lock()
	for _, h := range held {
		if h.Look {
			flagged = append(flagged, h.ID)
		}
		if d.active[h.ID] != nil {
			continue
		}
		if epoch, again := before[h.ID]; again && epoch == h.Epoch {
			gone = append(gone, h)
		} else {
			idle[h.ID] = h.Epoch
		}
	}
	d.mu.Unlock()
	d.look(flagged)
	if len(gone) > 0 {
		if err := d.limited(ctx, func(ctx context.Context) error { return d.leases.LetGo(ctx, d.cfg.Worker.ID, gone) }); err != nil {
			d.cfg.Log.Warn("let go of idle executions", "error", err)
		}
	}
	return idle
}

// look has executions that run here look at their rows. One that came to rest
// meanwhile has a job: the commit that gave up its lease saw the flag.
func (d *Dispatcher) look(ids []string) {
	for _, id := range ids {
		d.nudge(id)
	}
}

func (d *Dispatcher) takeOver(ctx context.Context) {
	err := d.limited(ctx, func(ctx context.Context) error {
		silent, n, err := d.leases.TakeOver(ctx)
		if len(silent) > 0 && err == nil {
			d.cfg.Log.Warn("workers are silent: others go on with what they held", "workers", silent, "executions", n)
			if d.cfg.Observer != nil {
				d.cfg.Observer.TakenOver(n)
			}
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.Warn("look for silent workers", "error", err)
	}
}

// registerAnew drops what is in memory, then registers as soon as the database
// lets it. It returns when the lease began; zero when ctx ended.
func (d *Dispatcher) registerAnew(ctx context.Context) time.Time {
	d.drop()
	for {
		began := time.Now()
		err := d.limited(ctx, func(ctx context.Context) error { return d.leases.Register(ctx, d.cfg.Worker) })
		if err == nil {
			d.renewed(began)
			d.mu.Lock()
			if d.state == lost {
				d.state = serving
			}
			d.mu.Unlock()
			d.cfg.Log.Info("registered anew", "worker", d.cfg.Worker.ID)
			return began
		}
		if !d.rest(ctx, d.cfg.Retry) {
			return time.Time{}
		}
	}
}

// drop cuts off everything in memory and waits a moment until it is gone. What
// stays longer is forgotten: its commits are refused.
func (d *Dispatcher) drop() {
	d.mu.Lock()
	if d.state == serving {
		d.state = lost
	}
	dropped := d.active
	d.active = map[string]*flight{}
	d.mu.Unlock()
	for _, f := range dropped {
		f.cancel()
	}
	patience := time.NewTimer(d.cfg.Retry)
	defer patience.Stop()
	for _, f := range dropped {
		select {
		case <-f.done:
		case <-patience.C:
			return
		}
	}
}
