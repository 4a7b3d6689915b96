// Package toolbox lets people use tools and models by hand, outside of any
// workflow: under the same rules, bounded in time, and put into the ledger.
package toolbox

import (
	"context"
	"encoding/json"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/tool"
)

// Tools are the tools there are; *tool.Shelf is one.
type Tools interface {
	// Of returns those of a workspace; of "" the built-in ones.
	Of(ctx context.Context, workspaceID string) ([]tool.Tool, error)
	Find(ctx context.Context, workspaceID, name string) (tool.Tool, error)
	Fits(t tool.Tool, args json.RawMessage) error
}

// Models finds language models by name, decorated with what meters them.
type Models interface {
	Model(names []string) (llm.Model, error)
}

// Config adjusts a Service.
type Config struct {
	Now func() time.Time
	// ToolTime bounds a call of a tool; 5 min. ChatTime an answer of a model; 10 min.
	ToolTime, ChatTime time.Duration
}

// Service holds the use cases. It is safe for concurrent use.
type Service struct {
	tools  Tools
	models Models
	gate   *tool.Gate
	cfg    Config
}

// New returns the use cases. Calls of tools pass the gate; those of models are
// metered where the models are made.
func New(tools Tools, models Models, gate *tool.Gate, cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ToolTime <= 0 {
		cfg.ToolTime = 5 * time.Minute
	}
	if cfg.ChatTime <= 0 {
		cfg.ChatTime = 10 * time.Minute
	}
	return &Service{tools: tools, models: models, gate: gate, cfg: cfg}
}

// List returns every tool of a workspace: the built-in ones, which everybody may
// see, and those of its MCP servers as they were found last. Without a
// workspace there are only the first.
func (s *Service) List(ctx context.Context, by access.Actor, workspaceID string) ([]tool.Tool, error) {
	if workspaceID != "" {
		if err := by.Need(workspaceID, access.Read); err != nil {
			return nil, err
		}
	}
	return s.tools.Of(ctx, workspaceID)
}

// Find returns a tool. NotFound names the nearest one there is; Upstream: the
// server it comes from does not answer.
func (s *Service) Find(ctx context.Context, by access.Actor, workspaceID, name string) (tool.Tool, error) {
	if tool.Sourced(name) {
		if err := by.Need(workspaceID, access.Read); err != nil {
			return tool.Tool{}, err
		}
	}
	return s.tools.Find(ctx, workspaceID, name)
}

// Result is what came of a call.
type Result struct {
	tool.Result
	Duration time.Duration
}

// Use calls a tool with the arguments. Invalid: with every fault of them.
// NotConfigured: it cannot be used here. TooMany: the workspace has used it as
// often as it may. What it does is real.
func (s *Service) Use(ctx context.Context, by access.Actor, workspaceID, name string, args json.RawMessage) (*Result, error) {
	if err := by.Need(workspaceID, access.UseTools); err != nil {
		return nil, err
	}
	if tool.Sourced(name) {
		if err := by.Need(workspaceID, access.UseSecrets); err != nil {
			return nil, err
		}
	}
	t, err := s.tools.Find(ctx, workspaceID, name)
	if err != nil {
		return nil, err
	}
	if err := s.tools.Fits(t, args); err != nil {
		return nil, inBody(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.ToolTime, fault.New(fault.Timeout, "the tool %s took longer than %s", name, s.cfg.ToolTime))
	defer cancel()
	began := s.cfg.Now()
	result, err := s.gate.Use(ctx, t, tool.Call{WorkspaceID: workspaceID, UserID: by.UserID, APIKeyID: by.APIKeyID, By: &by, Args: args})
	if err != nil {
		return nil, err
	}
	return &Result{Result: result, Duration: s.cfg.Now().Sub(began)}, nil
}

// inBody says where in a request the arguments are.
func inBody(err error) error {
	if f := fault.As(err); f != nil {
		for i := range f.Details {
			at := "body.arguments"
			if path := f.Details[i].Location; path != "" {
				at += "." + path
			}
			f.Details[i].Location = at
		}
	}
	return err
}

// Chat is a question to a model.
type Chat struct {
	Models      []string // the first that answers; none means the default
	System      string
	Messages    []llm.Message
	MaxTokens   int
	Temperature *float64
	// Tools are what the model may call. Whoever asks makes the calls.
	Tools []llm.ToolSpec
}

// Ask asks a model once. onText, when not nil, hears the answer as it comes.
// OverBudget: a budget of the workspace refuses it.
func (s *Service) Ask(ctx context.Context, by access.Actor, workspaceID string, c Chat, onText func(string)) (*llm.Response, error) {
	if err := by.Need(workspaceID, access.UseTools); err != nil {
		return nil, err
	}
	m, err := s.models.Model(c.Models)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.ChatTime, fault.New(fault.Timeout, "the model took longer than %s", s.cfg.ChatTime))
	defer cancel()
	return m.Generate(ctx, llm.Request{System: c.System, Messages: c.Messages, MaxTokens: c.MaxTokens, Temperature: c.Temperature, Tools: c.Tools,
		Caller: llm.Caller{UserID: by.UserID, APIKeyID: by.APIKeyID, WorkspaceID: workspaceID}}, func(p llm.Part) {
		if onText != nil && p.Type == llm.TextPart {
			onText(p.Text)
		}
	})
}
