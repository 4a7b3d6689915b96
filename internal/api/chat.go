package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"sync"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/toolbox"

	"github.com/danielgtaylor/huma/v2"
)

func (s *Server) chatRoutes() {
	stream(s, op{Method: "POST", Path: "/tools/ai/chat", ID: "chat", Tag: "tools", Stream: eventStream, Summary: "Ask a model",
		Notes: "Metered, and within the budgets of the workspace. With stream: true the events are delta, and at the end result or error."}, s.chat)
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[ChatAnswer](), true, "ChatAnswer")
	s.api.OpenAPI().Paths[base+"/tools/ai/chat"].Post.Responses["200"].Content["application/json"] = &huma.MediaType{Schema: schema}
}

// ChatMessage is a part of a conversation.
type ChatMessage struct {
	Role       string         `json:"role" enum:"user,assistant,tool"`
	Content    string         `json:"content,omitempty" maxLength:"1000000" doc:"May be left out beside tool_calls only"`
	ToolCalls  []ChatToolCall `json:"tool_calls,omitempty" maxItems:"128" doc:"Of the assistant, as they were answered"`
	ToolCallID string         `json:"tool_call_id,omitempty" maxLength:"200" doc:"Of the role tool: which call it is the result of"`
	Failed     bool           `json:"failed,omitempty" doc:"Of the role tool: the call has failed, and content says why"`
}

// ChatToolCall is what a model wants to have called.
type ChatToolCall struct {
	ID        string `json:"id" minLength:"1" maxLength:"200"`
	Name      string `json:"name" pattern:"^[a-zA-Z0-9_-]{1,64}$"`
	Arguments Object `json:"arguments,omitempty"`
}

// ChatTool is a tool that a model may call. Whoever asks makes the call, and
// answers it with a message of the role tool.
type ChatTool struct {
	Name        string `json:"name" pattern:"^[a-zA-Z0-9_-]{1,64}$"`
	Description string `json:"description,omitempty" maxLength:"10000"`
	InputSchema Object `json:"input_schema,omitempty" doc:"JSON Schema of its arguments"`
}

type chatInput struct {
	InWorkspace
	Body struct {
		Messages    []ChatMessage `json:"messages" minItems:"1" maxItems:"500"`
		Model       string        `json:"model,omitempty" maxLength:"200" doc:"provider/name; left out: the default"`
		System      string        `json:"system,omitempty" maxLength:"200000"`
		MaxTokens   int           `json:"max_tokens,omitempty" minimum:"1" maximum:"200000"`
		Temperature *float64      `json:"temperature,omitempty" minimum:"0" maximum:"2"`
		Tools       []ChatTool    `json:"tools,omitempty" maxItems:"128" doc:"What the model may call: its calls are answered, not made"`
		Stream      bool          `json:"stream,omitempty" doc:"Answer with server-sent events"`
	}
}

// ChatAnswer is what a model said.
type ChatAnswer struct {
	Content    string `json:"content"`
	Model      string `json:"model" doc:"That answered"`
	StopReason string `json:"stop_reason"`
	// ToolCalls are what is to be called before it goes on.
	ToolCalls []ChatToolCall `json:"tool_calls,omitempty" doc:"What is to be called and answered before it goes on"`
	Usage     TokenCount     `json:"usage"`
	CostUSD   *float64       `json:"cost_usd" doc:"null: its price is not known"`
	Demo      bool           `json:"demo,omitempty" doc:"The offline demo model answered"`
}

// ChatDelta is a piece of an answer.
type ChatDelta struct {
	Text string `json:"text"`
}

func viewChat(r *llm.Response) ChatAnswer {
	u := r.Usage
	out := ChatAnswer{Content: r.Text(), Model: r.Model, StopReason: string(r.StopReason), Demo: r.Demo,
		Usage: TokenCount{Input: u.Input, Output: u.Output, CacheRead: u.CacheRead, CacheWrite: u.CacheWrite}}
	for _, c := range r.ToolCalls() {
		if !json.Valid(c.Arguments) { // models err
			c.Arguments, _ = json.Marshal(string(c.Arguments)) // a string: always written
		}
		out.ToolCalls = append(out.ToolCalls, ChatToolCall{ID: c.ID, Name: c.Name, Arguments: Object(c.Arguments)})
	}
	if r.CostMicros != nil {
		cost := dollars(*r.CostMicros)
		out.CostUSD = &cost
	}
	return out
}

func (s *Server) chat(w http.ResponseWriter, r *http.Request, by access.Actor, in *chatInput) error {
	ws := workspaceOr(by, in.WorkspaceID)
	if err := by.Need(ws, access.UseTools); err != nil {
		return err
	}
	if s.Toolbox == nil {
		return fault.New(fault.NotConfigured, "this studio has no models")
	}
	c := toolbox.Chat{System: in.Body.System, MaxTokens: in.Body.MaxTokens, Temperature: in.Body.Temperature}
	if in.Body.Model != "" {
		c.Models = []string{in.Body.Model}
	}
	var err error
	if c.Messages, err = conversation(in.Body.Messages); err != nil {
		return err
	}
	if c.Tools, err = chatTools(in.Body.Tools); err != nil {
		return err
	}
	if err := s.take(r.Context(), w.Header(), "ai", by.UserID, s.cfg.Limits.AI); err != nil {
		return err
	}
	if in.Body.Stream {
		return s.streamChat(w, r, by, ws, c)
	}
	answer, err := s.Toolbox.Ask(r.Context(), by, ws, c, nil)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(viewChat(answer))
}

// streamChat tells an answer as it comes. Whoever stops listening stops it.
func (s *Server) streamChat(w http.ResponseWriter, r *http.Request, by access.Actor, workspaceID string, c toolbox.Chat) error {
	if !s.enter() {
		return fault.New(fault.Unavailable, "the studio is stopping; try again in a moment")
	}
	defer s.live.Done()
	ctx, cancel := context.WithCancel(r.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	events := make(chan passed, 64)
	tell := func(name string, data any) {
		select {
		case events <- passed{name, data}:
		case <-ctx.Done():
		}
	}
	running.Go(func() {
		defer close(events)
		answer, err := s.Toolbox.Ask(ctx, by, workspaceID, c, func(text string) { tell("delta", ChatDelta{text}) })
		if err != nil {
			tell("error", s.problem(ctx, err))
			return
		}
		tell("result", viewChat(answer))
	})
	first, more := <-events
	if p, failed := first.data.(*Problem); failed || !more {
		if p == nil {
			p = s.problem(r.Context(), r.Context().Err())
		}
		return p // nothing was said yet: it is told as any failure
	}
	s.relay(w, first, events)
	return nil
}
