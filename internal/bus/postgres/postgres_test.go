package postgres_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"agentstudio/internal/bus/bustest"
	"agentstudio/internal/bus/memory"
	"agentstudio/internal/bus/postgres"
	"agentstudio/internal/event"
	"agentstudio/internal/store/storetest"
)

func start(t *testing.T, url string, cfg postgres.Config) (b *postgres.Bus, stop func()) {
	t.Helper()
	b = postgres.New(url, memory.New(256), cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return b, stop
}

func TestConformance(t *testing.T) {
	for name, cfg := range map[string]postgres.Config{
		"usual":           {},
		"known at once":   {Settle: time.Nanosecond},
		"always in doubt": {Settle: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			url := storetest.PostgresURL(t)
			bustest.Run(t, func(t *testing.T) (here, there event.Bus) {
				a, _ := start(t, url, cfg)
				b, _ := start(t, url, cfg)
				acquainted(t, a, b)
				return a, b
			})
		})
	}
}

// acquainted waits until each knows what the other listens to.
func acquainted(t *testing.T, a, b *postgres.Bus) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !a.Knows(b) || !b.Knows(a); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the processes do not find each other")
		}
	}
}

func admin(t *testing.T, url, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
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

func TestListenersLookAgainWhenTheConnectionBreaks(t *testing.T) {
	url := storetest.PostgresURL(t)
	here, _ := start(t, url, postgres.Config{})
	there, _ := start(t, url, postgres.Config{})
	room := bustest.Room()
	sub := there.Subscribe(room)
	defer sub.Close()
	for range 3 {
		bustest.Meet(t, here, sub, room)
		admin(t, url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'agentstudio bus' AND datname = current_database()`)
		lagged(t, sub)
	}
	bustest.Meet(t, here, sub, room)
}

func TestNobodyIsToldOfWhatNobodyListensTo(t *testing.T) {
	url := storetest.PostgresURL(t)
	here, _ := start(t, url, postgres.Config{Settle: time.Nanosecond, Beat: time.Hour})
	there, _ := start(t, url, postgres.Config{Settle: time.Nanosecond, Beat: time.Hour})
	acquainted(t, here, there)
	room := bustest.Room()
	sub := there.Subscribe(room)
	defer sub.Close()
	bustest.Meet(t, here, sub, room)
	before := here.Told()
	for range 1000 {
		here.Publish(t.Context(), event.Event{Room: bustest.Room(), Seq: 1, Type: "t"})
	}
	here.Publish(t.Context(), event.Event{Room: room, Seq: 1, Type: "end"})
	for e := range sub.C() {
		if e.Type == "end" {
			break
		}
	}
	if n := here.Told() - before; n != 1 {
		t.Errorf("%d notifications for one event that somebody listens to", n)
	}
}

func TestOverflowIsALossAndNoWait(t *testing.T) {
	url := storetest.PostgresURL(t)
	there, _ := start(t, url, postgres.Config{})
	here, _ := start(t, url, postgres.Config{Gap: 100 * time.Millisecond})
	room := bustest.Room()
	sub := there.Subscribe(room)
	defer sub.Close()
	bustest.Meet(t, here, sub, room)
	for range 60_000 {
		here.Publish(t.Context(), event.Event{Room: room, Type: "t"})
	}
	lagged(t, sub)
}

func TestStandbyCarriesOnlyOnDemand(t *testing.T) {
	url := storetest.PostgresURL(t)
	cfg := postgres.Config{Standby: true, Settle: time.Nanosecond}
	hub := memory.New(256)
	here, _ := start(t, url, cfg)
	there := postgres.New(url, hub, cfg)
	hub.Watch(there)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = there.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	room := bustest.Room()
	sub := there.Subscribe(room)
	defer sub.Close()
	here.Demand(true) // this process hears nothing else: the other must tell and be told
	bustest.Meet(t, here, sub, room)
	here.Demand(false)
	there.Demand(true)
	bustest.Meet(t, here, sub, room)
}

func TestAProcessAloneAnnouncesNothingAndWhoComesLearnsAll(t *testing.T) {
	url := storetest.PostgresURL(t)
	cfg := postgres.Config{Settle: time.Nanosecond, Beat: time.Hour}
	alone, _ := start(t, url, cfg)
	alone.Settled(t)
	before := alone.Told()
	room := bustest.Room()
	sub := alone.Subscribe(room)
	defer sub.Close()
	for range 100 {
		alone.Subscribe(bustest.Room()).Close()
	}
	alone.Settled(t)
	if n := alone.Told() - before; n > 1 { // the greeting may still be on its way
		t.Errorf("a process that is alone said %d things", n)
	}
	comes, _ := start(t, url, cfg)
	acquainted(t, alone, comes)
	bustest.Meet(t, comes, sub, room)
}
