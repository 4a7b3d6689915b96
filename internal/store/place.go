package store

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

// The places that executions of a key share are their rows: those with the key
// that are not held have one each. Who changes what a key's rows say of places
// holds the key's lock, which is taken before any row, so that the processes
// on one database count one after another. A place is given back and given to
// the next by the commit that ends an execution: nobody can die in between.

// places is what a transaction does with places.
type places struct {
	freed   []*execution.Commit // ends that give theirs back
	entries []*entry
}

// entry is an execution to be created that needs a place.
type entry struct {
	new     *execution.New
	refused error
}

// lockPatience is how long a transaction waits for one that holds a key or a
// row: a process that was stopped in the middle of one must not stop the others.
const lockPatience = "10s"

// lockPlaces takes the locks of the keys until the transaction ends. SQLite's
// one writer needs none.
func lockPlaces(ctx context.Context, db *DB, tx *sql.Tx, keys []string) error {
	if len(keys) == 0 || db.Dialect() == SQLite {
		return nil
	}
	locks := make([]int64, len(keys))
	for i, key := range keys {
		h := fnv.New64a()
		_, _ = h.Write([]byte("place " + key)) // never fails
		locks[i] = int64(h.Sum64())            //nolint:gosec // any 64 bits are a lock
	}
	slices.Sort(locks) // in one order everywhere, so that no two wait for each other
	for _, lock := range slices.Compact(locks) {
		if _, err := tx.ExecContext(ctx, `SELECT set_config('lock_timeout', '`+lockPatience+`', true), pg_advisory_xact_lock($1)`, lock); err != nil {
			return fmt.Errorf("lock the places of a key: %w", err)
		}
	}
	return nil
}

// keysOf returns the keys whose places the group changes.
func keysOf(group []*writing) (keys []string) {
	for _, w := range group {
		switch {
		case w.create != nil && w.create.Place != nil:
			keys = append(keys, w.create.Place.Key)
		case w.commit != nil:
			if w.commit.Place != "" {
				keys = append(keys, w.commit.Place)
			}
			for i := range w.commit.Children {
				if p := w.commit.Children[i].Place; p != nil {
					keys = append(keys, p.Key)
				}
			}
		}
	}
	return keys
}

// add takes in what a commit says of places, once it is known to be written.
func (p *places) add(c *execution.Commit) {
	if c.Place != "" {
		p.freed = append(p.freed, c)
	}
	for i := range c.Children {
		if c.Children[i].Place != nil {
			p.entries = append(p.entries, &entry{new: &c.Children[i]})
		}
	}
}

// refusals answers those of the group that were refused.
func (p *places) refusals(group []*writing, refused map[*writing]error) {
	for _, e := range p.entries {
		for _, w := range group {
			if w.create == e.new && e.refused != nil {
				refused[w] = e.refused
			}
		}
	}
}

// refusal is why not all of the executions can be created; nil when they can.
func (p *places) refusal(news []execution.New, index []int) error {
	var details []fault.Detail
	for _, e := range p.entries {
		if e.refused == nil {
			continue
		}
		if index == nil {
			return e.refused
		}
		i := index[slices.IndexFunc(news, func(n execution.New) bool { return n.ID == e.new.ID })]
		details = append(details, fault.Detail{Location: fmt.Sprintf("body.items[%d]", i), Code: "concurrency_limit", Message: fault.Message(e.refused)})
	}
	if len(details) == 0 {
		return nil
	}
	f := fault.New(fault.Conflict, "there is no place for %d of the executions, so none is started", len(details)).WithCode("concurrency_limit")
	f.Details = details
	return f
}

// moves are the executions that a transaction has given a place, and those
// that are to look at their rows.
type moves struct{ start, look []execution.Ticket }

func (m *moves) all() []execution.Ticket { return append(slices.Clone(m.start), m.look...) }

// move gives back, gives on and gives out places, in this order. What the
// transaction inserted before is flushed.
func (b *bulk) move(ctx context.Context, p *places, now time.Time) (m moves, err error) {
	var keys []string
	for _, c := range p.freed {
		if _, err := b.tx.ExecContext(ctx, `UPDATE executions SET concurrency_key = '' WHERE id = $1`, c.ExecutionID); err != nil {
			return m, fmt.Errorf("give back a place: %w", err)
		}
		keys = append(keys, c.Place)
	}
	if err := b.fill(ctx, keys, now, &m); err != nil {
		return m, err
	}
	keys = nil
	taken := map[string]*taken{}
	for _, e := range p.entries {
		held, err := b.enter(ctx, e, taken, now, &m)
		if err != nil {
			return m, err
		}
		if held {
			keys = append(keys, e.new.Place.Key)
		}
	}
	if len(p.entries) > 0 {
		if err := b.flush(ctx); err != nil {
			return m, err
		}
	}
	return m, b.fill(ctx, keys, now, &m)
}

// taken is how a key stands.
type taken struct {
	places  int
	waiting bool // others wait already
}

func stand(ctx context.Context, tx *sql.Tx, key string) (*taken, error) {
	var out taken
	err := tx.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM executions WHERE concurrency_key = $1 AND concurrency_key <> '' AND held = 0),
		EXISTS (SELECT 1 FROM executions WHERE concurrency_key = $1 AND concurrency_key <> '' AND held = 1)`, key).Scan(&out.places, &out.waiting)
	if err != nil {
		return nil, fmt.Errorf("count the places of a key: %w", err)
	}
	return &out, nil
}

// enter writes an execution with the place it gets, as held, or not at all.
func (b *bulk) enter(ctx context.Context, e *entry, keys map[string]*taken, now time.Time, m *moves) (held bool, err error) {
	place := e.new.Place
	n := *e.new
	n.ConcurrencyKey, n.ConcurrencyLimit = place.Key, place.Limit
	if n.ScheduledAt.After(now) {
		n.Hold = execution.Later
		m.start = append(m.start, b.create(&n))
		return false, nil
	}
	at := keys[place.Key]
	if at == nil {
		if at, err = stand(ctx, b.tx, place.Key); err != nil {
			return false, err
		}
		keys[place.Key] = at
	}
	switch {
	case at.places < place.Limit && !at.waiting:
		at.places++
		m.start = append(m.start, b.create(&n))
		return false, nil
	case place.Strategy == "reject":
		if e.refused = place.Refused(); place.Record {
			n.ConcurrencyKey, n.Status, n.CompletedAt, n.Error = "", execution.Cancelled, now, execution.ErrorOf(e.refused, "")
			e.refused = nil
			b.create(&n)
		}
		return false, nil
	case place.Strategy == "cancel_running":
		if err := b.flush(ctx); err != nil {
			return false, err
		}
		if err := cancelKey(ctx, b.tx, place.Key, now, m); err != nil {
			return false, err
		}
	}
	at.waiting = true
	n.Hold = execution.Queued
	n.Events = append(slices.Clone(n.Events), execution.HeldEvent(&n.Execution, now))
	n.LastSeq++
	b.create(&n)
	return true, nil
}

// cancelKey asks for the end of all that run or wait with the key.
func cancelKey(ctx context.Context, tx *sql.Tx, key string, now time.Time, m *moves) error {
	tickets, err := scanTickets(tx.QueryContext(ctx, `UPDATE executions SET `+cancelSet+` WHERE concurrency_key = $2 AND concurrency_key <> '' AND held < 2
		RETURNING id, workspace_id, priority`, ms(now), key))
	m.look = append(m.look, tickets...)
	return explain(err)
}

// cancelSet asks for the end of an execution. One that waits for a place stops
// doing so: it ends at once, without one. $1 is the time.
const cancelSet = `cancel_requested = 1, concurrency_key = CASE WHEN held > 0 THEN '' ELSE concurrency_key END,
	wake_at = CASE WHEN held > 0 THEN $1 ELSE wake_at END, held = 0`

// fillChunk is how many executions are given their places at a time.
const fillChunk = 100

// fill gives the free places of the keys to those who wait: the most urgent
// first, then the oldest.
func (b *bulk) fill(ctx context.Context, keys []string, now time.Time, m *moves) error {
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		if err := fillKey(ctx, b.tx, key, now, m); err != nil {
			return err
		}
	}
	return nil
}

func fillKey(ctx context.Context, tx *sql.Tx, key string, now time.Time, m *moves) error {
	for {
		at, err := stand(ctx, tx, key)
		if err != nil || !at.waiting {
			return err
		}
		next, err := firstHeld(ctx, tx, key, at.places)
		if err != nil || len(next) == 0 {
			return err
		}
		args := []any{ms(now)}
		for _, id := range next {
			args = append(args, id)
		}
		// One that was cancelled meanwhile waits no longer.
		tickets, err := scanTickets(tx.QueryContext(ctx, `UPDATE executions SET held = 0, wake_at = $1 WHERE held = 1 AND id IN (`+parameters(2, len(next))+`)
			RETURNING id, workspace_id, priority`, args...))
		if err != nil {
			return fmt.Errorf("give out places: %w", err)
		}
		m.start = append(m.start, tickets...)
	}
}

// firstHeld returns those at the head of a key's queue whose limit allows one
// more beside the places that are taken.
func firstHeld(ctx context.Context, tx *sql.Tx, key string, places int) ([]string, error) {
	type waiting struct {
		id    string
		limit int
	}
	rows, err := tx.QueryContext(ctx, `SELECT id, concurrency_limit FROM executions WHERE concurrency_key = $1 AND concurrency_key <> '' AND held = 1
		ORDER BY priority DESC, created_at, id LIMIT $2`, key, fillChunk)
	queue, err := collect(rows, err, func(row scanner) (w waiting, err error) { return w, row.Scan(&w.id, &w.limit) })
	var out []string
	for _, w := range queue {
		if places+len(out) >= w.limit {
			break
		}
		out = append(out, w.id)
	}
	return out, err
}

// Enter implements execution.Journal.
func (s *Executions) Enter(ctx context.Context, x *execution.Execution, p execution.Place) (entered bool, err error) {
	var m moves
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		m, entered = moves{}, false
		if err := lockPlaces(ctx, s.db, tx, []string{p.Key}); err != nil {
			return err
		}
		now := s.now()
		at, err := stand(ctx, tx, p.Key)
		if err != nil {
			return err
		}
		if entered = at.places < p.Limit && !at.waiting; entered {
			_, err := tx.ExecContext(ctx, `UPDATE executions SET held = 0 WHERE id = $1 AND epoch = $2 AND held = 2`, x.ID, x.Epoch)
			return err
		}
		switch p.Strategy {
		case "reject":
			return p.Refused()
		case "cancel_running":
			if err := cancelKey(ctx, tx, p.Key, now, &m); err != nil {
				return err
			}
		}
		if err := s.holdBack(ctx, tx, x, now); err != nil {
			return err
		}
		if err := fillKey(ctx, tx, p.Key, now, &m); err != nil {
			return err
		}
		return s.dispatchMoves(ctx, tx, m)
	})
	if err == nil {
		s.tell(m.all())
	}
	return entered && err == nil, err
}

// holdBack has an execution whose time has come wait for a place.
func (s *Executions) holdBack(ctx context.Context, tx *sql.Tx, x *execution.Execution, now time.Time) error {
	held := *x
	held.Hold = execution.Queued
	n, err := tx.ExecContext(ctx, `UPDATE executions SET held = 1, worker = '', wake_at = 0, look = 0, last_seq = last_seq + 1 WHERE id = $1 AND epoch = $2 AND held = 2 AND cancel_requested = 0`, x.ID, x.Epoch)
	if err != nil {
		return err
	}
	if rows, err := n.RowsAffected(); err != nil || rows == 0 {
		return err // cancelled meanwhile, or another's by now: whoever looks at it next goes on
	}
	b := newBulkWriter(s.db).begin(tx)
	b.pack(x.ID, []event.Event{execution.HeldEvent(&held, now)})
	return b.flush(ctx)
}

// dispatchMoves writes the dispatch entries of a transaction of its own.
func (s *Executions) dispatchMoves(ctx context.Context, tx *sql.Tx, m moves) error {
	if s.enqueue == nil {
		return nil
	}
	if len(m.look) > 0 {
		if err := lookAt(ctx, tx, s.enqueue, m.look); err != nil {
			return err
		}
	}
	if len(m.start) == 0 {
		return nil
	}
	return s.enqueue.Enqueue(ctx, tx, m.start)
}

// Tell has the dispatcher of this process hear, after their commits, of
// executions that got a place or are to look at their rows. It is called before
// Run, and needed only where the rows are the queue.
func (s *Executions) Tell(announce execution.Announcer) { s.announce = announce }

// tell announces what a commit has moved. With a queue its entries do that.
func (s *Executions) tell(tickets []execution.Ticket) {
	if s.announce != nil && s.enqueue == nil && len(tickets) > 0 {
		s.announce.Announce(tickets...)
	}
}

// maxRefill bounds the keys of one transaction.
const maxRefill = 1_000

// refill gives out places that are free although executions wait for them, at
// most so many keys' at a time. It finds what no ending has given on: there
// should be none.
func refill(ctx context.Context, db *DB, tx *sql.Tx, now time.Time, limit int) (m moves, err error) {
	over := strings.Replace(openStates, "(", "NOT IN (", 1)
	if _, err := tx.ExecContext(ctx, `UPDATE executions SET concurrency_key = '' WHERE concurrency_key <> '' AND status `+over); err != nil {
		return m, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT h.concurrency_key FROM (SELECT concurrency_key, max(concurrency_limit) AS most FROM executions
			WHERE concurrency_key <> '' AND held = 1 GROUP BY concurrency_key) AS h
		WHERE (SELECT count(*) FROM executions u WHERE u.concurrency_key = h.concurrency_key AND u.concurrency_key <> '' AND u.held = 0) < h.most
		ORDER BY h.concurrency_key LIMIT $1`, limit)
	keys, err := collect(rows, err, func(row scanner) (key string, err error) { return key, row.Scan(&key) })
	if err != nil || len(keys) == 0 {
		return m, err
	}
	if err := lockPlaces(ctx, db, tx, keys); err != nil {
		return m, err
	}
	for _, key := range keys {
		if err := fillKey(ctx, tx, key, now, &m); err != nil {
			return m, err
		}
	}
	return m, nil
}
