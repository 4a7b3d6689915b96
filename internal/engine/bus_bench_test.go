package engine_test

import (
	"context"
	"testing"
	"time"

	"agentstudio/internal/bus/memory"
	"agentstudio/internal/bus/postgres"
	"agentstudio/internal/bus/redis"
	"agentstudio/internal/event"
	"agentstudio/internal/redistest"
	"agentstudio/internal/store/storetest"

	goredis "github.com/redis/go-redis/v9"
)

// BenchmarkBuses runs the chain of ten on River and says what it costs to tell
// a second process of it, whose own share (it is in this process) is included.
// Compare within one run.
func BenchmarkBuses(b *testing.B) {
	b.Run("none", func(b *testing.B) { benchmarkChain(b, startShared(b, storetest.PostgresURL(b), newProbes(), nil)) })
	for _, c := range []struct {
		name   string
		second bool     // there is another process
		rooms  []string // that it listens to
		cfg    postgres.Config
	}{
		{name: "postgres/alone"},
		{name: "postgres/heard by nobody", second: true, rooms: []string{event.WorkspaceRoom("other")}},
		{name: "postgres/heard in the workspace", second: true, rooms: []string{event.WorkspaceRoom("w")}},
		{name: "postgres/everything is told", second: true, cfg: postgres.Config{Settle: 24 * time.Hour}},
	} {
		b.Run(c.name, func(b *testing.B) {
			url := storetest.PostgresURL(b)
			open := func(local *memory.Bus) *postgres.Bus {
				bus := postgres.New(url, local, c.cfg)
				keep(b, bus.Run)
				return bus
			}
			s := startCarried(b, url, newProbes(), nil, func(local *memory.Bus) event.Bus { return open(local) })
			if c.second {
				listen(b, open(memory.New(1024)), c.rooms)
			}
			<-time.After(3 * time.Second) // they tell each other everything for two
			benchmarkChain(b, s)
		})
	}
	for name, rooms := range map[string][]string{"redis/heard by nobody": nil, "redis/heard in the workspace": {event.WorkspaceRoom("w")}} {
		b.Run(name, func(b *testing.B) {
			server := redistest.Start(b)
			open := func(local *memory.Bus) *redis.Bus {
				options, err := goredis.ParseURL(server.URL())
				if err != nil {
					b.Fatal(err)
				}
				client := goredis.NewClient(options)
				b.Cleanup(func() { _ = client.Close() })
				bus := redis.New(client, local, nil, redis.Config{})
				keep(b, bus.Run)
				return bus
			}
			s := startCarried(b, storetest.PostgresURL(b), newProbes(), nil, func(local *memory.Bus) event.Bus { return open(local) })
			listen(b, open(memory.New(1024)), rooms)
			<-time.After(time.Second)
			benchmarkChain(b, s)
		})
	}
}

// keep runs a bus until the benchmark ends.
func keep(b *testing.B, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = run(ctx) }()
	b.Cleanup(func() { cancel(); <-ended })
}

// listen hears what a second process hears.
func listen(b *testing.B, bus event.Bus, rooms []string) {
	sub := bus.Subscribe(rooms...)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for e := range sub.C() {
			_ = e
		}
	}()
	b.Cleanup(func() { sub.Close(); <-ended })
}
