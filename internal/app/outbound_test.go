package app_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"agentstudio/internal/access"
	"agentstudio/internal/app"
	"agentstudio/internal/config"
	"agentstudio/internal/event"
	"agentstudio/internal/redistest"
	"agentstudio/internal/store/storetest"
)

func TestStudiosOnOneDatabaseShareOutboundLimits(t *testing.T) {
	database := storetest.PostgresURL(t)
	t.Run("through PostgreSQL", func(t *testing.T) { sharedLimit(t, database, "") })
	t.Run("through Redis", func(t *testing.T) { sharedLimit(t, database, redistest.Start(t).URL()) })
}

func sharedLimit(t *testing.T, database, redis string) {
	var came atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came.Add(1) }))
	t.Cleanup(server.Close)
	type studio struct {
		*app.App
		by access.Actor
	}
	var studios []studio
	for range 2 {
		cfg := settings(t.TempDir())
		cfg.DatabaseURL, cfg.RedisURL = config.Secret(database), config.Secret(redis)
		cfg.AllowPrivate = []string{"127.0.0.1"}
		cfg.OutboundLimits = []string{"127.0.0.1=1/24h"}
		a, by, _ := open(t, cfg)
		studios = append(studios, studio{a, by})
	}
	var refused atomic.Int32
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			s := studios[i%2]
			d, err := s.Codec.Decode([]byte("name: w\nnodes:\n- {id: a, kind: manual-trigger}\n- {id: b, kind: http-request, config: {url: '" + server.URL + "'}, retry: {max_attempts: 1}}\nconnections:\n- {source: a, target: b}\n"))
			if err != nil {
				t.Error(err)
				return
			}
			x, err := s.RunOnce(t.Context(), s.by, d, json.RawMessage(`{}`), false, func(event.Event) {})
			if err != nil {
				t.Error(err)
			} else if x.Error != nil && x.Error.Code == "outbound_limit" && strings.Contains(x.Error.Message, "1 time in 24h only") {
				refused.Add(1)
			}
		})
	}
	all.Wait()
	if came.Load() != 1 || refused.Load() != 5 {
		t.Errorf("%d calls of 6 arrived and %d were refused at a limit of 1", came.Load(), refused.Load())
	}
}
