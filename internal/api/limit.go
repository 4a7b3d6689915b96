package api

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/limit"
)

// Limits are the limits in force, per class of request.
type Limits struct {
	User        limit.Rate // signed-in requests, per user
	Anonymous   limit.Rate // requests without credentials, per IP
	CodeAddress limit.Rate // codes asked for, per address
	CodeIP      limit.Rate // codes asked for, per IP
	Verify      limit.Rate // codes tried, per address and IP
	Webhook     limit.Rate // webhook calls, per workflow
	AI          limit.Rate // calls of models through the tools, per user
}

// DefaultLimits returns the limits that hold when an operator says nothing.
func DefaultLimits() Limits {
	return Limits{
		User:        limit.Rate{Requests: 1000, Per: time.Hour},
		Anonymous:   limit.Rate{Requests: 60, Per: time.Minute},
		CodeAddress: limit.Rate{Requests: 5, Per: 15 * time.Minute},
		CodeIP:      limit.Rate{Requests: 20, Per: 15 * time.Minute},
		Verify:      limit.Rate{Requests: 10, Per: 15 * time.Minute},
		Webhook:     limit.Rate{Requests: 600, Per: time.Minute},
		AI:          limit.Rate{Requests: 100, Per: time.Hour},
	}
}

// Limiter counts requests by key. Implementations bound their memory.
type Limiter interface {
	Take(ctx context.Context, key string, r limit.Rate) (limit.Verdict, error)
}

// take counts a request and tells the caller what is left. TooMany: the limit
// is reached. A limiter that fails lets requests pass: it must not be able to
// stop the studio.
func (s *Server) take(ctx context.Context, h http.Header, class, key string, r limit.Rate) error {
	if r.Requests <= 0 || r.Per <= 0 {
		return nil
	}
	v, err := s.limiter.Take(ctx, class+":"+key, r)
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "rate limiter does not answer", "error", err.Error())
		return nil
	}
	if h != nil {
		h.Set("RateLimit-Limit", strconv.Itoa(r.Requests))
		h.Set("RateLimit-Remaining", strconv.Itoa(v.Remaining))
		h.Set("RateLimit-Reset", strconv.Itoa(int(math.Ceil(v.Reset.Seconds()))))
	}
	if v.Allowed {
		return nil
	}
	return fault.New(fault.TooMany, "too many requests: %d in %s are allowed; try again in %s", r.Requests, r.Per, v.Retry.Round(time.Second)+time.Second).
		WithCode(class).WithRetryAfter(v.Retry)
}
