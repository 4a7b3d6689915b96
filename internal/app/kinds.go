package app

import (
	"context"

	"agentstudio/internal/agent"
	"agentstudio/internal/demo"
	"agentstudio/internal/memory"
	"agentstudio/internal/node"
	"agentstudio/internal/node/builtin"
	"agentstudio/internal/outbound"
	"agentstudio/internal/sandbox"
	"agentstudio/internal/store"
	"agentstudio/internal/tool"
	tools "agentstudio/internal/tool/builtin"
	"agentstudio/internal/webread"
	"agentstudio/internal/websearch"
)

// maxFile bounds a file that a run reads or writes whole, in bytes.
const maxFile = 32 << 20

// kindDeps is what the node kinds may reach.
func (a *App) kindDeps(web *outbound.Client, limits toolLimits) builtin.Deps {
	key := a.cfg.JinaAPIKey.Reveal()
	search, read := websearch.New(web, a.cfg.JinaSearchURL, key), webread.New(web, a.cfg.JinaReaderURL, key)
	files := a.Files.Paths()
	var code builtin.Code
	if len(a.opts.Sandbox) > 0 {
		a.sandbox = sandbox.New(sandbox.Config{Command: a.opts.Sandbox})
		code = a.sandbox
	}
	a.Memory = memory.NewService(store.NewMemories(a.db), memory.Config{NewID: NewID})
	a.Tools = tool.NewCatalogue(limits.on(tools.Tools(tools.Deps{HTTP: web, Search: search, Read: read, Files: files, Mail: a.opts.Mailer, Memory: a.Memory, Code: code, Databases: a.databases, Media: a.media, Workflows: callable{a}}))...)
	sourced := a.connectMCP(web, limits)
	a.shelf = tool.NewShelf(a.Tools, sourced)
	saved := store.NewAgents(a.db)
	runner := agent.NewRunner(agentModels{a.Models}, a.Tools, agent.RunnerConfig{Tracer: a.tracers.agent, Saved: saved, Source: sourced, Gate: a.gate, Files: files, Blind: agentModels{a.Models}.blind})
	a.Agents = agent.NewService(saved, runner, agent.Config{NewID: NewID})
	return builtin.Deps{
		HTTP: web, Search: search, Read: read, Files: files, Mail: a.opts.Mailer,
		Arrived: func(ctx context.Context, f node.FileArrival) error { return a.triggers.FileArrived(ctx, f) },
		Library: demo.New(),
		Agent:   runner,
		Tools:   a.shelf,
		Code:    code,
		Gate:    a.gate,
	}
}
