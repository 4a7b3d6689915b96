package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

func TestWhatNobodyChangesIsReadOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		db.Restless()
		reads, calls := 0, 0
		// Other databases of the same PostgreSQL may change meanwhile: not all the time.
		for deadline := time.Now().Add(20 * time.Second); reads == calls; calls++ {
			if time.Now().After(deadline) {
				t.Fatalf("%d calls, and each has read", calls)
			}
			if _, err := db.Current(t.Context(), "u", func() (string, error) { reads++; return "x", nil }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestADatabaseThatIsGoneIsToldByWhoReads(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		gone := errors.New("gone")
		for range 3 {
			if _, err := db.Current(t.Context(), "u", func() (string, error) { return "", gone }); !errors.Is(err, gone) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// What one process has changed is read by the others from the answer on, however
// many share their questions.
func TestWhatAnotherProcessHasChangedIsReadAtOnce(t *testing.T) {
	url := storetest.PostgresURL(t)
	here, there := storetest.Open(t, store.Config{URL: url, MaxConns: 4}), storetest.Open(t, store.Config{URL: url, MaxConns: 8})
	there.Restless()
	furnish(t, here)
	var answered atomic.Int64
	change(t, here, `UPDATE users SET full_name = '#0'`)
	read := readings(there)["user"]
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 8 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				least := answered.Load()
				text, err := read(t.Context())
				var n int64
				if _, scanned := fmt.Sscanf(text, "#%d", &n); err != nil || scanned != nil || n < least {
					t.Errorf("read %q (%v) after change %d", text, err, least)
					return
				}
			}
		})
	}
	for n := range int64(300) {
		change(t, here, fmt.Sprintf(`UPDATE users SET full_name = '#%d'`, n))
		answered.Store(n)
		if text, err := read(t.Context()); text != fmt.Sprintf("#%d", n) {
			t.Errorf("read %q (%v) after change %d", text, err, n)
		}
	}
	close(done)
	readers.Wait()
}

// noQueue has no entries.
type noQueue struct{ store.Queue }

func (noQueue) Withdraw(context.Context, *sql.Tx, []string, bool) ([]execution.Ticket, error) {
	return nil, nil
}

// Processes that only say that they are alive, and River choosing its leader,
// make nobody read anything again.
func TestSignsOfLifeAreNoChange(t *testing.T) {
	url := storetest.PostgresURL(t)
	here, there := storetest.Open(t, store.Config{URL: url, MaxConns: 4}), storetest.Open(t, store.Config{URL: url, MaxConns: 4})
	there.Restless()
	leases := store.NewLeases(here, noQueue{})
	w := execution.Worker{ID: "w", Lease: time.Minute}
	if err := leases.Register(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	reads := 0
	reading := func() (again bool) {
		t.Helper()
		before := reads
		if _, err := there.Current(t.Context(), "u", func() (string, error) { reads++; return "x", nil }); err != nil {
			t.Fatal(err)
		}
		return reads > before
	}
	for name, sign := range map[string]func() error{
		"heartbeat": func() error { _, err := leases.Heartbeat(t.Context(), w, 10); return err },
		"leader": func() error {
			return here.Write(t.Context(), func(tx *sql.Tx) error {
				_, err := tx.ExecContext(t.Context(), `INSERT INTO river_leader (elected_at, expires_at, leader_id, name) VALUES (now(), now(), 'a', 'default') ON CONFLICT (name) DO UPDATE SET elected_at = now()`)
				return err
			})
		},
	} {
		// Other databases of the same PostgreSQL may change meanwhile: not all the time.
		for deadline := time.Now().Add(20 * time.Second); ; {
			for reading() && time.Now().Before(deadline) { //nolint:revive // until something is kept
			}
			if err := sign(); err != nil {
				t.Fatal(err)
			}
			if !reading() {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: everything is read again", name)
			}
		}
	}
	for range 20 { // and a change beside them is one
		for deadline := time.Now().Add(20 * time.Second); reading() && time.Now().Before(deadline); { //nolint:revive // until something is kept
		}
		change(t, here, `INSERT INTO users (id, email, full_name, is_active, is_admin, created_at, updated_at) VALUES ('u', 'u@x.test', '', TRUE, FALSE, 1, 1) ON CONFLICT (id) DO UPDATE SET full_name = excluded.full_name`)
		if _, err := leases.Heartbeat(t.Context(), w, 10); err != nil {
			t.Fatal(err)
		}
		if !reading() {
			t.Fatal("a change beside signs of life was not seen")
		}
	}
}
