package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
