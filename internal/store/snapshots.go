package store

import (
	"context"
	"sync"
	"time"
)

const (
	// roundPace is how long after a round of snapshots the next one begins at the
	// earliest: what many readers add to each other's waits, at most.
	roundPace = time.Millisecond
	// roundTime bounds one.
	roundTime = time.Second
	// unrestTime is how long after a change nobody asks for another snapshot: where
	// something is committed all the time they would say nothing else.
	unrestTime = 20 * time.Millisecond
)

// snapshots tells whether anything was committed to a PostgreSQL, by whatever
// process: the text of pg_current_snapshot() is another one after each commit
// that has changed a row. Between two equal ones the database is the same.
//
// Those who want to know at about the same time share a query, which begins
// after the last of them has come, so that each learns of all that was committed
// before it asked.
type snapshots struct {
	db     *Reader
	unrest time.Duration

	turn sync.Mutex // held by the round that is under way
	text string     // of the newest snapshot; guarded by turn

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
	var text string
	if err := s.db.QueryRowContext(ctx, `SELECT pg_current_snapshot()::text`).Scan(&text); err != nil {
		return // whoever wants to know reads, and is told why that fails
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if text != s.text {
		s.text = text
		s.at++
		s.changed = time.Now()
	}
	r.at, r.known = s.at, true
}
