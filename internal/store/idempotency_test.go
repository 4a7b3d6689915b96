package store_test

import (
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

func TestIdempotencyKeysAreHeldKeptAndForgotten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		keys := store.NewIdempotency(db)
		now := time.Now()
		begin := func(actor, hash string, now time.Time) (int, string, string, error) {
			status, headers, body, err := keys.Begin(t.Context(), actor, "k", hash, now, now.Add(time.Minute))
			return status, headers, string(body), err
		}
		if status, _, _, err := begin("a", "h", now); status != 0 || err != nil {
			t.Fatalf("first: %d, %v", status, err)
		}
		if _, _, _, err := begin("a", "h", now); !fault.Is(err, fault.Conflict) {
			t.Errorf("in progress: %v", err)
		}
		if status, _, _, err := begin("b", "other", now); status != 0 || err != nil {
			t.Errorf("somebody else's: %d, %v", status, err)
		}
		if status, _, _, err := begin("a", "h", now.Add(2*time.Minute)); status != 0 || err != nil { // the first process died
			t.Errorf("after the lease: %d, %v", status, err)
		}
		if err := keys.Finish(t.Context(), "a", "k", 201, `{"ETag":"1"}`, []byte("body"), now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := keys.Forget(t.Context(), "a", "k"); err != nil { // an answer that is kept stays
			t.Fatal(err)
		}
		if status, headers, body, err := begin("a", "h", now.Add(3*time.Minute)); status != 201 || headers != `{"ETag":"1"}` || body != "body" || err != nil {
			t.Errorf("again: %d %s %s, %v", status, headers, body, err)
		}
		if _, _, _, err := begin("a", "other", now.Add(3*time.Minute)); !fault.Is(err, fault.Invalid) {
			t.Errorf("another request: %v", err)
		}
		if status, _, _, err := begin("a", "other", now.Add(2*time.Hour)); status != 0 || err != nil {
			t.Errorf("after its time: %d, %v", status, err)
		}
		if err := keys.Forget(t.Context(), "a", "k"); err != nil {
			t.Fatal(err)
		}
		if status, _, _, err := begin("a", "third", now.Add(2*time.Hour)); status != 0 || err != nil {
			t.Errorf("after forgetting: %d, %v", status, err)
		}
		if err := keys.Finish(t.Context(), "nobody", "k", 200, "", nil, now); !fault.Is(err, fault.NotFound) {
			t.Errorf("a key nobody holds: %v", err)
		}
	})
}

func TestWhatIsPutDownIsFoundUntilItsTimeIsOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		keys := store.NewIdempotency(db)
		now := time.Now()
		for _, text := range []string{"first", "second"} {
			if err := keys.Keep(t.Context(), "a", "k", []byte(text), now.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if text, err := keys.Kept(t.Context(), "a", "k", now); string(text) != "second" || err != nil {
			t.Errorf("kept %q, %v", text, err)
		}
		for actor, at := range map[string]time.Time{"b": now, "a": now.Add(2 * time.Hour)} {
			if _, err := keys.Kept(t.Context(), actor, "k", at); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s at %s: %v", actor, at, err)
			}
		}
	})
}
