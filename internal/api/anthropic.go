package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"agentstudio/internal/chat"
	"agentstudio/internal/llm"
)

// anthropicDialect is Anthropic's Messages protocol.
type anthropicDialect struct{}

// anthropicRequest is what is taken of the protocol.
type anthropicRequest struct {
	Model       string             `json:"model" doc:"The id of an agent or workflow, as GET /v1/models lists it"`
	MaxTokens   *int               `json:"max_tokens" doc:"Of one answer of the model; the agent's own bound holds beside it"`
	System      json.RawMessage    `json:"system,omitempty" doc:"A text, or blocks of text"`
	Messages    []anthropicTurn    `json:"messages"`
	Stream      bool               `json:"stream,omitempty"`
	Temperature *float64           `json:"temperature,omitempty" doc:"In place of the agent's own"`
	Tools       []anthropicTool    `json:"tools,omitempty" doc:"Offered to the agent's model beside its own; not to workflows"`
	ToolChoice  *anthropicChoosing `json:"tool_choice,omitempty" doc:"auto or none"`
}

type anthropicChoosing struct {
	Type                   string `json:"type"`
	DisableParallelToolUse bool   `json:"disable_parallel_tool_use,omitempty"`
}

type anthropicTurn struct {
	Role    string          `json:"role" doc:"user or assistant"`
	Content json.RawMessage `json:"content" doc:"A text, or blocks: text, image, document, tool_use, tool_result"`
}

type anthropicTool struct {
	Type        string          `json:"type,omitempty" doc:"custom"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"input_schema,omitempty"`
}

type anthropicBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	IsError   bool            `json:"is_error"`
	Content   json.RawMessage `json:"content"`
	Source    struct {
		Type      string `json:"type"`
		MediaType string `json:"media_type"`
		Data      string `json:"data"`
		URL       string `json:"url"`
		FileID    string `json:"file_id"`
	} `json:"source"`
}

func anthropicTaken() []string {
	return []string{"model", "max_tokens", "system", "messages", "stream", "temperature", "tools", "tool_choice"}
}

// anthropicIgnored are hints that clients send and that promise nothing.
func anthropicIgnored() []string { return []string{"metadata", "top_p", "top_k", "service_tier"} }

// anthropicRefused are parameters whose loss a caller would notice.
func anthropicRefused() map[string]func(json.RawMessage) string {
	return map[string]func(json.RawMessage) string{
		"stop_sequences":     unless([]string{"[]"}, "stop sequences are not supported: leave stop_sequences out"),
		"thinking":           unless([]string{`{"type":"disabled"}`}, "thinking is not shown: leave thinking out"),
		"mcp_servers":        unless([]string{"[]"}, "an agent has its own MCP servers: leave mcp_servers out"),
		"container":          unless(nil, "there are no containers: leave container out"),
		"context_management": unless([]string{"{}"}, "an agent manages its own context: leave context_management out"),
		"output_config":      unless([]string{"{}"}, "an agent answers in its own form: leave output_config out"),
	}
}

func (anthropicDialect) read(body []byte) (q chat.Question, t telling, err error) {
	var r reading
	var in anthropicRequest
	fields, err := r.object(body, &in)
	if err != nil {
		return q, t, err
	}
	r.known(fields, anthropicTaken(), anthropicIgnored(), anthropicRefused())
	t.stream = in.Stream
	q.Model, q.Temperature = in.Model, in.Temperature
	if in.Model == "" {
		r.find("model", "required", "name an agent or workflow, as GET /v1/models lists them")
	}
	if in.MaxTokens == nil {
		r.find("max_tokens", "required", "say how many tokens an answer may have")
	}
	q.MaxTokens = r.bound("max_tokens", in.MaxTokens)
	r.temperature(in.Temperature, 1)
	q.System = r.plain("system", r.anthropicContent("system", in.System, llm.User))
	q.Messages = r.anthropicMessages(in.Messages)
	r.pairs(q.Messages)
	q.Tools = r.anthropicTools(in)
	return q, t, r.err()
}

func (r *reading) anthropicTools(in anthropicRequest) []llm.ToolSpec {
	var out []llm.ToolSpec
	for i, t := range in.Tools {
		if t.Type != "" && t.Type != "custom" {
			r.find(fmt.Sprintf("tools[%d].type", i), "unsupported_value", "the tools of Anthropic's servers cannot be called from here: custom ones can")
			continue
		}
		out = append(out, llm.ToolSpec{Name: t.Name, Description: t.Description, Schema: t.InputSchema})
	}
	r.tools("tools", out)
	switch {
	case in.ToolChoice == nil:
		return out
	case in.ToolChoice.DisableParallelToolUse:
		r.find("tool_choice.disable_parallel_tool_use", "unsupported_value", "an answer may call several tools: leave it out")
	case in.ToolChoice.Type == "none":
		return nil
	case in.ToolChoice.Type != "auto":
		r.find("tool_choice.type", "unsupported_value", "an agent chooses itself: auto and none are supported")
	}
	return out
}

// anthropicMessages reads a conversation. Results of tools stand in the user's
// turns there, and are messages of their own here.
func (r *reading) anthropicMessages(in []anthropicTurn) []llm.Message {
	if len(in) == 0 {
		r.find("messages", "required", "a conversation has at least one message")
	}
	if len(in) > maxMessages {
		r.find("messages", "too_many", fmt.Sprintf("at most %d messages", maxMessages))
		return nil
	}
	var out []llm.Message
	for i, m := range in {
		at := fmt.Sprintf("messages[%d]", i)
		role := llm.Role(m.Role)
		if role != llm.User && role != llm.Assistant {
			r.find(at+".role", "unsupported_value", "one of user and assistant")
			continue
		}
		said := llm.Message{Role: role}
		content := r.anthropicContent(at+".content", m.Content, role)
		for _, b := range content {
			if b.Type == llm.ToolResultBlock {
				out = addResult(out, b)
			} else {
				said.Content = append(said.Content, b)
			}
		}
		switch {
		case len(said.Content) > 0:
			out = append(out, said)
		case len(content) == 0 && role == llm.Assistant:
			out = append(out, llm.Text(llm.Assistant, " ")) // it said nothing
		case len(content) == 0:
			r.find(at+".content", "required", "say something")
		}
	}
	return out
}

// anthropicContent is a text or a list of blocks.
func (r *reading) anthropicContent(place string, content json.RawMessage, role llm.Role) []llm.Block {
	var text string
	var blocks []anthropicBlock
	switch {
	case len(content) == 0 || string(content) == "null":
		return nil
	case json.Unmarshal(content, &text) == nil:
		if text == "" {
			return nil
		}
		return []llm.Block{{Type: llm.TextBlock, Text: text}}
	case json.Unmarshal(content, &blocks) != nil:
		r.find(place, "invalid_type", "a text, or a list of blocks")
		return nil
	}
	var out []llm.Block
	for i, b := range blocks {
		at := fmt.Sprintf("%s[%d]", place, i)
		switch {
		case b.Type == "text":
			out = append(out, llm.Block{Type: llm.TextBlock, Text: b.Text})
		case b.Type == "thinking" || b.Type == "redacted_thinking": // of another model: it says nothing to this one
		case b.Type == "image" && role == llm.User:
			out = append(out, r.anthropicImage(at+".source", b))
		case b.Type == "document" && role == llm.User:
			out = append(out, r.anthropicDocument(at+".source", b))
		case b.Type == "tool_use" && role == llm.Assistant:
			if b.ID == "" || b.Name == "" {
				r.find(at, "required", "a call has an id and the name of a tool")
			}
			out = append(out, llm.Block{Type: llm.ToolCallBlock, ID: b.ID, Name: b.Name, Arguments: b.Input})
		case b.Type == "tool_result" && role == llm.User:
			out = append(out, llm.Block{Type: llm.ToolResultBlock, ID: b.ToolUseID, Failed: b.IsError, Text: r.plain(at+".content", r.anthropicContent(at+".content", b.Content, llm.User))})
		default:
			r.find(at+".type", "unsupported_value", "this block cannot stand in a message of the "+string(role))
		}
	}
	return out
}

func (r *reading) anthropicImage(place string, b anthropicBlock) llm.Block {
	switch b.Source.Type {
	case "url":
		return r.picture(place+".url", b.Source.URL)
	case "base64":
		return r.picture(place+".data", "data:"+b.Source.MediaType+";base64,"+b.Source.Data)
	case "file":
		return llm.Block{Type: llm.ImageBlock, FileID: b.Source.FileID}
	}
	r.find(place+".type", "unsupported_value", "one of base64, url and file")
	return llm.Block{Type: llm.ImageBlock}
}

func (r *reading) anthropicDocument(place string, b anthropicBlock) llm.Block {
	switch b.Source.Type {
	case "base64":
		return r.document(place+".data", "data:"+b.Source.MediaType+";base64,"+b.Source.Data)
	case "text":
		return r.document(place+".data", "data:text/plain;base64,"+base64.StdEncoding.EncodeToString([]byte(b.Source.Data)))
	case "file":
		return llm.Block{Type: llm.DocumentBlock, FileID: b.Source.FileID}
	case "url":
		if strings.HasPrefix(b.Source.URL, "https://") {
			return llm.Block{Type: llm.DocumentBlock, MediaType: "application/pdf", URL: b.Source.URL}
		}
	}
	r.find(place+".type", "unsupported_value", "one of base64, text, file and url, with an address that begins with https://")
	return llm.Block{Type: llm.DocumentBlock}
}
