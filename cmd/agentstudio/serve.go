package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"agentstudio/internal/app"
	"agentstudio/internal/config"
)

type serveCmd struct{}

// Run serves until the program is told to stop.
func (serveCmd) Run(ctx context.Context, cfg *config.Config, log *slog.Logger) (err error) {
	studio, err := app.Open(ctx, *cfg, app.Options{Version: version, Log: log, Supervisor: itself(supervise), Sandbox: itself(interpret)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, studio.Close()) }()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w (choose another address with --addr)", cfg.Addr, err)
	}
	return studio.Serve(ctx, l, func() { greet(cfg, l.Addr().String()) })
}

// greet tells a person where to go.
func greet(cfg *config.Config, address string) {
	text := fmt.Sprintf("\n  Agent Studio %s is ready.\n\n  Open      %s\n  API       %s/docs\n  Data      %s\n", version, cfg.PublicURL, cfg.PublicURL, cfg.DataDir)
	if cfg.SMTPURL == "" && cfg.SendGridAPIKey == "" {
		text += "  Sign-in   no mail server is set: sign-in codes are printed here\n"
	}
	if cfg.PublicURL != "http://"+address {
		text += "  Listens   " + address + "\n"
	}
	fmt.Fprintln(os.Stderr, text)
}

type openAPICmd struct{}

// Run prints the document.
func (openAPICmd) Run() error {
	text, err := app.OpenAPI("1")
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(text, '\n'))
	return err
}
