package river_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"agentstudio/internal/dispatch/dispatchtest"
	"agentstudio/internal/dispatch/river"
	"agentstudio/internal/execution"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

func TestRiverKeepsTheContract(t *testing.T) {
	dispatchtest.Run(t, func(t *testing.T) dispatchtest.Dispatcher {
		b := open(t, storetest.PostgresURL(t))
		d := b.dispatcher("local", b.leases)
		return dispatchtest.Dispatcher{Journal: b.journal, Announce: d.Announce, MaxActive: maxActive,
			Run: func(ctx, drain context.Context, e dispatchtest.Engine) error { return d.Run(ctx, drain, e) }}
	})
}

const (
	maxActive = 8
	lease     = 600 * time.Millisecond
)

// base is one process's view of a database: a store whose writer runs.
type base struct {
	t       *testing.T
	url     string
	db      *store.DB
	journal *store.Executions
	leases  *store.Leases
}

func open(t *testing.T, url string) *base {
	t.Helper()
	db := storetest.Open(t, store.Config{URL: url, MaxConns: 8})
	queue, err := river.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	b := &base{t: t, url: url, db: db, journal: store.NewExecutions(db, queue, time.Now), leases: store.NewLeases(db, queue)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.journal.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *base) dispatcher(worker string, leases river.Leases) *river.Dispatcher {
	return river.New(b.url, leases, river.Config{Worker: execution.Worker{ID: worker, Lease: lease}, MaxActive: maxActive, Beat: 60 * time.Millisecond,
		Retry: 20 * time.Millisecond, Sweep: time.Hour, Log: slog.New(slog.DiscardHandler)})
}
