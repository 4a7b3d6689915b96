package api

import (
	"encoding/json"
	"net/http"

	"agentstudio/internal/chat"
	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
)

type openaiModel struct {
	ID          string `json:"id"`
	Object      string `json:"object"`
	Created     int64  `json:"created"`
	OwnedBy     string `json:"owned_by"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

type openaiModels struct {
	Object string        `json:"object"`
	Data   []openaiModel `json:"data"`
}

func viewOpenAIModel(m chat.Model) openaiModel {
	return openaiModel{ID: m.ID, Object: "model", Created: m.CreatedAt.Unix(), OwnedBy: "workspace", Name: m.Name, Description: m.Description}
}

func (openaiDialect) model(m chat.Model) any { return viewOpenAIModel(m) }

func (openaiDialect) models(all []chat.Model, _ *http.Request) any {
	return openaiModels{Object: "list", Data: views(all, viewOpenAIModel)}
}

type openaiUsage struct {
	PromptTokens        int64 `json:"prompt_tokens"`
	CompletionTokens    int64 `json:"completion_tokens"`
	TotalTokens         int64 `json:"total_tokens"`
	PromptTokensDetails struct {
		CachedTokens int64 `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

func viewOpenAIUsage(u llm.Usage) *openaiUsage {
	out := &openaiUsage{PromptTokens: u.Input + u.CacheRead + u.CacheWrite, CompletionTokens: u.Output}
	out.TotalTokens = out.PromptTokens + out.CompletionTokens
	out.PromptTokensDetails.CachedTokens = u.CacheRead
	return out
}

type openaiSaid struct {
	Role      string       `json:"role"`
	Content   *string      `json:"content"`
	Refusal   *string      `json:"refusal"`
	ToolCalls []openaiCall `json:"tool_calls,omitempty"`
}

type openaiChoice struct {
	Index        int        `json:"index"`
	Message      openaiSaid `json:"message"`
	FinishReason string     `json:"finish_reason"`
	Logprobs     *struct{}  `json:"logprobs"`
}

type openaiCompletion struct {
	ID      string         `json:"id"`
	Object  string         `json:"object"`
	Created int64          `json:"created"`
	Model   string         `json:"model"`
	Choices []openaiChoice `json:"choices"`
	Usage   *openaiUsage   `json:"usage"`
}

func openaiReason(a *chat.Answer) string {
	switch {
	case len(a.Calls) > 0:
		return "tool_calls"
	case a.Stop == llm.MaxTokens:
		return "length"
	case a.Stop == llm.Refusal:
		return "content_filter"
	}
	return "stop"
}

// refusalText is said where the model only refused.
const refusalText = "The model refused to answer."

func (openaiDialect) answer(t telling, a *chat.Answer) any {
	said := openaiSaid{Role: "assistant", ToolCalls: viewOpenAICalls(a.Calls, false)}
	if a.Text != "" || len(a.Calls) == 0 {
		said.Content = &a.Text
	}
	if a.Stop == llm.Refusal {
		refusal := refusalText
		said.Refusal = &refusal
	}
	return openaiCompletion{ID: "chatcmpl-" + t.id, Object: "chat.completion", Created: t.at.Unix(), Model: a.Model,
		Choices: []openaiChoice{{Message: said, FinishReason: openaiReason(a)}}, Usage: viewOpenAIUsage(a.Usage)}
}

func viewOpenAICalls(calls []llm.Block, numbered bool) []openaiCall {
	var out []openaiCall
	for i, c := range calls {
		call := openaiCall{ID: c.ID, Type: "function", Function: openaiFunction{Name: c.Name, Arguments: argumentsOf(c)}}
		if numbered {
			call.Index = &i
		}
		out = append(out, call)
	}
	return out
}

func argumentsOf(c llm.Block) string {
	if len(c.Arguments) == 0 {
		return "{}"
	}
	return string(c.Arguments)
}

type openaiError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

func (openaiDialect) problem(p *Problem) any {
	e := openaiError{Message: everyFault(p), Type: openaiErrorType(p.Status)}
	if len(p.Errors) > 0 {
		place := trimBody(p.Errors[0].Location)
		e.Param = &place
	}
	if code := openaiErrorCode(p); code != "" {
		e.Code = &code
	}
	return map[string]any{"error": e}
}

func openaiErrorType(status int) string {
	switch {
	case status == http.StatusPaymentRequired:
		return "insufficient_quota"
	case status == http.StatusForbidden:
		return "permission_error"
	case status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case status >= http.StatusInternalServerError:
		return "server_error"
	}
	return "invalid_request_error"
}

func openaiErrorCode(p *Problem) string {
	switch p.Status {
	case http.StatusUnauthorized:
		return "invalid_api_key"
	case http.StatusTooManyRequests:
		return "rate_limit_exceeded"
	case http.StatusPaymentRequired:
		if p.Code == "" {
			return string(fault.OverBudget)
		}
	}
	return p.Code
}

// openaiChunk is a piece of an answer. Content and finish_reason are null where
// they say nothing.
type openaiChunk struct {
	ID      string        `json:"id"`
	Object  string        `json:"object"`
	Created int64         `json:"created"`
	Model   string        `json:"model"`
	Choices []openaiDelta `json:"choices"`
	Usage   *openaiUsage  `json:"usage,omitempty"`
}

type openaiDelta struct {
	Index int `json:"index"`
	Delta struct {
		Role      string       `json:"role,omitempty"`
		Content   *string      `json:"content,omitempty"`
		Refusal   string       `json:"refusal,omitempty"`
		ToolCalls []openaiCall `json:"tool_calls,omitempty"`
	} `json:"delta"`
	FinishReason *string `json:"finish_reason"`
}

type openaiTeller struct {
	out *sse
	t   telling
}

func (openaiDialect) stream(out *sse, t telling) teller { return &openaiTeller{out, t} }

func (o *openaiTeller) send(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return o.out.send("data: " + string(text) + "\n\n")
}

func (o *openaiTeller) chunk(u *openaiUsage, deltas ...openaiDelta) error {
	if deltas == nil {
		deltas = []openaiDelta{}
	}
	return o.send(openaiChunk{ID: "chatcmpl-" + o.t.id, Object: "chat.completion.chunk", Created: o.t.at.Unix(), Model: o.t.model, Choices: deltas, Usage: u})
}

func (o *openaiTeller) begin() error {
	var d openaiDelta
	empty := ""
	d.Delta.Role, d.Delta.Content = "assistant", &empty
	return o.chunk(nil, d)
}

func (o *openaiTeller) text(piece string) error {
	var d openaiDelta
	d.Delta.Content = &piece
	return o.chunk(nil, d)
}

func (o *openaiTeller) end(a *chat.Answer) error {
	if len(a.Calls) > 0 {
		var d openaiDelta
		d.Delta.ToolCalls = viewOpenAICalls(a.Calls, true)
		if err := o.chunk(nil, d); err != nil {
			return err
		}
	}
	var last openaiDelta
	if a.Stop == llm.Refusal {
		last.Delta.Refusal = refusalText
	}
	reason := openaiReason(a)
	last.FinishReason = &reason
	if err := o.chunk(nil, last); err != nil {
		return err
	}
	if o.t.usage {
		if err := o.chunk(viewOpenAIUsage(a.Usage)); err != nil {
			return err
		}
	}
	return o.out.send("data: [DONE]\n\n")
}

func (o *openaiTeller) fail(p *Problem) error { return o.send(openaiDialect{}.problem(p)) }

func (o *openaiTeller) beat() error { return o.out.send(": still here\n\n") }
