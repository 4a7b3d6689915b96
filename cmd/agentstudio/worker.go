package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"agentstudio/internal/app"
	"agentstudio/internal/config"
)

type workerCmd struct {
	Queues      []string `env:"STUDIO_QUEUES" default:"default" help:"Job queues to take executions from."`
	Concurrency int      `env:"STUDIO_CONCURRENCY" default:"0" help:"Executions of each queue in memory at a time. 0: as many as STUDIO_MAX_ACTIVE says."`
}

// Run runs executions until the program is told to stop.
func (c *workerCmd) Run(ctx context.Context, cfg *config.Config, log *slog.Logger) (err error) {
	studio, err := app.Open(ctx, *cfg, app.Options{Version: version, Log: log, Worker: true, Queues: c.Queues, Concurrency: c.Concurrency})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, studio.Close()) }()
	return studio.Work(ctx, func() {
		fmt.Fprintf(os.Stderr, "agentstudio worker %s is ready: queues %s\n", version, strings.Join(c.Queues, ", "))
	})
}
