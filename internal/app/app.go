// Package app wires the rooms into one studio: it is the only place that knows
// them all.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"agentstudio/internal/account"
	"agentstudio/internal/agent"
	"agentstudio/internal/api"
	"agentstudio/internal/bus/memory"
	"agentstudio/internal/config"
	"agentstudio/internal/courier"
	"agentstudio/internal/engine"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/file"
	"agentstudio/internal/llm"
	"agentstudio/internal/mail"
	"agentstudio/internal/mcp"
	"agentstudio/internal/media"
	notes "agentstudio/internal/memory"
	"agentstudio/internal/metrics"
	"agentstudio/internal/node"
	"agentstudio/internal/node/builtin"
	"agentstudio/internal/outbound"
	"agentstudio/internal/retention"
	"agentstudio/internal/sandbox"
	"agentstudio/internal/store"
	"agentstudio/internal/tool"
	"agentstudio/internal/toolbox"
	"agentstudio/internal/trigger"
	"agentstudio/internal/usage"
	"agentstudio/internal/workflow"
	"agentstudio/internal/workspace"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// Options are what a studio needs beside its configuration.
type Options struct {
	Version string
	Log     *slog.Logger
	// Worker says that the process runs executions beside others and serves
	// nobody: Conflict on SQLite.
	Worker bool
	// Queues are the job queues executions are taken from, on PostgreSQL;
	// empty means "default".
	Queues []string
	// Concurrency is how many executions of each are in memory at a time; 0
	// takes the configured number.
	Concurrency int
	// Metrics is where a worker shows its metrics; nil: nowhere. Work closes it.
	Metrics net.Listener
	// Supervisor is the command below which programs are started, with the
	// program as its further arguments; nil: none are.
	Supervisor []string
	// Sandbox is the command that starts a process for code that is not trusted;
	// nil: it runs in this one, which cannot stop all of it.
	Sandbox []string
	// Mailer replaces the mail server; nil uses the configured one.
	Mailer mail.Sender
}

// App is a studio: opened, but doing nothing until Run or Serve.
type App struct {
	Accounts   *account.Service
	Workspaces *workspace.Service
	Workflows  *workflow.Service
	Agents     *agent.Service
	MCPServers *mcp.Service
	Budgets    *usage.Service
	Files      *file.Service
	Memory     *notes.Service
	Executions *execution.Service
	Kinds      *node.Kinds
	Tools      *tool.Catalogue
	Toolbox    *toolbox.Service
	Models     *llm.Registry
	Codec      *workflow.Codec
	Bus        event.Bus

	local    *memory.Bus // what Bus carries within this process
	carry    func(context.Context) error
	limiter  api.Limiter
	outbound outbound.Limiter // of what goes out; shared by all processes
	redis    []*redis.Client
	alone    func() bool // whether Redis is gone; nil: there is none
	cfg      config.Config
	opts     Options
	db       *store.DB
	engine   *engine.Engine
	dispatch dispatch
	triggers *trigger.Runner
	courier  *courier.Courier
	mcp      *mcp.Pool
	links    *execution.Links
	shares   *file.Links
	// retention removes what was kept long enough.
	retention *retention.Keeper
	outside   *outbound.Client
	databases *databases
	sandbox   *sandbox.Sandbox // nil: code runs in this process
	media     *media.Service
	shelf     *tool.Shelf // what workspaces may use
	gate      *tool.Gate  // what every use of a tool passes
	usage     *usageWriter
	prices    *llm.Prices
	metrics   *metrics.Metrics
	tracers   tracers
	running   chan struct{} // closed when Run takes executions
}

func (a *App) now() time.Time { return time.Now() }

// NewID returns a new id: a UUID of version 7, ordered by time.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// Open makes what is missing of the data directory, opens and migrates the
// database and builds the studio. Close it when done.
func Open(ctx context.Context, cfg config.Config, opts Options) (*App, error) {
	if err := needsShared(cfg, opts); err != nil {
		return nil, err
	}
	if err := makeDataDir(cfg.DataDir); err != nil {
		return nil, err
	}
	secrets, err := sessionKeys(cfg, opts.Log)
	if err != nil {
		return nil, err
	}
	if opts.Mailer == nil {
		opts.Mailer, err = mail.New(mail.Config{SMTPURL: cfg.SMTPURL.Reveal(), SendGridKey: cfg.SendGridAPIKey.Reveal(), From: cfg.EmailFrom, Log: opts.Log})
	}
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Config{URL: cfg.DatabaseURL.Reveal(), DataDir: cfg.DataDir, MaxConns: cfg.MaxConns, Log: opts.Log})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	a := &App{cfg: cfg, opts: opts, db: db, local: memory.New(1024), Codec: workflow.NewCodec(), running: make(chan struct{})}
	if err := a.share(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	a.metrics = metrics.New(a.sources())
	if a.tracers, err = newTracers(ctx, cfg, opts); err != nil {
		return nil, errors.Join(err, a.hangUp(), db.Close())
	}
	content, err := a.contents(ctx)
	if err != nil {
		return nil, errors.Join(err, a.hangUp(), db.Close())
	}
	a.Files = a.fileService(content)
	if err := errors.Join(a.wire(secrets), a.adoptFiles(ctx)); err != nil {
		return nil, errors.Join(err, a.hangUp(), db.Close())
	}
	return a, nil
}

func (a *App) wire(secrets [][]byte) error {
	var err error
	if a.Accounts, err = account.NewService(store.NewAccounts(a.db), a.opts.Mailer, secrets, account.Config{Signup: account.Signup(a.cfg.Signup)}); err != nil {
		return err
	}
	a.Workspaces = workspace.NewService(store.NewWorkspaces(a.db), a.opts.Mailer, workspace.Config{PublicURL: a.cfg.PublicURL})
	limits, err := outboundLimits(a.cfg)
	if err != nil {
		return err
	}
	web, err := outbound.New(outbound.Config{Allow: a.cfg.AllowPrivate, Limits: limits, Limiter: a.outbound, Log: a.opts.Log, Waited: a.metrics.OutboundWait})
	if err != nil {
		return err
	}
	a.outside = web
	if a.databases, err = newDatabases(&a.cfg, web); err != nil {
		return err
	}
	a.usage = newUsageWriter(store.NewUsage(a.db), a.opts.Log)
	a.Budgets = usage.NewService(store.NewUsage(a.db), a.Bus, usage.Config{NewID: NewID})
	if a.Models, a.prices, err = models(a.cfg, a.metrics.Sink(a.usage), counted{a.Budgets, a.metrics.Sink(usage.Discard{})}, web, a.tracers.all); err != nil {
		return err
	}
	if a.media, err = mediaService(a.cfg, a.metrics.Sink(a.usage), counted{a.Budgets, a.metrics.Sink(usage.Discard{})}, web); err != nil {
		return err
	}
	ofTools, err := newToolLimits(a.cfg)
	if err != nil {
		return err
	}
	a.gate = tool.NewGate(tool.GateConfig{Ledger: a.usage, Limiter: a.limiter, Now: a.now, Tracer: a.tracers.tool})
	a.Kinds = node.NewKinds(builtin.Kinds(a.kindDeps(web, ofTools))...)
	a.Toolbox = toolbox.New(a.shelf, agentModels{a.Models}, a.gate, toolbox.Config{})
	workflows := store.NewWorkflows(a.db, a.Kinds)
	library := workflow.NewLibrary(workflows, a.Kinds, 0)
	a.Workflows = workflow.NewService(workflows, a.Kinds, library, a.Bus, workflow.Config{NewID: NewID, Agents: store.NewAgents(a.db)})
	if a.dispatch, err = a.dispatching(); err != nil {
		return err
	}
	journal := a.dispatch.journal
	journal.Observe(a.metrics)
	a.Executions = execution.NewService(journal, library, a.dispatch.announce, a.local.Brief(),
		execution.Config{NewID: NewID, Leased: a.dispatch.leased, Host: a.dispatch.host, MaxTrigger: a.cfg.MaxBodyMiB << 20})
	a.engine = engine.New(journal, library, a.Bus, a.dispatch.announce, journal, engine.Config{Worker: a.dispatch.worker, NewID: NewID, Log: a.opts.Log, Holds: a.dispatch.holds,
		Drain: time.Duration(a.cfg.ShutdownGrace) * time.Second, SplitFrom: a.dispatch.splitFrom, Outcome: a.Executions.Outcome, Observer: a.metrics, Tracer: a.tracers.engine})
	a.retention = retention.New(store.NewRetention(a.db), retention.Config{Days: a.cfg.RetentionDays, Log: a.opts.Log})
	a.links, a.shares = execution.NewLinks(secrets), file.NewLinks(secrets)
	a.courier = courier.New(journal, a.opts.Mailer, a.links, courier.Config{PublicURL: a.cfg.PublicURL, Log: a.opts.Log, Asked: journal.Asked()})
	a.triggers = trigger.New(journal, a.Executions, a.local.Brief(), trigger.Config{Log: a.opts.Log, Armed: workflows.Armed(), Followed: journal.Followed()})
	return nil
}

// Close sends the last spans, and closes the database. Call it after Run has returned.
func (a *App) Close() error {
	a.outside.Close()
	if a.sandbox != nil {
		a.sandbox.Close()
	}
	return errors.Join(a.hangUp(), a.db.Close())
}

// Run takes up what earlier processes left behind and runs executions until
// ctx ends; then it lets nodes in flight end, within the configured time, and
// returns. It is called once. On PostgreSQL any number of processes may run.
func (a *App) Run(ctx context.Context) (err error) {
	// The writer outlives the engine, which outlives ctx by the drain.
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	writer := make(chan error, 1)
	go func() { writer <- a.dispatch.journal.Run(writing) }()
	accountant := make(chan struct{})
	go func() { defer close(accountant); a.usage.run(writing) }()
	carrier := make(chan error, 1)
	go func() { carrier <- a.carry(writing) }()
	keepers := sync.WaitGroup{}
	keepers.Go(func() { newHeapKeeper().run(writing) })
	keepers.Go(func() { a.retention.Run(writing) })
	keepers.Go(func() { a.sweepFiles(writing) })
	keepers.Go(func() { a.mcp.Run(writing) })
	letters := make(chan error, 1)
	go func() { letters <- a.courier.Run(ctx) }()
	draining, cutOff := context.WithCancel(writing)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		<-ctx.Done()
		a.engine.Stop()
		grace := time.NewTimer(time.Duration(a.cfg.ShutdownGrace+2) * time.Second)
		defer grace.Stop()
		select {
		case <-grace.C:
			cutOff()
		case <-draining.Done():
		}
	}()
	announced := make(chan struct{})
	go func() {
		defer close(announced)
		select {
		case <-a.dispatch.ready:
			close(a.running)
		case <-draining.Done():
		}
	}()
	err = a.dispatch.run(ctx, draining, a.engine)
	cutOff()
	<-drained
	<-announced
	stopWriting()
	<-accountant
	keepers.Wait()
	return errors.Join(err, <-letters, <-writer, <-carrier)
}
