package outbound_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/limit"
	limitredis "agentstudio/internal/limit/redis"
	"agentstudio/internal/outbound"
	"agentstudio/internal/redistest"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"

	"github.com/redis/go-redis/v9"
)

func TestProcessesTogetherKeepALimitOverPostgres(t *testing.T) {
	db := storetest.Postgres(t)
	together(t, store.NewRates(db), store.NewRates(db))
}

func TestProcessesTogetherKeepALimitOverRedis(t *testing.T) {
	options, err := redis.ParseURL(redistest.Start(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	one := func() outbound.Limiter {
		return limitredis.New(client, limit.NewLocal(time.Now), limitredis.Config{Within: 20 * time.Second})
	}
	together(t, one(), one())
}

// together has two processes call one server as often as they can.
func together(t *testing.T, limiters ...outbound.Limiter) {
	var mu sync.Mutex
	var came []time.Time
	url, host := server(t, func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		came = append(came, time.Now())
	})
	const calls = 50
	rate := limit.Rate{Requests: 20, Per: time.Second}
	var all sync.WaitGroup
	for _, l := range limiters {
		c := client(t, outbound.Config{Allow: []string{host}, Limiter: l, Limits: []outbound.Limit{{Host: "127.0.0.1", Rate: rate}}})
		for range calls / 2 {
			all.Go(func() {
				if _, err := c.Do(t.Context(), outbound.Request{URL: url}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if len(came) != calls {
		t.Fatalf("%d calls arrived", len(came))
	}
	slices.SortFunc(came, time.Time.Compare)
	// A call may be late on this machine, and then the next ones seem too early.
	const late = 300 * time.Millisecond
	for i := range came {
		within := 0
		for _, at := range came[i:] {
			if at.Sub(came[i]) < rate.Per-late {
				within++
			}
		}
		if within > rate.Requests {
			t.Fatalf("%d calls arrived within %s", within, rate.Per-late)
		}
	}
	if took := came[calls-1].Sub(came[0]); took < 2*time.Second-late || took > 10*time.Second {
		t.Errorf("%d calls at 20 a second took %s", calls, took)
	}
}
