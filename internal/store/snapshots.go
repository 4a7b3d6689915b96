package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// roundPace is how long after a round of snapshots the next one begins at the
	// earliest: what many readers add to each other's waits, at most.
	roundPace = time.Millisecond
	// roundTime bounds one.
	roundTime = time.Second
	// quietTime is how long a transaction is known to have been quiet, in
	// milliseconds: whoever has not asked for longer takes it for a change.
	quietTime = 60_000
	// unrestTime is how long after a change nobody asks for another snapshot: where
	// something is committed all the time they would say nothing else.
	unrestTime = 20 * time.Millisecond
)

// snapshots tells whether anything was committed to a PostgreSQL, by whatever
// process: the text of pg_current_snapshot() is another one after each commit
// that has changed a row. Between two equal ones the database is the same, and so
// it is for readers where all that was committed in between has said of itself that
// it was quiet (writeQuietly).
//
// Those who want to know at about the same time share a query, which begins
// after the last of them has come, so that each learns of all that was committed
// before it asked.
type snapshots struct {
	db     *Reader
	unrest time.Duration

	turn sync.Mutex // held by the round that is under way
	seen snapshot   // the newest; guarded by turn

	mu      sync.Mutex
	next    *round // not begun
	at      uint64 // counts the snapshots that differed
	asked   time.Time
	changed time.Time
}

// round is a query that some wait for.
type round struct {
	done  chan struct{} // closed when the others are known
	at    uint64
	known bool
}

// state implements versions: of the whole database. It is not known while things
// change all the time, or when the database does not answer.
func (s *snapshots) state(ctx context.Context, _ ...subject) (uint64, bool) {
	s.mu.Lock()
	if now := time.Now(); now.Sub(s.changed) < s.unrest && now.Sub(s.asked) < s.unrest {
		s.mu.Unlock()
		return 0, false
	}
	r := s.next
	first := r == nil
	if first {
		r = &round{done: make(chan struct{})}
		s.next = r
	}
	s.mu.Unlock()
	if first {
		s.ask(context.WithoutCancel(ctx), r) // for the others too
	}
	select {
	case <-r.done:
		return r.at, r.known
	case <-ctx.Done():
		return 0, false
	}
}

// ask is what the first of a round does for all.
func (s *snapshots) ask(ctx context.Context, r *round) {
	s.turn.Lock()
	defer s.turn.Unlock()
	defer close(r.done)
	s.mu.Lock()
	pause := roundPace - time.Since(s.asked)
	s.mu.Unlock()
	if pause > 0 {
		<-time.After(pause)
	}

	s.mu.Lock()
	s.next, s.asked = nil, time.Now() // who comes now is too late for this one
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	now, quiet, err := s.look(ctx)
	if err != nil {
		return // whoever wants to know reads, and is told why that fails
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.endedSince(s.seen) != quiet {
		s.at++
		s.changed = time.Now()
	}
	s.seen = now
	r.at, r.known = s.at, true
}

// look takes a snapshot, and counts the quiet transactions that it sees and the
// one before did not.
func (s *snapshots) look(ctx context.Context) (now snapshot, quiet uint64, err error) {
	var text string
	if s.seen.text == "" {
		err = s.db.QueryRowContext(ctx, `SELECT pg_current_snapshot()::text`).Scan(&text)
	} else {
		err = s.db.QueryRowContext(ctx, `SELECT pg_current_snapshot()::text, (SELECT count(*) FROM quiet_transactions
			WHERE id >= pg_snapshot_xmin($1::text::pg_snapshot) AND NOT pg_visible_in_snapshot(id, $1::text::pg_snapshot))`, s.seen.text).Scan(&text, &quiet)
	}
	if err == nil {
		now, err = parseSnapshot(text)
	}
	return now, quiet, err
}

// snapshot says which transactions are over: those below next but for the
// running ones.
type snapshot struct {
	text    string
	next    uint64
	running uint64 // how many
}

// parseSnapshot reads PostgreSQL's text of one: oldest:next:running,running.
func parseSnapshot(text string) (s snapshot, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return s, fmt.Errorf("%q is no snapshot", text)
	}
	s.text = text
	if parts[2] != "" {
		s.running = uint64(1 + strings.Count(parts[2], ","))
	}
	s.next, err = strconv.ParseUint(parts[1], 10, 64)
	return s, err
}

// endedSince counts the transactions, whatever became of them, that are over and
// were not in the snapshot before; without one before, one more than there are.
func (s snapshot) endedSince(before snapshot) uint64 {
	if before.text == "" {
		return math.MaxUint64
	}
	return before.running + s.next - before.next - s.running
}

// writeQuietly is Write for what changes nothing that readers keep: neither rows
// that are read through recall nor what identities are made of. On PostgreSQL what
// is kept goes on to hold then.
func (db *DB) writeQuietly(ctx context.Context, fn func(tx *sql.Tx) error) error {
	if db.dialect == SQLite {
		return db.Write(ctx, fn)
	}
	return db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `WITH swept AS (DELETE FROM quiet_transactions WHERE id IN
			(SELECT id FROM quiet_transactions WHERE noted_at < `+databaseNow+` - $1 LIMIT 100 FOR UPDATE SKIP LOCKED))
			INSERT INTO quiet_transactions (noted_at) VALUES (`+databaseNow+`)`, quietTime); err != nil {
			return err
		}
		return fn(tx)
	})
}
