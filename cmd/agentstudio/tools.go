package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"agentstudio/internal/app"
	"agentstudio/internal/config"

	"github.com/alecthomas/kong"
)

type validateCmd struct {
	File string `arg:"" help:"Workflow file, YAML or JSON."`
}

// Run prints every problem and fails when one is an error.
func (c *validateCmd) Run() error {
	codec, check := app.Checker()
	d, err := decode(codec, c.File)
	if err != nil {
		return err
	}
	report := check(d)
	for _, p := range report.Errors {
		fmt.Printf("error    %s  %s: %s\n", p.Code, p.Path, p.Message)
	}
	for _, p := range report.Warnings {
		fmt.Printf("warning  %s  %s: %s\n", p.Code, p.Path, p.Message)
	}
	if !report.IsValid {
		return failure(1)
	}
	fmt.Printf("%s is valid\n", c.File)
	return nil
}

type migrateCmd struct{}

// Run opens the database, which migrates it.
func (migrateCmd) Run(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	studio, err := app.Open(ctx, *cfg, app.Options{Version: version, Log: log})
	if err != nil {
		return err
	}
	fmt.Println("the database is up to date")
	return studio.Close()
}

type seedCmd struct {
	Dir   string `arg:"" optional:"" default:"examples" help:"Directory of workflow files."`
	Email string `help:"Whose personal workspace they go to; the account is made when missing." default:"you@studio.local"`
}

// Run loads the files; the server must not run on the same data directory.
func (c *seedCmd) Run(ctx context.Context, cfg *config.Config, log *slog.Logger) (err error) {
	studio, err := app.Open(ctx, *cfg, app.Options{Version: version, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, studio.Close()) }()
	by, err := studio.Operator(ctx, c.Email)
	if err != nil {
		return err
	}
	loaded, err := studio.Seed(ctx, by, c.Dir)
	for _, s := range loaded {
		what := "loaded"
		if s.Existed {
			what = "is there"
		}
		fmt.Printf("%-8s  %s  %s\n", what, s.ID, s.Name)
	}
	if err == nil {
		fmt.Printf("sign in as %s to see them\n", c.Email)
	}
	return err
}

type configCmd struct {
	Reference bool `help:"Print the table of all settings in Markdown instead."`
}

// Run prints the settings in force.
func (c *configCmd) Run(r *config.Resolver, k *kong.Context) error {
	if c.Reference {
		return config.Reference(os.Stdout, k.Model)
	}
	return r.Print(os.Stdout, k)
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run() error {
	fmt.Println(version)
	return nil
}
