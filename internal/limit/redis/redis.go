// Package redis counts requests in a Redis server, so that all processes share
// one limit. While the server does not answer, each counts for itself.
package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	"agentstudio/internal/limit"

	"github.com/redis/go-redis/v9"
)

// Limiter counts requests by key.
type Limiter interface {
	Take(ctx context.Context, key string, r limit.Rate) (limit.Verdict, error)
}

// Config adjusts a Shared.
type Config struct {
	// Within bounds what Redis may take to answer; 50 ms.
	Within time.Duration
	// Retry is how long Redis is left alone after it did not answer; 1 s.
	Retry time.Duration
	Log   *slog.Logger
}

// Shared is a limiter over Redis. It is safe for concurrent use.
type Shared struct {
	client *redis.Client
	local  Limiter
	cfg    Config
	script *redis.Script

	mu    sync.Mutex
	down  bool
	again time.Time // when Redis is tried next
	alone int64
}

// New returns a limiter over the server. local counts while it is gone.
func New(client *redis.Client, local Limiter, cfg Config) *Shared {
	if cfg.Within <= 0 {
		cfg.Within = 50 * time.Millisecond
	}
	if cfg.Retry <= 0 {
		cfg.Retry = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Shared{client: client, local: local, cfg: cfg, script: redis.NewScript(gcra)}
}

// gcra does what limit.Local does, by the server's clock in microseconds: KEYS
// the key, ARGV the step, the whole time and the patience. It answers by how
// much the request is over the rate.
const gcra = `
local t = redis.call('TIME')
local now, step, per, patience = t[1] * 1000000 + t[2], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local after = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + step
if after - now - per <= patience then
  redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
end
return after - now - per
`

// Take counts one request of the key, which must be limited. It fails only
// when the local limiter does.
func (s *Shared) Take(ctx context.Context, key string, r limit.Rate) (limit.Verdict, error) {
	if s.waiting() {
		return s.local.Take(ctx, key, r)
	}
	v, err := s.ask(ctx, key, r)
	if err == nil {
		s.answered()
		return v, nil
	}
	if ctx.Err() == nil { // else it is the caller who left
		s.failed(err)
	}
	return s.local.Take(ctx, key, r)
}

// Alone returns how many requests were counted without Redis.
func (s *Shared) Alone() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alone
}

// Down reports whether Redis is taken to be gone.
func (s *Shared) Down() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

func (s *Shared) ask(ctx context.Context, key string, r limit.Rate) (limit.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Within)
	defer cancel()
	r = r.Truncate(time.Microsecond)
	over, err := s.script.Run(ctx, s.client, []string{name(key)}, r.Step().Microseconds(), r.Per.Microseconds(), r.Patience.Microseconds()).Int64()
	if err != nil {
		return limit.Verdict{}, err
	}
	return r.Verdict(time.Duration(over) * time.Microsecond), nil
}

// name keeps addresses of people out of the server.
func name(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "studio:limit:" + hex.EncodeToString(sum[:16])
}

// waiting reports whether Redis is left alone just now. Of those who ask when
// the time is over one goes to see.
func (s *Shared) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.down {
		return false
	}
	if now := time.Now(); now.After(s.again) {
		s.again = now.Add(s.cfg.Retry)
		return false
	}
	s.alone++
	return true
}

func (s *Shared) failed(err error) {
	s.mu.Lock()
	first := !s.down
	s.down, s.again = true, time.Now().Add(s.cfg.Retry)
	s.alone++
	s.mu.Unlock()
	if first {
		s.cfg.Log.Warn("Redis does not answer: rate limits are counted in each process until it does", "error", err)
	}
}

func (s *Shared) answered() {
	s.mu.Lock()
	back, alone := s.down, s.alone
	s.down = false
	s.mu.Unlock()
	if back {
		s.cfg.Log.Info("Redis answers again: rate limits are shared", "counted_alone", alone)
	}
}
