package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/metrics"
)

// sources are what the metrics look at when they are read.
func (a *App) sources() metrics.Sources {
	return metrics.Sources{Pools: a.db.Pools(), LimiterLocal: a.alone,
		// The engine and the journal are made after the metrics.
		Active: func() int { return a.engine.Active() }, Backlog: func(ctx context.Context) (execution.Backlog, error) { return a.dispatch.journal.Backlog(ctx) }}
}

// readers are those who may read the metrics.
func (a *App) readers(proxies []netip.Prefix) metrics.Readers {
	return metrics.Readers{Token: a.cfg.MetricsToken.Reveal(), Proxies: proxies}
}

// showMetrics serves the metrics of a worker until ctx ends.
func (a *App) showMetrics(ctx context.Context, l net.Listener) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metrics.Handler(a.readers(nil)))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n") // the caller may be gone
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(a.opts.Log.Handler(), slog.LevelDebug)}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		_ = server.Close() // a scrape that is cut off comes again
	})
	err := server.Serve(l)
	if !stop() {
		<-stopped
	}
	if !errors.Is(err, http.ErrServerClosed) { // the executions are worth more than their numbers
		a.opts.Log.Error("metrics are not served any more", "error", err)
	}
}
