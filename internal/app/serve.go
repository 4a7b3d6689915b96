package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"agentstudio/internal/api"
	"agentstudio/internal/chat"
	"agentstudio/internal/config"
	"agentstudio/internal/limit"
	"agentstudio/internal/store"
	"agentstudio/web"
)

// handler builds the HTTP face.
func (a *App) handler() (*api.Server, error) {
	proxies, err := a.cfg.Proxies()
	if err != nil {
		return nil, err
	}
	return api.New(api.Services{Accounts: a.Accounts, Workspaces: a.Workspaces, Workflows: a.Workflows, Agents: a.Agents, MCPServers: a.MCPServers, MCP: a.mcpServer(), Budgets: a.Budgets, Executions: a.Executions, Files: a.Files, FileLinks: a.shares, Toolbox: a.Toolbox,
		Chat:  chat.New(a.Agents, a.Workflows, a.Executions, a.Bus, store.NewIdempotency(a.db), chat.Config{NewID: NewID}),
		Kinds: a.Kinds, Codec: a.Codec, Bus: a.Bus, Idempotency: store.NewIdempotency(a.db), Ready: a.ready, WebhookSecret: webhookSecret, Links: a.links, Models: a.listed, Limiter: a.limiter,
		Metrics: a.metrics.Handler(a.readers(proxies)), Observer: a.metrics,
		Studio: api.Studio{Files: web.Files(), NoMail: a.cfg.SMTPURL.Reveal() == "" && a.cfg.SendGridAPIKey.Reveal() == ""}},
		api.Config{Version: a.opts.Version, PublicURL: a.cfg.PublicURL, AllowedOrigins: a.cfg.AllowedOrigins, TrustedProxies: proxies,
			MaxBody: int64(a.cfg.MaxBodyMiB) << 20, Limits: limits(a.cfg), SecureCookies: strings.HasPrefix(a.cfg.PublicURL, "https://"),
			NewID: NewID, Log: a.opts.Log}), nil
}

// listed is the models as the API shows them.
func (a *App) listed() []api.Model {
	var out []api.Model
	for _, m := range a.Models.Models() {
		one := api.Model{ID: m.ID, Provider: m.Provider, Title: m.Title, Configured: m.Configured, Default: m.Default, Demo: m.Demo,
			ContextTokens: m.ContextTokens, MaxOutput: m.MaxOutput, Vision: m.Vision, Tools: m.Tools}
		if p, known := a.prices.Find(m.ID); known && p.Input != nil {
			one.Price = &api.ModelPrice{Input: p.Input, Output: p.Output, CacheRead: p.CacheRead, CacheWrite: p.CacheWrite, Read: a.prices.Read()}
		}
		out = append(out, one)
	}
	return out
}

func limits(cfg config.Config) api.Limits {
	rate := func(r config.Rate) limit.Rate { return limit.Rate{Requests: r.Requests, Per: r.Per} }
	return api.Limits{User: rate(cfg.LimitAPI), Anonymous: rate(cfg.LimitAnonymous), CodeAddress: rate(cfg.LimitCodeAddress),
		CodeIP: rate(cfg.LimitCodeIP), Verify: rate(cfg.LimitVerify), Webhook: rate(cfg.LimitWebhook), AI: rate(cfg.LimitAI)}
}

// ready says why the studio cannot serve just now, or nil.
func (a *App) ready(ctx context.Context) error { return a.db.Ping(ctx) }

// Serve runs executions, fires triggers and answers HTTP on the listener until ctx ends. Then
// it takes no further calls, lets what is in flight end within the configured
// time, and returns. started is called once calls are answered.
func (a *App) Serve(ctx context.Context, l net.Listener, started func()) error {
	face, err := a.handler()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	server := &http.Server{Handler: face, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(a.opts.Log.Handler(), slog.LevelDebug)}
	running, stop := context.WithCancel(ctx)
	defer stop()
	parts := make(chan error, 4)
	for _, part := range []func(context.Context) error{a.Run, face.Run, a.triggers.Run} {
		go func() {
			defer stop() // a part that ends takes the rest with it
			parts <- part(running)
		}()
	}
	go func() {
		defer stop()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			parts <- fmt.Errorf("serve: %w", err)
			return
		}
		parts <- nil
	}()
	select {
	case <-a.running:
		started()
	case <-running.Done():
	}
	<-running.Done()
	a.opts.Log.Info("stopping")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(a.cfg.ShutdownGrace)*time.Second)
	defer cancel()
	err = server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		a.opts.Log.Warn("some calls were cut off by the stop")
		err = server.Close()
	}
	for range 4 {
		err = errors.Join(err, <-parts)
	}
	return err
}

// OpenAPI returns the document of the API.
func OpenAPI(version string) ([]byte, error) {
	return api.New(api.Services{}, api.Config{Version: version}).OpenAPI()
}
