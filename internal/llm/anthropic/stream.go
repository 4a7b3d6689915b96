package anthropic

import (
	"encoding/json"
	"strings"

	sdk "github.com/anthropics/anthropic-sdk-go"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
)

// answer puts a streamed answer together and passes its parts on.
type answer struct {
	onPart func(llm.Part)
	blocks []*block
	stop   sdk.StopReason // "": not told yet; after it only the end follows
	usage  llm.Usage
	begun  bool // the message has started
	done   bool // and ended

	inputKnown, outputKnown bool
}

// block is a block as it grows; text is what it says, or a call's arguments.
type block struct {
	llm.Block
	text      strings.Builder
	signature strings.Builder
	whole     json.RawMessage // arguments that came with the block's start
}

// take adds an event. The fault says that the events make no sense.
func (a *answer) take(event sdk.MessageStreamEventUnion) error {
	switch event.Type {
	case "message_start":
		a.begun = true
		u := event.Message.Usage
		a.usage = llm.Usage{Input: u.InputTokens, Output: u.OutputTokens, CacheRead: u.CacheReadInputTokens, CacheWrite: u.CacheCreationInputTokens}
		a.inputKnown = u.JSON.InputTokens.Valid()
	case "content_block_start":
		if event.Index != int64(len(a.blocks)) {
			return senseless()
		}
		a.open(event.ContentBlock)
	case "content_block_delta":
		if event.Index < 0 || event.Index >= int64(len(a.blocks)) {
			return senseless()
		}
		a.grow(a.blocks[event.Index], event.Delta)
	case "message_delta":
		a.stop = event.Delta.StopReason
		a.count(event.Usage)
	case "message_stop":
		a.done = true
	}
	return nil
}

func senseless() *fault.Error {
	return fault.New(fault.Upstream, "%s sent pieces of an answer that do not fit together", title).WithCode(llm.BadResponse)
}

// count takes over the totals, each of which replaces the one before.
func (a *answer) count(u sdk.MessageDeltaUsage) {
	if u.JSON.OutputTokens.Valid() {
		a.usage.Output, a.outputKnown = u.OutputTokens, true
	}
	if u.JSON.InputTokens.Valid() {
		a.usage.Input, a.inputKnown = u.InputTokens, true
	}
	if u.JSON.CacheReadInputTokens.Valid() {
		a.usage.CacheRead = u.CacheReadInputTokens
	}
	if u.JSON.CacheCreationInputTokens.Valid() {
		a.usage.CacheWrite = u.CacheCreationInputTokens
	}
}

// open begins a block. One of a type that was not asked for keeps its place
// and says nothing.
func (a *answer) open(start sdk.ContentBlockStartEventContentBlockUnion) {
	b := &block{}
	a.blocks = append(a.blocks, b)
	switch start.Type {
	case "text":
		b.Type = llm.TextBlock
		a.say(b, start.Text)
	case "thinking":
		b.Type = llm.ThinkingBlock
		b.signature.WriteString(start.Signature)
		a.say(b, start.Thinking)
	case "redacted_thinking":
		b.Type, b.Data = llm.ThinkingBlock, []byte(start.Data)
	case "tool_use":
		b.Type, b.ID, b.Name = llm.ToolCallBlock, start.ID, start.Name
		if raw := start.JSON.Input.Raw(); raw != "null" {
			b.whole = json.RawMessage(raw)
		}
		a.pass(llm.Part{Type: llm.ToolCallPart, ID: b.ID, Name: b.Name})
	}
}

func (a *answer) grow(b *block, delta sdk.MessageStreamEventUnionDelta) {
	switch delta.Type {
	case "text_delta":
		a.say(b, delta.Text)
	case "thinking_delta":
		a.say(b, delta.Thinking)
	case "signature_delta":
		b.signature.WriteString(delta.Signature)
	case "input_json_delta":
		a.say(b, delta.PartialJSON)
	}
}

// say adds a piece to a block and passes it on.
func (a *answer) say(b *block, piece string) {
	if piece == "" {
		return
	}
	b.text.WriteString(piece)
	switch b.Type {
	case llm.TextBlock:
		a.pass(llm.Part{Type: llm.TextPart, Text: piece})
	case llm.ThinkingBlock:
		a.pass(llm.Part{Type: llm.ThinkingPart, Text: piece})
	case llm.ToolCallBlock:
		a.pass(llm.Part{Type: llm.ToolCallPart, ID: b.ID, Text: piece})
	}
}

func (a *answer) pass(p llm.Part) {
	if a.onPart != nil {
		a.onPart(p)
	}
}

// counted puts what the API had counted when the answer broke off to the error.
func (a *answer) counted(err error) error {
	if !a.inputKnown {
		return err
	}
	return llm.Counted(err, a.usage)
}

// response returns the whole answer.
func (a *answer) response(model string) *llm.Response {
	r := &llm.Response{Model: model, Message: llm.Message{Role: llm.Assistant}, Usage: a.usage}
	if !a.inputKnown || !a.outputKnown {
		r.Usage, r.UsageUnknown = llm.Usage{}, true
	}
	for _, b := range a.blocks {
		if whole, ok := b.finish(); ok {
			r.Message.Content = append(r.Message.Content, whole)
		}
	}
	r.StopReason = stopReason(a.stop, len(r.ToolCalls()) > 0)
	return r
}

func (b *block) finish() (llm.Block, bool) {
	switch b.Type {
	case llm.TextBlock:
		b.Text = b.text.String()
		return b.Block, b.Text != ""
	case llm.ThinkingBlock: // its text may be hidden: the signature is what counts
		b.Text, b.Signature = b.text.String(), b.signature.String()
		return b.Block, b.Text != "" || b.Signature != "" || len(b.Data) > 0
	case llm.ToolCallBlock:
		b.Arguments = json.RawMessage(b.text.String())
		if len(b.Arguments) == 0 {
			b.Arguments = b.whole
		}
		if len(b.Arguments) == 0 {
			b.Arguments = json.RawMessage("{}")
		}
		return b.Block, true
	}
	return llm.Block{}, false
}

func stopReason(theirs sdk.StopReason, calls bool) llm.StopReason {
	switch theirs {
	case sdk.StopReasonToolUse:
		return llm.ToolUse
	case sdk.StopReasonMaxTokens, sdk.StopReasonModelContextWindowExceeded:
		return llm.MaxTokens
	case sdk.StopReasonRefusal:
		return llm.Refusal
	case sdk.StopReasonPauseTurn:
		return llm.Pause
	}
	if calls {
		return llm.ToolUse
	}
	return llm.EndTurn // end_turn, stop_sequence, and whatever else ends an answer
}
