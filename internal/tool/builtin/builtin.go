// Package builtin holds the tools that come with the studio, one file per
// tool or per family of tools.
package builtin

import (
	"context"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/file"
	"agentstudio/internal/outbound"
	"agentstudio/internal/tool"
	"agentstudio/internal/webread"
	"agentstudio/internal/websearch"
)

// Deps is what the tools need from outside. Tools whose dependency is missing
// are listed all the same, as not configured.
type Deps struct {
	Now    func() time.Time // nil means time.Now
	HTTP   Requester
	Search Searcher
	Read   PageReader
	Files  Files
	Mail   Mailer
	Memory Memory
	Code   Code // nil: code runs in this process

	Databases Databases
	Media     Media
	Workflows Workflows
}

// Requester makes guarded HTTP requests.
type Requester interface {
	Do(ctx context.Context, in outbound.Request) (*outbound.Response, error)
}

// Searcher finds pages on the web.
type Searcher interface {
	Configured() bool
	Search(ctx context.Context, query string, num int) ([]websearch.Result, error)
}

// PageReader reads pages on the web.
type PageReader interface {
	Read(ctx context.Context, address string) (webread.Page, error)
}

// Files keeps the files of workspaces.
type Files interface {
	Read(ctx context.Context, workspaceID, name string) ([]byte, error)
	Write(ctx context.Context, m file.Maker, name string, content []byte) (*file.File, error)
	List(ctx context.Context, workspaceID, folder string) ([]file.Entry, error)
	Delete(ctx context.Context, workspaceID, name string) error
}

// Mailer sends one plain-text letter.
type Mailer interface {
	Send(ctx context.Context, to, subject, text string) error
}

// Tools returns every built-in tool, in the catalogue's order.
func Tools(deps Deps) []tool.Tool {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return []tool.Tool{
		webSearch(deps.Search),
		webRead(deps.Read),
		httpRequest(deps.HTTP),
		fileRead(deps.Files),
		fileWrite(deps.Files),
		fileList(deps.Files),
		fileDelete(deps.Files),
		codeRun(deps.Code),
		databaseQuery(deps.Databases),
		databaseWrite(deps.Databases),
		imageGenerate(deps.Media, deps.Files),
		textToSpeech(deps.Media, deps.Files),
		speechToText(deps.Media, deps.Files),
		memorySave(deps.Memory),
		memorySearch(deps.Memory),
		sendEmail(deps.Mail),
		runWorkflow(deps.Workflows),
		currentTime(deps.Now),
		calculator(),
	}
}

// needs marks a tool as not configured when what it needs is missing.
func needs(t tool.Tool, present bool, what string) tool.Tool {
	if present {
		return t
	}
	name := t.Name
	t.Configured = func() bool { return false }
	t.Run = func(context.Context, tool.Call) (tool.Result, error) {
		return tool.Result{}, fault.New(fault.NotConfigured, "the tool %s cannot be used here: this studio has no %s", name, what)
	}
	return t
}
