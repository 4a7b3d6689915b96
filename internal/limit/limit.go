// Package limit says how often something may happen, and counts it.
package limit

import (
	"context"
	"sync"
	"time"
)

// Rate allows so many requests in a stretch of time. No Requests: no limit.
type Rate struct {
	Requests int
	Per      time.Duration
}

// Step is the time in which one request becomes free again.
func (r Rate) Step() time.Duration { return r.Per / time.Duration(r.Requests) }

// Verdict is what a limiter says of one request.
type Verdict struct {
	Allowed   bool
	Remaining int
	Reset     time.Duration // until the whole limit is free again
	Retry     time.Duration // until the next request is allowed; 0 when this one was
}

// maxKeys bounds the keys a Local remembers.
const maxKeys = 100_000

// Local counts in this process, evenly over time (GCRA): a key may burst up to
// its limit and then goes on at its rate. It is safe for concurrent use.
type Local struct {
	now func() time.Time

	mu   sync.Mutex
	next map[string]time.Time // theoretical arrival of the next request
}

// NewLocal returns a limiter with the clock.
func NewLocal(now func() time.Time) *Local {
	return &Local{now: now, next: map[string]time.Time{}}
}

// Take counts one request of the key, which must be limited. It never fails.
func (l *Local) Take(_ context.Context, key string, rate Rate) (Verdict, error) {
	now := l.now()
	step := rate.Step()
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.next[key]
	if next.Before(now) {
		next = now
	}
	after := next.Add(step)
	if over := after.Sub(now) - rate.Per; over > 0 {
		return Verdict{Retry: over, Reset: next.Sub(now)}, nil
	}
	if len(l.next) >= maxKeys {
		l.sweep(now)
	}
	l.next[key] = after
	left := int((rate.Per - after.Sub(now)) / step)
	return Verdict{Allowed: true, Remaining: left, Reset: after.Sub(now)}, nil
}

// sweep forgets the keys that are free again and, if need be, any others: a
// flood of keys must not cost memory without bound.
func (l *Local) sweep(now time.Time) {
	for key, next := range l.next {
		if !next.After(now) {
			delete(l.next, key)
		}
	}
	for key := range l.next {
		if len(l.next) < maxKeys*3/4 {
			return
		}
		delete(l.next, key)
	}
}
