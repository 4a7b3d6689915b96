package river

import (
	"context"

	"agentstudio/internal/execution"
)

// Host returns the name under which this process may run an execution that
// somebody here waits for, without a job: it is created as held by the process
// and then announced. "" when the process serves nobody now, or has its hands
// full; then the job queue finds somebody.
func (d *Dispatcher) Host() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state != serving || d.guests >= d.cfg.MaxGuests || !d.Holds() {
		return ""
	}
	return d.cfg.Worker.ID
}

// invite runs an execution that was created as held here. When it may not
// start any more it stays where it is: whoever sees to held executions that
// nobody runs, or to those of a worker that left, finds it.
func (d *Dispatcher) invite(t execution.Ticket) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state != serving || d.active[t.ID] != nil {
		return
	}
	f := d.board(t)
	d.guests++
	d.home.Go(func() {
		defer f.cancel()
		if d.fly(f) != nil {
			// There is no job to put back: one is written.
			d.told.add(execution.Ticket{ID: t.ID, WorkspaceID: t.WorkspaceID, Priority: t.Priority})
		}
		d.mu.Lock()
		d.guests--
		d.mu.Unlock()
	})
}

// board puts an execution on the list. The caller holds the lock.
func (d *Dispatcher) board(t execution.Ticket) *flight {
	f := &flight{ticket: t, poke: make(chan struct{}, 1), done: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancel(d.drain)
	d.active[t.ID] = f
	return f
}
