// Package llm is the contract of a language model: a conversation with tools
// goes in, parts stream out, a final response with its usage is returned.
package llm

import (
	"context"
	"encoding/json"
)

// Role is who said a message.
type Role string

// The roles. Results of tools are messages of the role Tool.
const (
	User      Role = "user"
	Assistant Role = "assistant"
	Tool      Role = "tool"
)

// Message is one entry of a conversation.
type Message struct {
	Role    Role    `json:"role"`
	Content []Block `json:"content"`
}

// Text returns a message of one text block.
func Text(role Role, text string) Message {
	return Message{Role: role, Content: []Block{{Type: TextBlock, Text: text}}}
}

// BlockType says which fields of a Block are used.
type BlockType string

// The block types.
const (
	TextBlock       BlockType = "text"
	ThinkingBlock   BlockType = "thinking"    // Text, Signature; Data when the provider hides the text
	ImageBlock      BlockType = "image"       // MediaType, Data or URL
	DocumentBlock   BlockType = "document"    // MediaType, Data: a PDF
	ToolCallBlock   BlockType = "tool_call"   // ID, Name, Arguments
	ToolResultBlock BlockType = "tool_result" // ID, Text, Failed
)

// Block is a part of a message.
type Block struct {
	Type      BlockType       `json:"type"`
	Text      string          `json:"text,omitempty"`
	Signature string          `json:"signature,omitempty"`
	MediaType string          `json:"media_type,omitempty"`
	Data      []byte          `json:"data,omitempty"`
	URL       string          `json:"url,omitempty"`
	FileID    string          `json:"file_id,omitempty"` // of a workspace's file; whoever asks a model puts its Data in
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
	Failed    bool            `json:"failed,omitempty"`
}

// ToolSpec is a tool the model may call.
type ToolSpec struct {
	Name        string          `json:"name"` // [a-zA-Z0-9_-]{1,64}
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"` // JSON Schema of the arguments, type object
}

// Request is one question to a model.
type Request struct {
	Model       string // the provider's own name of the model
	System      string
	Messages    []Message
	Tools       []ToolSpec
	MaxTokens   int      // of the answer; 0 means the provider's default for the model
	Temperature *float64 // nil means the provider's default
	// OutputSchema asks for an answer that is JSON of this schema, where the
	// provider can enforce it; callers validate anyway. nil: free text.
	OutputSchema json.RawMessage
	// ThinkingTokens asks for thinking before the answer, up to about so many
	// tokens, where the model can; 0 means the provider's default.
	ThinkingTokens int
	// Script is read by the scripted provider only.
	Script json.RawMessage
	// Turn is how many answers came before in the whole conversation, of which
	// Messages may be a part; read by the scripted provider only.
	Turn int
	// Caller is on whose behalf the call is made. Providers that have a field
	// for it are told the user's id, nothing else.
	Caller Caller
}

// Caller says on whose behalf a model is called. Any field may be empty.
type Caller struct {
	UserID      string
	WorkspaceID string
	WorkflowID  string
	ExecutionID string
	NodeID      string
	Agent       string
	Above       []string // agents that called the agent, the outermost first
	APIKeyID    string
}

// PartType says what a Part carries.
type PartType string

// The part types.
const (
	TextPart     PartType = "text"
	ThinkingPart PartType = "thinking"
	ToolCallPart PartType = "tool_call" // a piece of a call's arguments
)

// Part is a piece of an answer while it streams.
type Part struct {
	Type PartType
	Text string
	ID   string // of the tool call
	Name string // of the tool, in the call's first piece
}

// StopReason is why the model ended its answer.
type StopReason string

// The stop reasons, whatever the provider calls them.
const (
	EndTurn   StopReason = "end_turn"
	ToolUse   StopReason = "tool_use"
	MaxTokens StopReason = "max_tokens"
	Refusal   StopReason = "refusal"
	Pause     StopReason = "pause" // ask again with this answer as the last message to go on
)

// Usage is what the provider reported for one answer, in tokens. Input does
// not include what was read from or written to its cache.
type Usage struct {
	Input      int64 `json:"input"`
	Output     int64 `json:"output"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
	// Reasoning is the part of Output that was thinking, where the provider says so.
	Reasoning int64 `json:"reasoning,omitempty"`
}

// Response is a whole answer.
type Response struct {
	Message    Message    `json:"message"`
	StopReason StopReason `json:"stop_reason"`
	Model      string     `json:"model"` // "provider/name" that answered
	Usage      Usage      `json:"usage"`
	// CostMicros is the price in micro-dollars; nil when no price is known.
	CostMicros *int64 `json:"cost_micros,omitempty"`
	// UsageUnknown is set when the provider did not report its usage: the
	// Usage is then zero and no price can be known.
	UsageUnknown bool `json:"usage_unknown,omitempty"`
	Demo         bool `json:"demo,omitempty"` // from the scripted provider
}

// Text returns the answer's text blocks joined.
func (r *Response) Text() string {
	var s string
	for _, b := range r.Message.Content {
		if b.Type == TextBlock {
			s += b.Text
		}
	}
	return s
}

// ToolCalls returns the answer's tool calls in order.
func (r *Response) ToolCalls() []Block {
	var calls []Block
	for _, b := range r.Message.Content {
		if b.Type == ToolCallBlock {
			calls = append(calls, b)
		}
	}
	return calls
}

// Model answers requests. Implementations are safe for concurrent use.
type Model interface {
	// Generate asks once. onPart, when not nil, is called in order from the
	// calling goroutine while the answer streams. Cancelling ctx closes the
	// connection to the provider. Errors are faults: Upstream (with
	// RetryAfter and one of the Codes of this package), Timeout, Invalid (the
	// provider refused the request), NotConfigured, Cancelled. What the
	// provider had counted by then is with the error: see Counted.
	Generate(ctx context.Context, req Request, onPart func(Part)) (*Response, error)
}

// Provider is a source of models.
type Provider interface {
	Model
	Name() string        // the part before the slash
	Configured() bool    // whether it can be called here
	Models() []ModelInfo // the models it is known to have
}

// ModelInfo describes a model.
type ModelInfo struct {
	Name          string `json:"name"` // without the provider
	Title         string `json:"title,omitempty"`
	ContextTokens int    `json:"context_tokens,omitempty"`
	MaxOutput     int    `json:"max_output,omitempty"`
	Vision        bool   `json:"vision,omitempty"`
	Tools         bool   `json:"tools,omitempty"`
	Demo          bool   `json:"demo,omitempty"`
}
