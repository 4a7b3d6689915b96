package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"agentstudio/internal/app"
	"agentstudio/internal/config"
)

type workerCmd struct {
	Queues      []string `env:"STUDIO_QUEUES" default:"default" help:"Job queues to take executions from."`
	Concurrency int      `env:"STUDIO_CONCURRENCY" default:"0" help:"Executions of each queue in memory at a time. 0: as many as STUDIO_MAX_ACTIVE says."`
	MetricsAddr string   `env:"STUDIO_METRICS_ADDR" help:"Address to serve /metrics and /healthz on, such as 127.0.0.1:9100. Empty: none."`
}

// Run runs executions until the program is told to stop.
func (c *workerCmd) Run(ctx context.Context, cfg *config.Config, log *slog.Logger) (err error) {
	options := app.Options{Version: version, Log: log, Supervisor: itself(supervise), Sandbox: itself(interpret), Worker: true, Queues: c.Queues, Concurrency: c.Concurrency}
	if c.MetricsAddr != "" {
		if options.Metrics, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.MetricsAddr); err != nil {
			return fmt.Errorf("listen on %s: %w (choose another address with --metrics-addr)", c.MetricsAddr, err)
		}
		defer func() { _ = options.Metrics.Close() }() // again when the worker has run
	}
	studio, err := app.Open(ctx, *cfg, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, studio.Close()) }()
	return studio.Work(ctx, func() {
		fmt.Fprintf(os.Stderr, "agentstudio worker %s is ready: queues %s\n", version, strings.Join(c.Queues, ", "))
	})
}
