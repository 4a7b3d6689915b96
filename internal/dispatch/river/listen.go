package river

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"agentstudio/internal/execution"

	"github.com/jackc/pgx/v5"
)

// listen hears what other processes tell this one, on a connection of its own,
// and connects again when that breaks.
func (d *Dispatcher) listen(ctx context.Context) {
	wait := d.cfg.Retry / 8
	for {
		began := time.Now()
		err := d.hear(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Minute {
			wait = d.cfg.Retry / 8
		}
		d.cfg.Log.Warn("notifications are cut off", "error", err)
		if !d.rest(ctx, wait) {
			return
		}
		wait = min(2*wait, 8*d.cfg.Retry)
	}
}

func (d *Dispatcher) hear(ctx context.Context) error {
	conf, err := pgx.ParseConfig(d.url)
	if err != nil {
		return unreadable()
	}
	named(conf)
	conn, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing) // nothing to save
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	d.lookAtAll() // what was said before is in the rows
	d.plan(time.Now())
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		d.heed(n.Payload)
	}
}

// heed acts on a payload; see channel.
func (d *Dispatcher) heed(payload string) {
	word, rest, _ := strings.Cut(payload, " ")
	switch word {
	case "look":
		if ids := strings.Fields(rest); len(ids) > 1 && ids[0] == d.cfg.Worker.ID {
			d.look(ids[1:])
		}
	case "wake":
		if ms, err := strconv.ParseInt(rest, 10, 64); err == nil {
			d.plan(time.UnixMilli(ms))
		}
	}
}

// lookAtAll has everything in memory look at its row.
func (d *Dispatcher) lookAtAll() {
	d.mu.Lock()
	ids := make([]string, 0, len(d.active))
	for id := range d.active {
		ids = append(ids, id)
	}
	d.mu.Unlock()
	d.look(ids)
}

// plan has the leader, if this process is it, wake by the time.
func (d *Dispatcher) plan(at time.Time) {
	for {
		select {
		case d.replan <- at:
			return
		case earlier := <-d.replan:
			if earlier.Before(at) {
				at = earlier
			}
		}
	}
}

// wishes are executions that other processes are to look at.
type wishes struct {
	mu      *sync.Mutex
	tickets map[string]execution.Ticket
	some    chan struct{}
}

// maxWishes bounds them. What is beyond is found by the sweep.
const maxWishes = 100_000

func newWishes() wishes {
	return wishes{mu: &sync.Mutex{}, tickets: map[string]execution.Ticket{}, some: make(chan struct{}, 1)}
}

func (w *wishes) add(t execution.Ticket) {
	w.mu.Lock()
	if len(w.tickets) < maxWishes {
		w.tickets[t.ID] = t
	}
	w.mu.Unlock()
	select {
	case w.some <- struct{}{}:
	default:
	}
}

func (w *wishes) take() []execution.Ticket {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []execution.Ticket
	for id, t := range w.tickets {
		if len(out) == batch {
			w.some <- struct{}{} // take is only called by who emptied it
			break
		}
		out = append(out, t)
		delete(w.tickets, id)
	}
	return out
}

// Tell writes down which executions other processes are to look at, until ctx
// ends. A process that runs no executions itself calls it in place of Run.
func (d *Dispatcher) Tell(ctx context.Context) { d.tell(ctx) }

func (d *Dispatcher) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			d.write(context.WithoutCancel(ctx))
			return
		case <-d.told.some:
		}
		if !d.write(ctx) && !d.rest(ctx, d.cfg.Retry) {
			return
		}
	}
}

// write reports whether the database took the wishes; else they are kept.
func (d *Dispatcher) write(ctx context.Context) bool {
	tickets := d.told.take()
	if len(tickets) == 0 {
		return true
	}
	err := d.limited(ctx, func(ctx context.Context) error { return d.leases.Look(ctx, tickets) })
	if err == nil {
		return true
	}
	d.cfg.Log.Warn("have executions looked at", "error", err)
	for _, t := range tickets {
		d.told.add(t)
	}
	return false
}
