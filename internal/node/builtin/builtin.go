// Package builtin holds the node kinds that come with the studio, one file per
// kind.
package builtin

import (
	"context"
	"time"

	"agentstudio/internal/demo"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

// Deps is what the kinds need from outside. Kinds whose dependency is missing
// are still listed; running one fails with a fault of kind NotConfigured.
type Deps struct {
	// Now is the clock; nil means time.Now.
	Now     func() time.Time
	HTTP    Requester
	Search  Searcher
	Read    PageReader
	Library *demo.Library // what search and read offer without the internet
	Mail    Mailer
	Files   Files
	Agent   Agent
	Tools   Tools
	Code    Code       // nil: code runs in this process
	Gate    *tool.Gate // what the tools that nodes call pass; nil: one of their own
	// Arrived hears of files that a node has written; nil: nobody listens.
	Arrived func(ctx context.Context, f node.FileArrival) error
}

// Kinds returns every built-in kind, in the palette's order.
func Kinds(deps Deps) []node.Type {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Gate == nil {
		deps.Gate = tool.NewGate(tool.GateConfig{Now: deps.Now})
	}
	return []node.Type{
		manualTrigger(),
		webhookTrigger(),
		scheduleTrigger(),
		eventTrigger(),
		fileTrigger(),
		chatTrigger(),
		workflowTrigger(),
		agentKind(deps.Agent),
		router(deps.Agent),
		extract(deps.Agent),
		evaluate(deps.Agent),
		httpRequest(deps.HTTP),
		sendEmail(deps.Mail),
		file(deps.Files, deps.Arrived),
		code(deps.Code),
		set(),
		runWorkflow(),
		respond(),
		logKind(),
		condition(),
		switchKind(),
		filter(),
		transform(),
		loop(),
		split(),
		merge(),
		wait(deps.Now),
		approval(deps.Now),
		stop(),
		webSearch(deps.Search, deps.Library),
		webRead(deps.Read, deps.Library),
		mcpTool(deps.Tools, deps.Gate, deps.Now),
		toolKind(deps.Tools, deps.Gate, deps.Now),
		databaseQuery(deps.Tools, deps.Gate, deps.Now),
	}
}
