package redis_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/limit"
	"agentstudio/internal/limit/limittest"
	"agentstudio/internal/limit/redis"
	"agentstudio/internal/redistest"

	goredis "github.com/redis/go-redis/v9"
)

func client(t *testing.T, url string) *goredis.Client {
	t.Helper()
	options, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	options.ContextTimeoutEnabled, options.MaxRetries, options.DialTimeout = true, -1, time.Second
	c := goredis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestConformance(t *testing.T) {
	server := redistest.Start(t)
	cfg := redis.Config{Within: 20 * time.Second}
	limittest.Run(t, redis.New(client(t, server.URL()), nil, cfg), redis.New(client(t, server.URL()), nil, cfg))
}

func take(t *testing.T, s *redis.Shared, key string) limit.Verdict {
	t.Helper()
	v, err := s.Take(t.Context(), key, limit.Rate{Requests: 2, Per: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEachProcessCountsForItselfWhileRedisIsGone(t *testing.T) {
	server := redistest.Start(t)
	var log bytes.Buffer
	s := redis.New(client(t, server.URL()), limit.NewLocal(time.Now),
		redis.Config{Within: 10 * time.Second, Retry: time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for outage := range 2 {
		key := strings.Repeat("k", outage+1)
		before := s.Alone()
		if take(t, s, key); s.Alone() != before {
			t.Fatal("a request was counted without Redis")
		}
		server.Stop()
		for i := range 3 {
			if got := take(t, s, key).Allowed; got != (i < 2) {
				t.Errorf("request %d of a limit of 2 is allowed: %v", i+1, got)
			}
		}
		if n := s.Alone() - before; n != 3 {
			t.Errorf("%d requests were counted alone", n)
		}
		server.Again()
		for deadline := time.Now().Add(20 * time.Second); s.Down(); <-time.After(2 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it does not come back")
			}
			if _, err := s.Take(t.Context(), "probe", limit.Rate{Requests: 1000, Per: time.Second}); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(log.String(), "level=WARN"); n != outage+1 {
			t.Errorf("%d warnings in %d outages:\n%s", n, outage+1, &log)
		}
	}
}

func TestSilentRedisHoldsNobodyUp(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // it accepts nobody, and answers nothing
	s := redis.New(client(t, "redis://"+l.Addr().String()), limit.NewLocal(time.Now), redis.Config{Retry: time.Hour})
	began := time.Now()
	for range 100 {
		if v, err := s.Take(context.Background(), "k", limit.Rate{Requests: 1000, Per: time.Hour}); err != nil || !v.Allowed {
			t.Fatalf("got %+v, %v", v, err)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("100 requests took %s", took)
	}
	if s.Alone() != 100 {
		t.Errorf("%d of 100 were counted alone", s.Alone())
	}
}
