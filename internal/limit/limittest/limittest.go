// Package limittest holds what every limiter must do.
package limittest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/limit"

	"github.com/google/uuid"
)

// Limiter counts requests by key.
type Limiter interface {
	Take(ctx context.Context, key string, r limit.Rate) (limit.Verdict, error)
}

// Run tests limiters that share their counts; one may be given twice.
func Run(t *testing.T, here, there Limiter) {
	take := func(t *testing.T, l Limiter, key string, r limit.Rate) limit.Verdict {
		t.Helper()
		v, err := l.Take(t.Context(), key, r)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	t.Run("a burst is allowed up to the limit", func(t *testing.T) {
		rate, key := limit.Rate{Requests: 3, Per: time.Hour}, uuid.NewString()
		for left, l := range []Limiter{here, there, here} {
			if v := take(t, l, key, rate); !v.Allowed || v.Remaining != 2-left || v.Retry != 0 || v.Reset <= 0 || v.Reset > time.Hour {
				t.Fatalf("got %+v, want %d left", v, 2-left)
			}
		}
		for _, l := range []Limiter{here, there} {
			if v := take(t, l, key, rate); v.Allowed || v.Remaining != 0 || v.Retry <= 0 || v.Retry > 20*time.Minute || v.Reset < 59*time.Minute || v.Reset > time.Hour {
				t.Fatalf("got %+v, want a refusal for up to 20 minutes", v)
			}
		}
		if v := take(t, here, uuid.NewString(), rate); !v.Allowed {
			t.Error("another key is refused")
		}
	})
	t.Run("a refused key is allowed again after the time told", func(t *testing.T) {
		rate, key := limit.Rate{Requests: 1, Per: 50 * time.Millisecond}, uuid.NewString()
		for v := take(t, here, key, rate); v.Allowed; v = take(t, here, key, rate) {
		}
		for deadline := time.Now().Add(20 * time.Second); ; {
			v := take(t, there, key, rate)
			if v.Allowed {
				break
			}
			if v.Retry > rate.Per || time.Now().After(deadline) {
				t.Fatalf("still refused: %+v", v)
			}
			<-time.After(v.Retry)
		}
	})
	t.Run("whoever has patience gets a turn, in order", func(t *testing.T) {
		rate, key := limit.Rate{Requests: 7, Per: 7 * time.Hour, Patience: 2 * time.Hour}, uuid.NewString()
		for left := 6; left >= 0; left-- {
			if v := take(t, here, key, rate); !v.Allowed || v.Wait != 0 || v.Remaining != left {
				t.Fatalf("got %+v, want %d left", v, left)
			}
		}
		for i, l := range []Limiter{here, there} {
			want := time.Duration(i+1) * time.Hour
			if v := take(t, l, key, rate); !v.Allowed || v.Remaining != 0 || v.Wait > want || v.Wait < want-time.Minute {
				t.Fatalf("got %+v, want a turn in %s", v, want)
			}
		}
		rate.Patience = time.Hour // somebody else's: it neither gets a turn nor takes one
		for _, l := range []Limiter{there, here} {
			if v := take(t, l, key, rate); v.Allowed || v.Wait != 0 || v.Retry > 3*time.Hour || v.Retry < 3*time.Hour-time.Minute {
				t.Fatalf("got %+v, want a refusal for three hours", v)
			}
		}
	})
	t.Run("many at once are counted exactly", func(t *testing.T) {
		rate, key := limit.Rate{Requests: 20, Per: 10 * time.Hour}, uuid.NewString()
		var allowed atomic.Int32
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				l := here
				if i%2 == 0 {
					l = there
				}
				if v, err := l.Take(context.Background(), key, rate); err == nil && v.Allowed {
					allowed.Add(1)
				}
			})
		}
		all.Wait()
		if n := allowed.Load(); n != 20 {
			t.Errorf("%d of 20 were allowed", n)
		}
	})
}
