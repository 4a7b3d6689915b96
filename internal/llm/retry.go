package llm

import (
	"context"
	"math/rand/v2"
	"time"

	"agentstudio/internal/fault"
)

// RetryConfig says how patient Retry is. Zero values mean what the comments say.
type RetryConfig struct {
	Attempts int           // the first one counts; 4
	Base     time.Duration // the first delay, doubled each time; 500 ms
	Max      time.Duration // of a delay; 20 s
	// MaxRetryAfter is the longest Retry-After that is waited for; 60 s. A
	// longer one ends the retries, so that the wait costs no connection here.
	MaxRetryAfter time.Duration
	// Sleep waits or returns the context's cause; nil means a real timer.
	Sleep func(context.Context, time.Duration) error
	// Jitter returns a number in [0, 1); nil means a random one.
	Jitter func() float64
	// OnRetry, when not nil, hears about each retry before its delay.
	OnRetry func(req Request, attempt int, delay time.Duration, err error)
}

// Retry returns a model that asks m again after transient failures (408, 409,
// 429, 5xx, 529, time-outs, no connection, a stream cut before its first
// part), with exponential back-off and the provider's Retry-After. Once a part
// was passed on, or ctx is done, nothing is repeated.
func Retry(m Model, cfg RetryConfig) Model {
	if cfg.Attempts <= 0 {
		cfg.Attempts = 4
	}
	if cfg.Base <= 0 {
		cfg.Base = 500 * time.Millisecond
	}
	if cfg.Max <= 0 {
		cfg.Max = 20 * time.Second
	}
	if cfg.MaxRetryAfter <= 0 {
		cfg.MaxRetryAfter = time.Minute
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	return &retry{Model: m, cfg: cfg}
}

type retry struct {
	Model
	cfg RetryConfig
}

// Generate implements Model.
func (r *retry) Generate(ctx context.Context, req Request, onPart func(Part)) (*Response, error) {
	for attempt := 1; ; attempt++ {
		begun := false
		response, err := r.Model.Generate(ctx, req, func(p Part) {
			begun = true
			if onPart != nil {
				onPart(p)
			}
		})
		if err == nil {
			return response, nil
		}
		delay, again := r.delay(attempt, err)
		if !again || begun || ctx.Err() != nil {
			return nil, err
		}
		if r.cfg.OnRetry != nil {
			r.cfg.OnRetry(req, attempt, delay, err)
		}
		if r.cfg.Sleep(ctx, delay) != nil {
			return nil, err
		}
	}
}

// delay says whether and when a failed attempt is followed by another.
func (r *retry) delay(attempt int, err error) (time.Duration, bool) {
	if attempt >= r.cfg.Attempts || !Transient(err) {
		return 0, false
	}
	delay := r.cfg.Max
	if attempt < 32 {
		delay = min(r.cfg.Base<<(attempt-1), r.cfg.Max)
	}
	delay = delay/2 + time.Duration(r.cfg.Jitter()*float64(delay/2))
	if after := fault.As(err).RetryAfter; after > 0 {
		return max(after, delay), after <= r.cfg.MaxRetryAfter
	}
	return delay, true
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
