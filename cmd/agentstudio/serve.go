package main

import (
	"context"
	"errors"
	"log/slog"

	"agentstudio/internal/app"
	"agentstudio/internal/config"
)

type serveCmd struct{}

// Run serves until the program is told to stop.
func (serveCmd) Run(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	studio, err := app.Open(ctx, *cfg, app.Options{Version: version, Log: log})
	if err != nil {
		return err
	}
	return errors.Join(studio.Run(ctx), studio.Close())
}

type openAPICmd struct{}

func (openAPICmd) Run() error { return nil }
