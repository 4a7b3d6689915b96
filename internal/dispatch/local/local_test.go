package local_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"agentstudio/internal/dispatch/dispatchtest"
	"agentstudio/internal/dispatch/local"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

func TestLocalDispatcherKeepsTheContract(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *store.DB{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			dispatchtest.Run(t, func(t *testing.T) dispatchtest.Dispatcher { return dispatcher(t, open(t)) })
		})
	}
}

func dispatcher(t *testing.T, db *store.DB) dispatchtest.Dispatcher {
	journal := store.NewExecutions(db, nil, time.Now)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- journal.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	d := local.New(journal, local.Config{MaxActive: 8, Retry: 5 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	return dispatchtest.Dispatcher{Journal: journal, Announce: d.Announce, MaxActive: 8,
		Run: func(ctx, drain context.Context, e dispatchtest.Engine) error { return d.Run(ctx, drain, e) }}
}
