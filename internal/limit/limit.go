// Package limit says how often something may happen, and counts it.
package limit

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Rate allows so many requests in a stretch of time. No Requests: no limit.
type Rate struct {
	Requests int
	Per      time.Duration
	// Patience is how long a request may be put off instead of being refused:
	// then it is counted at once, and the verdict says when its turn comes.
	Patience time.Duration
}

// String is the rate in words: "20 times in 1h".
func (r Rate) String() string {
	times := "times"
	if r.Requests == 1 {
		times = "time"
	}
	return strconv.Itoa(r.Requests) + " " + times + " in " + Spoken(r.Per)
}

// Spoken writes a stretch of time without its zeroes, in whole seconds rounded
// up where it is longer than one.
func Spoken(d time.Duration) string {
	if d > time.Second {
		d = (d + time.Second - 1).Truncate(time.Second)
	}
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// Step is the time in which one request becomes free again.
func (r Rate) Step() time.Duration { return r.Per / time.Duration(r.Requests) }

// Truncate returns the rate for a clock of that unit: its step is whole.
func (r Rate) Truncate(unit time.Duration) Rate {
	r.Per = max(unit, r.Step().Truncate(unit)) * time.Duration(r.Requests)
	return r
}

// Even returns a rate under which no stretch of r.Per, wherever it begins,
// holds more than r.Requests: a tenth of them may go at once, the rest come one
// after another. (Under r itself a whole burst may follow a stretch of steady
// requests.)
func (r Rate) Even() Rate {
	const unit = time.Microsecond // whole on every clock, and never rounded down
	burst := max(1, r.Requests/10)
	steps := time.Duration(r.Requests - burst + 1)
	step := (r.Per + steps*unit - 1) / (steps * unit) * unit
	r.Requests, r.Per = burst, step*time.Duration(burst)
	return r
}

// Verdict is what a limiter says of one request.
type Verdict struct {
	Allowed   bool
	Remaining int
	Reset     time.Duration // until the whole limit is free again
	Retry     time.Duration // until the next request is allowed; 0 when this one was
	Wait      time.Duration // until an allowed request may go on, within the rate's patience
}

// Verdict returns what a request comes to that is so much over the rate: what
// is not over it is negative.
func (r Rate) Verdict(over time.Duration) Verdict {
	if over > r.Patience {
		return Verdict{Retry: over, Reset: r.Per + over - r.Step()}
	}
	return Verdict{Allowed: true, Remaining: int(max(0, -over) / r.Step()), Reset: r.Per + over, Wait: max(0, over)}
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
	over := after.Sub(now) - rate.Per
	if over > rate.Patience {
		return rate.Verdict(over), nil
	}
	if len(l.next) >= maxKeys {
		l.sweep(now)
	}
	l.next[key] = after
	return rate.Verdict(over), nil
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
