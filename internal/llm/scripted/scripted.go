// Package scripted is the model "demo/scripted": it is in the binary, needs no
// network and costs nothing. It answers from a script in the request, or, when
// there is none, says what it was asked in a form that fits the request. Its
// answers are labelled as demo.
package scripted

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
)

// Provider is the provider "demo". The zero Provider is ready.
type Provider struct{}

var _ llm.Provider = Provider{}

// Name implements llm.Provider.
func (Provider) Name() string { return "demo" }

// Configured implements llm.Provider: it always is.
func (Provider) Configured() bool { return true }

// Models implements llm.Provider.
func (Provider) Models() []llm.ModelInfo {
	return []llm.ModelInfo{{Name: "scripted", Title: "Demo (offline, scripted)", ContextTokens: 1_000_000, MaxOutput: 100_000, Tools: true, Vision: true, Demo: true}}
}

// Line is one answer of a script. The n-th line answers the n-th turn, so that
// a conversation taken up again goes on as it would have. Lines with When are
// not counted: they go before, on any turn whose last words from the user or a
// tool hold that text.
type Line struct {
	When      string          `json:"when,omitempty"`
	Text      string          `json:"text,omitempty"`
	JSON      json.RawMessage `json:"json,omitempty"` // answered as text
	Thinking  string          `json:"thinking,omitempty"`
	ToolCalls []ToolCall      `json:"tool_calls,omitempty"`
	DelayMS   int             `json:"delay_ms,omitempty"` // before the answer
	Refuse    bool            `json:"refuse,omitempty"`
	Error     *Failure        `json:"error,omitempty"`
}

// ToolCall is a call the script makes.
type ToolCall struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
}

// Failure is an upstream fault the script plays.
type Failure struct {
	Code              string  `json:"code"` // overloaded, rate_limited, server_error, stream_cut, bad_response
	Message           string  `json:"message,omitempty"`
	RetryAfterSeconds float64 `json:"retry_after_seconds,omitempty"`
}

// maxDelay bounds the delay of a line.
const maxDelay = time.Minute

// Generate implements llm.Model.
func (Provider) Generate(ctx context.Context, req llm.Request, onPart func(llm.Part)) (*llm.Response, error) {
	line, err := choose(req)
	if err != nil {
		return nil, err
	}
	if line.DelayMS > 0 {
		timer := time.NewTimer(min(time.Duration(line.DelayMS)*time.Millisecond, maxDelay))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, fault.Wrap(fault.Cancelled, ctx.Err(), "the model was cut off")
		}
	}
	if f := line.Error; f != nil {
		message := f.Message
		if message == "" {
			message = "the demo model plays the failure " + f.Code
		}
		return nil, fault.New(fault.Upstream, "%s", message).WithCode(f.Code).WithRetryAfter(time.Duration(f.RetryAfterSeconds * float64(time.Second)))
	}
	response := respond(req, line)
	if onPart != nil {
		if err := stream(ctx, response, onPart); err != nil {
			return nil, err
		}
	}
	return response, nil
}

// choose finds the line that answers the request.
func choose(req llm.Request) (Line, error) {
	if len(req.Script) == 0 {
		return improvise(req), nil
	}
	var script []Line
	if err := json.Unmarshal(req.Script, &script); err != nil {
		return Line{}, fault.Wrap(fault.Invalid, err, "the demo script is a list of {text}, {json}, {tool_calls}, {error} or {when, …}: %s", err)
	}
	said := lastWords(req)
	turn := 0
	for _, m := range req.Messages {
		if m.Role == llm.Assistant {
			turn++
		}
	}
	turn = max(turn, req.Turn)
	for _, line := range script {
		if line.When != "" && strings.Contains(strings.ToLower(said), strings.ToLower(line.When)) {
			return line, nil
		}
	}
	for _, line := range script {
		if line.When != "" {
			continue
		}
		if turn == 0 {
			return line, nil
		}
		turn--
	}
	return improvise(req), nil
}

// lastWords returns what the model answers to.
func lastWords(req llm.Request) string {
	if len(req.Messages) == 0 {
		return ""
	}
	var parts []string
	for _, b := range req.Messages[len(req.Messages)-1].Content {
		if b.Text != "" {
			parts = append(parts, b.Text)
		}
	}
	return strings.Join(parts, "\n")
}

// improvise answers without a script.
func improvise(req llm.Request) Line {
	if len(req.OutputSchema) > 0 {
		if value, err := json.Marshal(sample(req.OutputSchema)); err == nil {
			return Line{JSON: value}
		}
	}
	said := strings.Join(strings.Fields(lastWords(req)), " ")
	const most = 600
	if len(said) > most {
		said = strings.ToValidUTF8(said[:most], "") + " …"
	}
	return Line{Text: "[demo answer, no model was asked] You said: " + said}
}

func respond(req llm.Request, line Line) *llm.Response {
	response := &llm.Response{Model: "demo/scripted", Demo: true, StopReason: llm.EndTurn, CostMicros: new(int64)}
	response.Message.Role = llm.Assistant
	add := func(b llm.Block) { response.Message.Content = append(response.Message.Content, b) }
	if line.Thinking != "" {
		add(llm.Block{Type: llm.ThinkingBlock, Text: line.Thinking})
	}
	text := line.Text
	if len(line.JSON) > 0 {
		text = string(line.JSON)
	}
	if text != "" {
		add(llm.Block{Type: llm.TextBlock, Text: text})
	}
	for i, c := range line.ToolCalls {
		if len(c.Arguments) == 0 {
			c.Arguments = json.RawMessage("{}")
		}
		add(llm.Block{Type: llm.ToolCallBlock, ID: fmt.Sprintf("call_%d_%d", len(req.Messages), i+1), Name: c.Name, Arguments: c.Arguments})
		response.StopReason = llm.ToolUse
	}
	if line.Refuse {
		response.StopReason = llm.Refusal
	}
	response.Usage = estimate(req, response)
	return response
}

// estimate counts four bytes as a token: nobody is billed for it.
func estimate(req llm.Request, response *llm.Response) llm.Usage {
	bytes := func(m llm.Message) (n int) {
		for _, b := range m.Content {
			n += len(b.Text) + len(b.Arguments)
		}
		return n
	}
	in := len(req.System)
	for _, m := range req.Messages {
		in += bytes(m)
	}
	return llm.Usage{Input: int64(in+3) / 4, Output: int64(bytes(response.Message)+3) / 4}
}

// stream hands the answer out word by word, as a real model would.
func stream(ctx context.Context, response *llm.Response, onPart func(llm.Part)) error {
	for _, b := range response.Message.Content {
		if err := ctx.Err(); err != nil {
			return fault.Wrap(fault.Cancelled, err, "the model was cut off")
		}
		switch b.Type {
		case llm.ToolCallBlock:
			onPart(llm.Part{Type: llm.ToolCallPart, ID: b.ID, Name: b.Name, Text: string(b.Arguments)})
		case llm.ThinkingBlock:
			onPart(llm.Part{Type: llm.ThinkingPart, Text: b.Text})
		default:
			for word := range strings.SplitAfterSeq(b.Text, " ") {
				onPart(llm.Part{Type: llm.TextPart, Text: word})
			}
		}
	}
	return nil
}
