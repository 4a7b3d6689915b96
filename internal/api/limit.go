package api

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"agentstudio/internal/fault"
)

// Limit allows so many requests in a stretch of time. No Requests: no limit.
type Limit struct {
	Requests int
	Per      time.Duration
}

// Limits are the limits in force, per class of request.
type Limits struct {
	User        Limit // signed-in requests, per user
	Anonymous   Limit // requests without credentials, per IP
	CodeAddress Limit // codes asked for, per address
	CodeIP      Limit // codes asked for, per IP
	Verify      Limit // codes tried, per address and IP
	Webhook     Limit // webhook calls, per workflow
}

// DefaultLimits returns the limits that hold when an operator says nothing.
func DefaultLimits() Limits {
	return Limits{
		User:        Limit{1000, time.Hour},
		Anonymous:   Limit{60, time.Minute},
		CodeAddress: Limit{5, 15 * time.Minute},
		CodeIP:      Limit{20, 15 * time.Minute},
		Verify:      Limit{10, 15 * time.Minute},
		Webhook:     Limit{600, time.Minute},
	}
}

// Verdict is what a Limiter says of one request.
type Verdict struct {
	Allowed   bool
	Remaining int
	Reset     time.Duration // until the whole limit is free again
	Retry     time.Duration // until the next request is allowed; 0 when this one was
}

// Limiter counts requests by key. Implementations bound their memory.
type Limiter interface {
	Take(ctx context.Context, key string, l Limit) (Verdict, error)
}

// maxKeys bounds the keys a LocalLimiter remembers.
const maxKeys = 100_000

// LocalLimiter counts in this process, evenly over time (GCRA): a key may burst
// up to its limit and then goes on at its rate.
type LocalLimiter struct {
	now func() time.Time

	mu   sync.Mutex
	next map[string]time.Time // theoretical arrival of the next request
}

// NewLocalLimiter returns a limiter with the clock.
func NewLocalLimiter(now func() time.Time) *LocalLimiter {
	return &LocalLimiter{now: now, next: map[string]time.Time{}}
}

// Take implements Limiter. It never fails.
func (l *LocalLimiter) Take(_ context.Context, key string, limit Limit) (Verdict, error) {
	now := l.now()
	step := limit.Per / time.Duration(limit.Requests)
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.next[key]
	if next.Before(now) {
		next = now
	}
	after := next.Add(step)
	if over := after.Sub(now) - limit.Per; over > 0 {
		return Verdict{Retry: over, Reset: next.Sub(now)}, nil
	}
	if len(l.next) >= maxKeys {
		l.sweep(now)
	}
	l.next[key] = after
	left := int((limit.Per - after.Sub(now)) / step)
	return Verdict{Allowed: true, Remaining: left, Reset: after.Sub(now)}, nil
}

// sweep forgets the keys that are free again and, if need be, any others: a
// flood of keys must not cost memory without bound.
func (l *LocalLimiter) sweep(now time.Time) {
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

// take counts a request and tells the caller what is left. TooMany: the limit
// is reached. A limiter that fails lets requests pass: it must not be able to
// stop the studio.
func (s *Server) take(ctx context.Context, h http.Header, class, key string, l Limit) error {
	if l.Requests <= 0 || l.Per <= 0 {
		return nil
	}
	v, err := s.limiter.Take(ctx, class+":"+key, l)
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "rate limiter does not answer", "error", err.Error())
		return nil
	}
	if h != nil {
		h.Set("RateLimit-Limit", strconv.Itoa(l.Requests))
		h.Set("RateLimit-Remaining", strconv.Itoa(v.Remaining))
		h.Set("RateLimit-Reset", strconv.Itoa(int(math.Ceil(v.Reset.Seconds()))))
	}
	if v.Allowed {
		return nil
	}
	return fault.New(fault.TooMany, "too many requests: %d in %s are allowed; try again in %s", l.Requests, l.Per, v.Retry.Round(time.Second)+time.Second).
		WithCode(class).WithRetryAfter(v.Retry)
}
