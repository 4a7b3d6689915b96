package river

import (
	"context"
	"time"

	"agentstudio/internal/execution"

	"github.com/riverqueue/river"
)

// soon is how far this process's clock may be behind the database's, by which
// timers go: an execution that is not due yet by our clock is kept that long.
const soon = 100 * time.Millisecond

// worker works River's jobs.
type worker struct {
	river.WorkerDefaults[job]
	d *Dispatcher
}

// Timeout implements river.Worker: none. River does not rescue such jobs; the
// lease does.
func (w *worker) Timeout(*river.Job[job]) time.Duration { return -1 }

// NextRetry implements river.Worker, for a job that panicked.
func (w *worker) NextRetry(*river.Job[job]) time.Time { return time.Now().Add(w.d.cfg.Retry) }

// Work implements river.Worker: it runs the execution as far as it goes.
func (w *worker) Work(ctx context.Context, j *river.Job[job]) error {
	if j.CreatedAt.Before(w.d.born) && w.d.isOver(ctx, j.Args.ID) {
		return nil // left behind by processes that came before
	}
	return w.d.run(execution.Ticket{ID: j.Args.ID, WorkspaceID: j.Args.Workspace})
}

// isOver spares the engine an execution that ended; in doubt the engine looks.
func (d *Dispatcher) isOver(ctx context.Context, id string) bool {
	over := false
	err := d.limited(ctx, func(ctx context.Context) (err error) {
		over, err = d.leases.Over(ctx, id)
		return err
	})
	return over && err == nil
}

// flight is an execution in memory.
type flight struct {
	ticket execution.Ticket
	ctx    context.Context
	cancel context.CancelFunc
	again  bool          // wanted while it was going to rest
	poke   chan struct{} // says so to whoever waits
	done   chan struct{} // closed when it is off the list
}

// run executes the ticket, or tells the execution when it runs here already.
// An error puts the job back.
func (d *Dispatcher) run(t execution.Ticket) error {
	for {
		d.mu.Lock()
		if d.state != serving || !d.Holds() {
			d.mu.Unlock()
			return river.JobSnooze(d.shyness())
		}
		if _, runs := d.active[t.ID]; !runs {
			f := d.board(t)
			d.mu.Unlock()
			defer f.cancel()
			return d.fly(f)
		}
		d.mu.Unlock()
		if d.nudge(t.ID) {
			return nil
		}
	}
}

// shyness is how long a job is left to others that this process may not start.
func (d *Dispatcher) shyness() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state == lost || !d.Holds() {
		return d.cfg.Retry
	}
	return 0
}

// nudge has an execution that runs here look at its row; false when it does
// not run here.
func (d *Dispatcher) nudge(id string) bool {
	d.mu.Lock()
	engine, runs := d.engine, d.active[id] != nil
	d.mu.Unlock()
	if !runs {
		return false
	}
	if engine.Signal(id) {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.active[id]
	if f == nil {
		return false
	}
	f.again = true
	select {
	case f.poke <- struct{}{}:
	default:
	}
	return true
}

func (d *Dispatcher) fly(f *flight) error {
	for {
		wake, err := d.engine.Execute(f.ctx, f.ticket)
		f.ticket.Fresh = nil
		switch {
		case err != nil && f.ctx.Err() != nil: // cut off: what is not committed is done again
			d.land(f, true)
			return river.JobSnooze(d.shyness())
		case err != nil:
			d.cfg.Log.Error("execution could not go on", "execution_id", f.ticket.ID, "error", err)
			if !d.pause(f, d.cfg.Retry) {
				d.land(f, true)
				return river.JobSnooze(d.shyness())
			}
			continue
		}
		if early := time.Until(wake); !wake.IsZero() && early > 0 && early <= soon {
			if d.pause(f, early) {
				continue
			}
		}
		if landed, wanted := d.land(f, false); landed {
			if wanted {
				return river.JobSnooze(d.shyness())
			}
			return nil
		}
	}
}

// pause waits before another try; false when there should be none here.
func (d *Dispatcher) pause(f *flight, long time.Duration) bool {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-f.poke:
		return true
	case <-f.ctx.Done():
		return false
	case <-d.leave:
		return false
	}
}

// land takes an execution off the list, unless it is wanted once more and may
// go on here. wanted says that somebody must look at it elsewhere.
func (d *Dispatcher) land(f *flight, end bool) (landed, wanted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.again && !end && d.state == serving {
		f.again = false
		return false, false
	}
	if d.active[f.ticket.ID] == f {
		delete(d.active, f.ticket.ID)
	}
	close(f.done)
	return true, f.again
}

// Announce implements execution.Announcer. What was just created is held here
// or has its job already, and what is for later has its row; for all else it
// means: look.
func (d *Dispatcher) Announce(tickets ...execution.Ticket) {
	for _, t := range tickets {
		if t.Hosted {
			d.invite(t)
			continue
		}
		if t.Fresh != nil || t.At.After(time.Now()) || d.nudge(t.ID) {
			continue
		}
		d.told.add(t)
	}
}
