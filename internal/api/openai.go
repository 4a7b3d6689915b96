package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"agentstudio/internal/chat"
	"agentstudio/internal/llm"
)

// openaiDialect is OpenAI's Chat Completions protocol.
type openaiDialect struct{}

// openaiRequest is what is taken of the protocol. What clients send beside it
// and what is refused is in the functions below.
type openaiRequest struct {
	Model               string              `json:"model" doc:"The id of an agent or workflow, as GET /v1/models lists it"`
	Messages            []openaiMessage     `json:"messages"`
	Stream              bool                `json:"stream,omitempty"`
	StreamOptions       openaiStreamOptions `json:"stream_options,omitzero"`
	MaxTokens           *int                `json:"max_tokens,omitempty" doc:"The older name of max_completion_tokens"`
	MaxCompletionTokens *int                `json:"max_completion_tokens,omitempty" doc:"Of one answer of the model; the agent's own bound holds beside it"`
	Temperature         *float64            `json:"temperature,omitempty" doc:"In place of the agent's own"`
	Tools               []openaiTool        `json:"tools,omitempty" doc:"Offered to the agent's model beside its own; not to workflows"`
	ToolChoice          any                 `json:"tool_choice,omitempty" doc:"auto or none"`
	ResponseFormat      *openaiFormat       `json:"response_format,omitempty"`
}

type openaiStreamOptions struct {
	IncludeUsage       bool `json:"include_usage,omitempty"`
	IncludeObfuscation bool `json:"include_obfuscation,omitempty" doc:"Has no effect"`
}

type openaiMessage struct {
	Role       string          `json:"role" doc:"system, developer, user, assistant or tool"`
	Content    json.RawMessage `json:"content,omitempty" doc:"A text, or parts: text, image_url, file"`
	Name       string          `json:"name,omitempty" doc:"Has no effect"`
	ToolCalls  []openaiCall    `json:"tool_calls,omitempty"`
	ToolCallID string          `json:"tool_call_id,omitempty"`
	Refusal    string          `json:"refusal,omitempty"`
}

type openaiCall struct {
	Index    *int           `json:"index,omitempty"` // in streams
	ID       string         `json:"id"`
	Type     string         `json:"type"`
	Function openaiFunction `json:"function"`
}

type openaiFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type openaiTool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters,omitempty"`
		Strict      *bool           `json:"strict,omitempty"`
	} `json:"function"`
}

type openaiFormat struct {
	Type       string `json:"type" doc:"text, json_object or json_schema"`
	JSONSchema struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Schema      json.RawMessage `json:"schema,omitempty"`
		Strict      *bool           `json:"strict,omitempty"`
	} `json:"json_schema,omitzero"`
}

type openaiPart struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Refusal  string `json:"refusal"`
	ImageURL struct {
		URL string `json:"url"`
	} `json:"image_url"`
	File struct {
		FileData string `json:"file_data"`
		FileID   string `json:"file_id"`
	} `json:"file"`
}

// openaiTaken are the fields of openaiRequest.
func openaiTaken() []string {
	return []string{"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "tools", "tool_choice", "response_format"}
}

// openaiIgnored are hints that clients send and that promise nothing.
func openaiIgnored() []string {
	return []string{"user", "metadata", "seed", "top_p", "frequency_penalty", "presence_penalty", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "reasoning_effort", "verbosity", "prediction"}
}

// unless refuses every value but the one that asks for nothing.
func unless(harmless []string, why string) func(json.RawMessage) string {
	return func(value json.RawMessage) string {
		for _, h := range append(harmless, "null") {
			if string(bytes.TrimSpace(value)) == h {
				return ""
			}
		}
		return why
	}
}

// openaiRefused are parameters whose loss a caller would notice.
func openaiRefused() map[string]func(json.RawMessage) string {
	return map[string]func(json.RawMessage) string{
		"n":                   unless([]string{"1"}, "one answer is given: leave n out"),
		"stop":                unless([]string{"[]"}, "stop sequences are not supported: leave stop out"),
		"logprobs":            unless([]string{"false"}, "probabilities are not supported: leave logprobs out"),
		"top_logprobs":        unless([]string{"0"}, "probabilities are not supported: leave top_logprobs out"),
		"logit_bias":          unless([]string{"{}"}, "logit_bias is not supported: leave it out"),
		"parallel_tool_calls": unless([]string{"true"}, "an answer may call several tools: leave parallel_tool_calls out"),
		"store":               unless([]string{"false"}, "answers are not stored: leave store out"),
		"modalities":          unless([]string{`["text"]`}, "answers are texts: leave modalities out"),
		"audio":               unless(nil, "answers are texts: leave audio out"),
		"web_search_options":  unless(nil, "an agent searches with its own tools: leave web_search_options out"),
		"functions":           unless(nil, "use tools in place of functions"),
		"function_call":       unless(nil, "use tool_choice in place of function_call"),
	}
}

func (openaiDialect) read(body []byte) (q chat.Question, t telling, err error) {
	var r reading
	var in openaiRequest
	fields, err := r.object(body, &in)
	if err != nil {
		return q, t, err
	}
	r.known(fields, openaiTaken(), openaiIgnored(), openaiRefused())
	t.stream, t.usage = in.Stream, in.StreamOptions.IncludeUsage
	q.Model, q.Temperature = in.Model, in.Temperature
	if in.Model == "" {
		r.find("model", "required", "name an agent or workflow, as GET /v1/models lists them")
	}
	q.MaxTokens = r.bound("max_tokens", in.MaxTokens)
	if in.MaxCompletionTokens != nil {
		q.MaxTokens = r.bound("max_completion_tokens", in.MaxCompletionTokens)
	}
	r.temperature(in.Temperature, 2)
	q.System, q.Messages = r.openaiMessages(in.Messages)
	r.pairs(q.Messages)
	q.Tools = r.openaiTools(in)
	q.OutputSchema = r.openaiFormat(in.ResponseFormat)
	return q, t, r.err()
}

func (r *reading) bound(place string, n *int) int {
	switch {
	case n == nil:
		return 0
	case *n < 1:
		r.find(place, "out_of_range", "at least 1")
	}
	return min(*n, 200_000)
}

func (r *reading) temperature(t *float64, most float64) {
	if t != nil && (*t < 0 || *t > most) {
		r.find("temperature", "out_of_range", fmt.Sprintf("between 0 and %g", most))
	}
}

func (r *reading) openaiTools(in openaiRequest) []llm.ToolSpec {
	var out []llm.ToolSpec
	for i, t := range in.Tools {
		if t.Type != "function" {
			r.find(fmt.Sprintf("tools[%d].type", i), "unsupported_value", "tools are functions: others cannot be called from here")
			continue
		}
		spec := llm.ToolSpec{Name: t.Function.Name, Description: t.Function.Description, Schema: t.Function.Parameters}
		if len(spec.Schema) == 0 {
			spec.Schema = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		out = append(out, spec)
	}
	r.tools("tools", out)
	switch in.ToolChoice {
	case nil, "auto":
		return out
	case "none":
		return nil
	}
	r.find("tool_choice", "unsupported_value", "an agent chooses itself: auto and none are supported")
	return out
}

func (r *reading) openaiFormat(f *openaiFormat) json.RawMessage {
	if f == nil {
		return nil
	}
	switch f.Type {
	case "text":
		return nil
	case "json_object":
		return json.RawMessage(`{"type":"object"}`)
	case "json_schema":
		var schema map[string]any
		if json.Unmarshal(f.JSONSchema.Schema, &schema) == nil && schema != nil {
			return f.JSONSchema.Schema
		}
		r.find("response_format.json_schema.schema", "required", "give the schema, a JSON object")
		return nil
	}
	r.find("response_format.type", "unsupported_value", "one of text, json_object and json_schema")
	return nil
}

// maxMessages bounds a conversation.
const maxMessages = 2_000

func (r *reading) openaiMessages(in []openaiMessage) (system string, out []llm.Message) {
	if len(in) == 0 {
		r.find("messages", "required", "a conversation has at least one message")
	}
	if len(in) > maxMessages {
		r.find("messages", "too_many", fmt.Sprintf("at most %d messages", maxMessages))
		return "", nil
	}
	for i, m := range in {
		at := fmt.Sprintf("messages[%d]", i)
		content := r.openaiContent(at+".content", m.Content)
		switch m.Role {
		case "system", "developer":
			system = strings.TrimLeft(system+"\n\n"+r.plain(at+".content", content), "\n")
		case "user":
			if len(content) == 0 {
				r.find(at+".content", "required", "say something")
			}
			out = append(out, llm.Message{Role: llm.User, Content: content})
		case "assistant":
			out = append(out, r.openaiAssistant(at, m, content))
		case "tool":
			out = addResult(out, llm.Block{Type: llm.ToolResultBlock, ID: m.ToolCallID, Text: r.plain(at+".content", content)})
		default:
			r.find(at+".role", "unsupported_value", "one of system, developer, user, assistant and tool")
		}
	}
	return system, out
}

// addResult adds the result of a tool; those of one turn are one message.
func addResult(out []llm.Message, result llm.Block) []llm.Message {
	if n := len(out); n > 0 && out[n-1].Role == llm.Tool {
		out[n-1].Content = append(out[n-1].Content, result)
		return out
	}
	return append(out, llm.Message{Role: llm.Tool, Content: []llm.Block{result}})
}

// plain is what consists of texts only.
func (r *reading) plain(place string, content []llm.Block) string {
	var texts []string
	for _, b := range content {
		if b.Type != llm.TextBlock {
			r.find(place, "unsupported_value", "texts only, here")
			continue
		}
		texts = append(texts, b.Text)
	}
	return strings.Join(texts, "\n\n")
}

func (r *reading) openaiAssistant(at string, m openaiMessage, content []llm.Block) llm.Message {
	said := llm.Message{Role: llm.Assistant}
	if text := r.plain(at+".content", content); text != "" {
		said = llm.Text(llm.Assistant, text)
	} else if m.Refusal != "" {
		said = llm.Text(llm.Assistant, m.Refusal)
	}
	for j, c := range m.ToolCalls {
		arguments := json.RawMessage(c.Function.Arguments)
		if c.ID == "" || c.Function.Name == "" {
			r.find(fmt.Sprintf("%s.tool_calls[%d]", at, j), "required", "a call has an id and the name of a function")
		}
		if !json.Valid(arguments) {
			arguments, _ = json.Marshal(c.Function.Arguments) // a string: always written
		}
		said.Content = append(said.Content, llm.Block{Type: llm.ToolCallBlock, ID: c.ID, Name: c.Function.Name, Arguments: arguments})
	}
	if len(said.Content) == 0 {
		said = llm.Text(llm.Assistant, " ") // it said nothing
	}
	return said
}

// openaiContent is a text or a list of parts.
func (r *reading) openaiContent(place string, content json.RawMessage) []llm.Block {
	var text string
	var parts []openaiPart
	switch {
	case len(content) == 0 || string(content) == "null":
		return nil
	case json.Unmarshal(content, &text) == nil:
		if text == "" {
			return nil
		}
		return []llm.Block{{Type: llm.TextBlock, Text: text}}
	case json.Unmarshal(content, &parts) != nil:
		r.find(place, "invalid_type", "a text, or a list of parts")
		return nil
	}
	var out []llm.Block
	for i, p := range parts {
		at := fmt.Sprintf("%s[%d]", place, i)
		switch p.Type {
		case "text":
			out = append(out, llm.Block{Type: llm.TextBlock, Text: p.Text})
		case "refusal":
			out = append(out, llm.Block{Type: llm.TextBlock, Text: p.Refusal})
		case "image_url":
			out = append(out, r.picture(at+".image_url.url", p.ImageURL.URL))
		case "file":
			if p.File.FileID != "" {
				out = append(out, llm.Block{Type: llm.DocumentBlock, FileID: p.File.FileID})
				continue
			}
			out = append(out, r.document(at+".file.file_data", p.File.FileData))
		default:
			r.find(at+".type", "unsupported_value", "one of text, image_url and file")
		}
	}
	return out
}

// dataURL reads "data:TYPE;base64,DATA".
func dataURL(url string) (media string, data []byte, ok bool) {
	head, text, found := strings.Cut(strings.TrimPrefix(url, "data:"), ";base64,")
	if !strings.HasPrefix(url, "data:") || !found {
		return "", nil, false
	}
	data, err := base64.StdEncoding.DecodeString(text)
	media, _, _ = strings.Cut(head, ";")
	return media, data, err == nil && len(data) > 0
}

// picture reads the address of an image, or one that holds it.
func (r *reading) picture(place, url string) llm.Block {
	if strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "http://") {
		return llm.Block{Type: llm.ImageBlock, URL: url}
	}
	media, data, ok := dataURL(url)
	if !ok || !isPicture(media) {
		r.find(place, "invalid_value", "an address that begins with https://, or data:image/TYPE;base64,… with TYPE one of png, jpeg, gif and webp")
	}
	return llm.Block{Type: llm.ImageBlock, MediaType: media, Data: data}
}

func isPicture(media string) bool {
	switch media {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return true
	}
	return false
}

// document reads an address that holds a PDF or a text.
func (r *reading) document(place, url string) llm.Block {
	media, data, ok := dataURL(url)
	if !ok || media != "application/pdf" && !strings.HasPrefix(media, "text/") {
		r.find(place, "invalid_value", "data:TYPE;base64,… with TYPE application/pdf or text/…")
	}
	return llm.Block{Type: llm.DocumentBlock, MediaType: media, Data: data}
}
