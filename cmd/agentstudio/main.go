// Command agentstudio is the whole program: the server and the tools around
// it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // time zones for machines that have none

	"agentstudio/internal/app"
	"agentstudio/internal/config"
	"agentstudio/internal/fault"
	"agentstudio/internal/mcp/client"
	"agentstudio/internal/sandbox"

	"github.com/alecthomas/kong"
)

// version is set by the linker, which can only set a variable.
var version = "dev"

type cli struct {
	config.Config `embed:""`

	Serve    serveCmd    `cmd:"" help:"Serve the studio: API, workflows, triggers."`
	Worker   workerCmd   `cmd:"" help:"Run executions beside servers and other workers, on PostgreSQL."`
	Run      runCmd      `cmd:"" help:"Run a workflow file here and print its output as JSON."`
	Validate validateCmd `cmd:"" help:"Say everything that is wrong with a workflow file."`
	MCP      mcpCmd      `cmd:"" name:"mcp" help:"Offer the workflows of a running studio as MCP tools, over standard input and output."`
	Migrate  migrateCmd  `cmd:"" help:"Bring the database up to date and end."`
	Backup   backupCmd   `cmd:"" help:"Save the database, the keys and the files, while the server runs."`
	Restore  restoreCmd  `cmd:"" help:"Unpack a backup into an empty data directory."`
	Seed     seedCmd     `cmd:"" help:"Load the example workflows."`
	Conf     configCmd   `cmd:"" name:"config" help:"Print every setting, its value and where it comes from. Secrets are masked."`
	OpenAPI  openAPICmd  `cmd:"" name:"openapi" help:"Print the OpenAPI 3.1 document of the API."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// supervise is the argument with which the program starts itself to look after
// an MCP server that is a program.
const supervise = "mcp-child"

// interpret is the argument with which the program starts itself to run code
// that is not trusted.
const interpret = "sandbox-worker"

// itself is the command that starts this program for a part of its own work: on
// Linux this very file, also when it was replaced since.
func itself(part string) []string {
	const running = "/proc/self/exe"
	if _, err := os.Stat(running); err == nil {
		return []string{running, part}
	}
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	return []string{path, part}
}

// failure is an outcome that was already explained: only its exit code is left.
type failure int

func (f failure) Error() string { return fmt.Sprintf("exit %d", int(f)) }

func main() {
	os.Exit(run(os.Args[1:]))
}

// run returns the exit code: 0 done, 1 failed, 2 not understood.
func run(args []string) int {
	if len(args) > 0 && args[0] == supervise {
		return client.Supervise(args[1:])
	}
	if len(args) > 0 && args[0] == interpret {
		return sandbox.Serve(os.Stdin, os.Stdout)
	}
	var c cli
	resolver := config.NewResolver()
	parser, err := kong.New(&c, kong.Name("agentstudio"), kong.UsageOnError(), kong.Resolvers(resolver),
		kong.Description("Design AI-agent workflows, run them durably, and see what they did and cost."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	if err != nil {
		fmt.Fprintln(os.Stderr, "agentstudio:", err)
		return 2
	}
	k, err := parser.Parse(args)
	if err == nil {
		err = errors.Join(c.Complete(), app.CheckTools(c.Config))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "agentstudio:", err)
		fmt.Fprintln(os.Stderr, "`agentstudio --help` lists the commands and settings.")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	k.BindTo(ctx, (*context.Context)(nil))
	return report(k.Run(&c.Config, resolver, k, logger(&c.Config)))
}

// report explains an error and returns the exit code.
func report(err error) int {
	var exit failure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	}
	message := err.Error()
	if f := fault.As(err); f != nil {
		message = f.Message
		for _, d := range f.Details {
			message += "\n  " + d.Location + ": " + d.Message
		}
	}
	fmt.Fprintln(os.Stderr, "agentstudio:", message)
	return 1
}

func logger(c *config.Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(c.LogLevel))); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}
