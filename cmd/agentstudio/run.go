package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"agentstudio/internal/app"
	"agentstudio/internal/config"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"
)

// localAddress is whose workspace commands work in when nobody is named.
const localAddress = "you@studio.local"

type runCmd struct {
	File   string `arg:"" help:"Workflow file, YAML or JSON."`
	Input  string `help:"Trigger data as JSON, @FILE, or - for standard input." default:"{}"`
	Quiet  bool   `short:"q" help:"Show no progress."`
	DryRun bool   `help:"Call nothing that reaches outside: such nodes use their pinned_output."`
}

// Run runs the file in a studio of its own that is thrown away afterwards.
func (c *runCmd) Run(ctx context.Context, cfg *config.Config, log *slog.Logger) (err error) {
	input, err := readInput(c.Input)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "agentstudio-run-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	own := *cfg
	own.DataDir, own.DatabaseURL, own.Engine = dir, "", "on"
	studio, err := app.Open(ctx, own, app.Options{Version: version, Log: slog.New(onlyWarnings{log.Handler()}), Supervisor: itself(supervise), Sandbox: itself(interpret)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, studio.Close()) }()
	d, err := decode(studio.Codec, c.File)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- studio.Run(running) }()
	x, err := c.run(ctx, studio, d, input)
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		return err
	}
	return c.result(x)
}

// onlyWarnings keeps a log out of the progress unless something is wrong.
type onlyWarnings struct{ slog.Handler }

func (h onlyWarnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

func (c *runCmd) run(ctx context.Context, studio *app.App, d *workflow.Definition, input json.RawMessage) (*execution.Execution, error) {
	by, err := studio.Operator(ctx, localAddress)
	if err != nil {
		return nil, err
	}
	out := io.Writer(os.Stderr)
	if c.Quiet {
		out = io.Discard
	}
	p := newProgress(out, d)
	x, err := studio.RunOnce(ctx, by, d, input, c.DryRun, p.show)
	if err != nil {
		return nil, err
	}
	p.end(x)
	return x, nil
}

func (c *runCmd) result(x *execution.Execution) error {
	if x.Status != execution.Completed {
		return failure(1)
	}
	output := x.Output
	if len(output) == 0 {
		output = json.RawMessage("null")
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(output)
}

func readInput(text string) (json.RawMessage, error) {
	raw := []byte(text)
	var err error
	if name, ok := strings.CutPrefix(text, "@"); ok {
		raw, err = os.ReadFile(name)
	} else if text == "-" {
		raw, err = io.ReadAll(io.LimitReader(os.Stdin, 64<<20))
	}
	if err != nil {
		return nil, fmt.Errorf("--input: %w", err)
	}
	if !json.Valid(raw) {
		return nil, fault.New(fault.Malformed, "--input is not JSON: write for example --input '{\"topic\":\"bees\"}'")
	}
	return raw, nil
}

func decode(codec *workflow.Codec, file string) (*workflow.Definition, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d, err := codec.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return d, nil
}
