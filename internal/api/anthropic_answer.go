package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"agentstudio/internal/chat"
	"agentstudio/internal/llm"
)

type anthropicModel struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	CreatedAt   Time   `json:"created_at"`
}

func viewAnthropicModel(m chat.Model) anthropicModel {
	return anthropicModel{Type: "model", ID: m.ID, DisplayName: m.Name, CreatedAt: Time(m.CreatedAt)}
}

func (anthropicDialect) model(m chat.Model) any { return viewAnthropicModel(m) }

// models is a page: limit, after_id and before_id choose it.
func (anthropicDialect) models(all []chat.Model, r *http.Request) any {
	query := r.URL.Query()
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil || limit < 1 || limit > 1000 {
		limit = 20
	}
	from, to := 0, len(all)
	for i, m := range all {
		if m.ID == query.Get("after_id") {
			from = i + 1
		}
		if m.ID == query.Get("before_id") {
			to = i
		}
	}
	from = min(from, to)
	more := to-from > limit
	if query.Get("before_id") != "" {
		from = max(from, to-limit)
	}
	page := all[from:min(to, from+limit)]
	out := map[string]any{"data": views(page, viewAnthropicModel), "has_more": more, "first_id": nil, "last_id": nil}
	if len(page) > 0 {
		out["first_id"], out["last_id"] = page[0].ID, page[len(page)-1].ID
	}
	return out
}

type anthropicUsage struct {
	InputTokens   int64 `json:"input_tokens"`
	CacheCreation int64 `json:"cache_creation_input_tokens"`
	CacheRead     int64 `json:"cache_read_input_tokens"`
	OutputTokens  int64 `json:"output_tokens"`
}

func viewAnthropicUsage(u llm.Usage) anthropicUsage {
	return anthropicUsage{InputTokens: u.Input, CacheCreation: u.CacheWrite, CacheRead: u.CacheRead, OutputTokens: u.Output}
}

type anthropicSaid struct {
	Type  string          `json:"type"`
	Text  *string         `json:"text,omitempty"`
	ID    string          `json:"id,omitempty"`
	Name  string          `json:"name,omitempty"`
	Input json.RawMessage `json:"input,omitempty"`
}

type anthropicMessage struct {
	ID           string          `json:"id"`
	Type         string          `json:"type"`
	Role         string          `json:"role"`
	Model        string          `json:"model"`
	Content      []anthropicSaid `json:"content"`
	StopReason   *string         `json:"stop_reason"`
	StopSequence *string         `json:"stop_sequence"`
	Usage        anthropicUsage  `json:"usage"`
}

func anthropicReason(a *chat.Answer) string {
	switch {
	case len(a.Calls) > 0:
		return "tool_use"
	case a.Stop == llm.MaxTokens:
		return "max_tokens"
	case a.Stop == llm.Refusal:
		return "refusal"
	}
	return "end_turn"
}

func (anthropicDialect) answer(t telling, a *chat.Answer) any {
	reason := anthropicReason(a)
	out := anthropicMessage{ID: "msg_" + t.id, Type: "message", Role: "assistant", Model: a.Model, Content: []anthropicSaid{}, StopReason: &reason, Usage: viewAnthropicUsage(a.Usage)}
	if a.Text != "" {
		out.Content = append(out.Content, anthropicSaid{Type: "text", Text: &a.Text})
	}
	for _, c := range a.Calls {
		out.Content = append(out.Content, anthropicSaid{Type: "tool_use", ID: c.ID, Name: c.Name, Input: inputOf(c)})
	}
	return out
}

// inputOf is a call's arguments as the object they are to be.
func inputOf(c llm.Block) json.RawMessage {
	if text := argumentsOf(c); strings.HasPrefix(strings.TrimSpace(text), "{") {
		return json.RawMessage(text)
	}
	return json.RawMessage("{}")
}

type anthropicError struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

func (anthropicDialect) problem(p *Problem) any {
	return map[string]any{"type": "error", "error": anthropicError{Type: anthropicErrorType(p.Status), Message: everyFault(p)}, "request_id": strings.TrimPrefix(p.Instance, "urn:request:")}
}

func anthropicErrorType(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusPaymentRequired:
		return "billing_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusServiceUnavailable:
		return "overloaded_error"
	case http.StatusGatewayTimeout:
		return "timeout_error"
	}
	if status >= http.StatusInternalServerError {
		return "api_error"
	}
	return "invalid_request_error"
}

// anthropicTeller tells an answer block by block.
type anthropicTeller struct {
	out    *sse
	t      telling
	blocks int  // that were begun
	open   bool // the last of them
}

func (anthropicDialect) stream(out *sse, t telling) teller { return &anthropicTeller{out: out, t: t} }

func (a *anthropicTeller) event(name string, fields map[string]any) error {
	fields["type"] = name
	return a.out.event(0, name, fields)
}

func (a *anthropicTeller) begin() error {
	return a.event("message_start", map[string]any{"message": anthropicMessage{ID: "msg_" + a.t.id, Type: "message", Role: "assistant", Model: a.t.model, Content: []anthropicSaid{}}})
}

func (a *anthropicTeller) start(block anthropicSaid) error {
	if err := a.stop(); err != nil {
		return err
	}
	a.blocks, a.open = a.blocks+1, true
	return a.event("content_block_start", map[string]any{"index": a.blocks - 1, "content_block": block})
}

func (a *anthropicTeller) delta(d map[string]any) error {
	return a.event("content_block_delta", map[string]any{"index": a.blocks - 1, "delta": d})
}

func (a *anthropicTeller) stop() error {
	if !a.open {
		return nil
	}
	a.open = false
	return a.event("content_block_stop", map[string]any{"index": a.blocks - 1})
}

func (a *anthropicTeller) text(piece string) error {
	if !a.open {
		empty := ""
		if err := a.start(anthropicSaid{Type: "text", Text: &empty}); err != nil {
			return err
		}
	}
	return a.delta(map[string]any{"type": "text_delta", "text": piece})
}

func (a *anthropicTeller) call(c llm.Block) error {
	if err := a.start(anthropicSaid{Type: "tool_use", ID: c.ID, Name: c.Name, Input: json.RawMessage("{}")}); err != nil {
		return err
	}
	return a.delta(map[string]any{"type": "input_json_delta", "partial_json": string(inputOf(c))})
}

func (a *anthropicTeller) end(answer *chat.Answer) error {
	for _, c := range answer.Calls {
		if err := a.call(c); err != nil {
			return err
		}
	}
	if err := a.stop(); err != nil {
		return err
	}
	last := map[string]any{"delta": map[string]any{"stop_reason": anthropicReason(answer), "stop_sequence": nil}, "usage": viewAnthropicUsage(answer.Usage)}
	if err := a.event("message_delta", last); err != nil {
		return err
	}
	return a.event("message_stop", map[string]any{})
}

func (a *anthropicTeller) fail(p *Problem) error {
	return a.out.event(0, "error", anthropicDialect{}.problem(p))
}

func (a *anthropicTeller) beat() error { return a.event("ping", map[string]any{}) }
