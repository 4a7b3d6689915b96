package redis_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/bus/bustest"
	"agentstudio/internal/bus/memory"
	"agentstudio/internal/bus/postgres"
	"agentstudio/internal/bus/redis"
	"agentstudio/internal/event"
	"agentstudio/internal/redistest"
	"agentstudio/internal/store/storetest"

	goredis "github.com/redis/go-redis/v9"
)

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// start runs a process's bus; database may be empty.
func start(t *testing.T, url, database string, log *lines) *redis.Bus {
	t.Helper()
	options, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	options.ContextTimeoutEnabled, options.MaxRetries = true, -1
	client := goredis.NewClient(options)
	hub := memory.New(256)
	var fallback redis.Fallback
	if database != "" {
		fallback = postgres.New(database, hub, postgres.Config{Standby: true})
	}
	b := redis.New(client, hub, fallback, redis.Config{Log: slog.New(slog.NewTextHandler(log, nil)), Retry: 10 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended; _ = client.Close() })
	return b
}

// up waits until Redis carries.
func up(t *testing.T, buses ...*redis.Bus) { t.Helper(); await(t, true, buses) }

// down waits until every process has noticed that Redis is gone.
func down(t *testing.T, buses ...*redis.Bus) { t.Helper(); await(t, false, buses) }

func await(t *testing.T, up bool, buses []*redis.Bus) {
	t.Helper()
	for _, b := range buses {
		for deadline := time.Now().Add(20 * time.Second); b.Up() != up; <-time.After(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("that Redis carries is still %v", !up)
			}
		}
	}
}

func TestConformance(t *testing.T) {
	server := redistest.Start(t)
	bustest.Run(t, func(t *testing.T) (here, there event.Bus) {
		a, b := start(t, server.URL(), "", &lines{}), start(t, server.URL(), "", &lines{})
		up(t, a, b)
		return a, b
	})
}

// lagged waits until the subscription is told of a loss.
func lagged(t *testing.T, sub event.Subscription) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !sub.Lagged() {
		select {
		case <-sub.C():
		case <-deadline:
			t.Fatal("nobody told the listener of the loss")
		}
	}
}

func TestTheDatabaseCarriesWhileRedisIsGone(t *testing.T) {
	server, database := redistest.Start(t), storetest.PostgresURL(t)
	var log lines
	here, there := start(t, server.URL(), database, &log), start(t, server.URL(), database, &log)
	up(t, here, there)
	room := bustest.Room()
	sub := there.Subscribe(room)
	defer sub.Close()
	bustest.Meet(t, here, sub, room)
	for outage := range 2 {
		server.Stop()
		down(t, here, there)
		lagged(t, sub)
		bustest.Meet(t, here, sub, room)
		server.Again()
		up(t, here, there)
		bustest.Meet(t, here, sub, room)
		if n := log.count("level=WARN"); n != 2*(outage+1) {
			t.Errorf("two processes warned %d times in %d outages", n, outage+1)
		}
	}
}

func TestOneProcessWithoutRedisStillTellsAndHears(t *testing.T) {
	server, database := redistest.Start(t), storetest.PostgresURL(t)
	var log lines
	here, there := start(t, server.URL(), database, &log), start(t, "unix:///tmp/there-is-no-such-redis.sock", database, &log)
	up(t, here)
	room := bustest.Room()
	a, b := here.Subscribe(room), there.Subscribe(room)
	defer a.Close()
	defer b.Close()
	bustest.Meet(t, there, a, room)
	bustest.Meet(t, here, b, room)
}

func TestListenersLookAgainWhenRedisIsBack(t *testing.T) {
	server := redistest.Start(t)
	var log lines
	here, there := start(t, server.URL(), "", &log), start(t, server.URL(), "", &log)
	up(t, here, there)
	room := bustest.Room()
	sub := there.Subscribe(room)
	defer sub.Close()
	bustest.Meet(t, here, sub, room)
	server.Stop()
	lagged(t, sub)
	server.Again()
	bustest.Meet(t, here, sub, room)
}
