package openai

import (
	"encoding/json"
	"fmt"
	"strings"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/respjson"

	"agentstudio/internal/llm"
)

// answer is put together from the chunks of a stream, and passes them on.
type answer struct {
	turn   int // makes the ids of calls differ from those of other answers
	onPart func(llm.Part)

	thinking strings.Builder
	text     strings.Builder
	calls    []*call
	byIndex  map[int64]*call
	refused  bool
	finish   string
	usage    *llm.Usage
}

type call struct {
	id, name  string
	made      bool // the id is ours
	arguments strings.Builder
	signature string
}

// ended reports whether the server has said that the answer is over.
func (a *answer) ended() bool { return a.finish != "" }

func (a *answer) add(chunk *sdk.ChatCompletionChunk) {
	if chunk.JSON.Usage.Valid() {
		a.usage = usageOf(chunk.Usage)
	}
	for _, choice := range chunk.Choices {
		if choice.Index != 0 {
			continue // one was asked for
		}
		a.delta(choice.Delta)
		if choice.FinishReason != "" {
			a.finish = choice.FinishReason
		}
	}
}

func (a *answer) delta(d sdk.ChatCompletionChunkChoiceDelta) {
	// Servers give their models' thinking one of two names, some give both.
	for _, field := range []string{"reasoning_content", "reasoning"} {
		if text := textOf(d.JSON.ExtraFields[field]); text != "" {
			a.thinking.WriteString(text)
			a.onPart(llm.Part{Type: llm.ThinkingPart, Text: text})
			break
		}
	}
	a.say(d.Content)
	if d.Refusal != "" {
		a.refused = true
		a.say(d.Refusal)
	}
	for _, piece := range d.ToolCalls {
		a.piece(piece)
	}
}

func (a *answer) say(text string) {
	if text == "" {
		return
	}
	a.text.WriteString(text)
	a.onPart(llm.Part{Type: llm.TextPart, Text: text})
}

// piece adds a piece of a call to the call it belongs to.
func (a *answer) piece(p sdk.ChatCompletionChunkChoiceDeltaToolCall) {
	c := a.byIndex[p.Index]
	first := c == nil || c.endsBefore(p)
	if first {
		c = a.begin(p)
	}
	part := llm.Part{Type: llm.ToolCallPart, ID: c.id, Text: p.Function.Arguments}
	if c.name == "" && p.Function.Name != "" {
		c.name, part.Name = p.Function.Name, p.Function.Name
	}
	c.arguments.WriteString(p.Function.Arguments)
	if s := signatureOf(p.JSON.ExtraFields["extra_content"]); s != "" {
		c.signature = s
	}
	if first || part.Name != "" || part.Text != "" {
		a.onPart(part)
	}
}

// endsBefore reports whether a piece with the call's index begins another
// call: some servers send whole calls and number all of them 0.
func (c *call) endsBefore(p sdk.ChatCompletionChunkChoiceDeltaToolCall) bool {
	if p.ID != "" && !c.made {
		return p.ID != c.id
	}
	return p.Function.Name != "" && c.name != "" && json.Valid([]byte(c.arguments.String()))
}

// begin adds a call. Its id is made here when the server gives none, or one
// that another call of the answer has.
func (a *answer) begin(p sdk.ChatCompletionChunkChoiceDeltaToolCall) *call {
	c := &call{id: p.ID}
	for _, other := range a.calls {
		if other.id == c.id {
			c.id = ""
		}
	}
	if c.id == "" {
		c.id, c.made = fmt.Sprintf("call_%d_%d", a.turn, len(a.calls)+1), true
	}
	if a.byIndex == nil {
		a.byIndex = map[int64]*call{}
	}
	a.byIndex[p.Index] = c
	a.calls = append(a.calls, c)
	return c
}

// response returns the whole answer of the model named "provider/name".
func (a *answer) response(model string) *llm.Response {
	r := &llm.Response{Model: model, StopReason: a.stop(), UsageUnknown: a.usage == nil}
	if a.usage != nil {
		r.Usage = *a.usage
	}
	r.Message.Role = llm.Assistant
	add := func(b llm.Block) { r.Message.Content = append(r.Message.Content, b) }
	if a.thinking.Len() > 0 {
		add(llm.Block{Type: llm.ThinkingBlock, Text: a.thinking.String()})
	}
	if a.text.Len() > 0 {
		add(llm.Block{Type: llm.TextBlock, Text: a.text.String()})
	}
	for _, c := range a.calls {
		arguments := strings.TrimSpace(c.arguments.String())
		if arguments == "" || arguments == "null" {
			arguments = "{}"
		}
		add(llm.Block{Type: llm.ToolCallBlock, ID: c.id, Name: c.name, Arguments: json.RawMessage(arguments), Signature: c.signature})
	}
	return r
}

// stop reads the finish reason; not every server says tool_calls for calls.
func (a *answer) stop() llm.StopReason {
	switch {
	case a.refused, a.finish == "content_filter":
		return llm.Refusal
	case a.finish == "length":
		return llm.MaxTokens
	case len(a.calls) > 0:
		return llm.ToolUse
	}
	return llm.EndTurn
}

// usageOf reads what the server counted. Some count the tokens of thinking in
// the total only: they are output.
func usageOf(u sdk.CompletionUsage) *llm.Usage {
	out := &llm.Usage{Output: u.CompletionTokens, CacheRead: u.PromptTokensDetails.CachedTokens, CacheWrite: u.PromptTokensDetails.CacheWriteTokens}
	out.Input = max(0, u.PromptTokens-out.CacheRead-out.CacheWrite)
	out.Output = max(out.Output, u.TotalTokens-u.PromptTokens)
	out.Reasoning = min(u.CompletionTokensDetails.ReasoningTokens, out.Output)
	return out
}

// textOf returns a field that is a text; "" when it is not.
func textOf(f respjson.Field) string {
	var text string
	if raw := f.Raw(); raw == "" || json.Unmarshal([]byte(raw), &text) != nil {
		return ""
	}
	return text
}

// signatureOf returns what Gemini wants back with a call.
func signatureOf(f respjson.Field) string {
	var extra struct {
		Google struct {
			Signature string `json:"thought_signature"`
		} `json:"google"`
	}
	if raw := f.Raw(); raw == "" || json.Unmarshal([]byte(raw), &extra) != nil {
		return ""
	}
	return extra.Google.Signature
}
