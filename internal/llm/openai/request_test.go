package openai_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"testing"

	"agentstudio/internal/llm"
	"agentstudio/internal/llm/llmtest"
	"agentstudio/internal/llm/openai"
)

// sent returns the body a provider of the base URL sends for a request.
func sent(t *testing.T, cfg openai.Config, req llm.Request) map[string]any {
	t.Helper()
	address, journal := llmtest.OpenAI(t, llmtest.Reply{Text: []string{"ok"}})
	here, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Key = "k"
	cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host, r.URL.Path, r.Host = here.Scheme, here.Host, here.Path+"/chat/completions", here.Host
		return http.DefaultTransport.RoundTrip(r)
	})}
	ask(t, openai.New(cfg), req)
	return journal.Requests()[0].Body
}

func TestEachServerIsAskedInItsDialect(t *testing.T) {
	warm := 0.5
	tool := []llm.ToolSpec{{Name: "x"}}
	answer := json.RawMessage(`{"$schema":"s","type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`)
	local := openai.Config{Name: "local", BaseURL: "http://localhost:11434/v1"}
	for name, c := range map[string]struct {
		cfg  openai.Config
		req  llm.Request
		want map[string]any // nil: not sent
	}{
		"openai": {openai.Config{}, llm.Request{Model: "gpt-4o", MaxTokens: 9, Temperature: &warm, Caller: llm.Caller{UserID: "u", WorkspaceID: "w"}},
			map[string]any{"max_completion_tokens": 9.0, "max_tokens": nil, "temperature": 0.5, "safety_identifier": "u", "reasoning_effort": nil, "tools": nil}},
		"openai, thinking": {openai.Config{}, llm.Request{Model: "gpt-5-mini", Temperature: &warm, ThinkingTokens: 5000}, map[string]any{"temperature": nil, "reasoning_effort": "medium"}},
		"openai, tools":    {openai.Config{}, llm.Request{Model: "gpt-6-sol", Tools: tool, ThinkingTokens: 5000, OutputSchema: answer}, map[string]any{"reasoning_effort": "none"}},
		"openai, o3":       {openai.Config{}, llm.Request{Model: "o3", Tools: tool, Temperature: &warm}, map[string]any{"temperature": nil, "reasoning_effort": nil}},
		"openai, chat":     {openai.Config{}, llm.Request{Model: "gpt-5.2-chat-latest", Temperature: &warm}, map[string]any{"temperature": 0.5}},
		"local": {local, llm.Request{Model: "qwen3", MaxTokens: 9, Temperature: &warm, ThinkingTokens: 9, Caller: llm.Caller{UserID: "u"}},
			map[string]any{"max_tokens": 9.0, "max_completion_tokens": nil, "temperature": 0.5, "safety_identifier": nil, "reasoning_effort": nil}},
		"local, tools and schema": {local, llm.Request{Model: "qwen3", Tools: tool, OutputSchema: answer}, map[string]any{"response_format": nil}},
		"gateway":                 {local, llm.Request{Model: "openai/gpt-5", Temperature: &warm}, map[string]any{"temperature": nil}},
		"gemini":                  {openai.Config{Name: "gemini"}, llm.Request{Model: "gemini-2.5-flash", MaxTokens: 9, ThinkingTokens: 50_000}, map[string]any{"max_tokens": 9.0, "reasoning_effort": "high"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.req.Messages = hello().Messages
			body := sent(t, c.cfg, c.req)
			for field, want := range c.want {
				if !reflect.DeepEqual(body[field], want) {
					t.Errorf("%s: got %v, want %v", field, body[field], want)
				}
			}
			if o, _ := body["stream_options"].(map[string]any); o["include_usage"] != true {
				t.Errorf("no usage asked for: %v", body)
			}
		})
	}
}

func TestTheAnswersFormIsAskedForWhereItCanBeHeld(t *testing.T) {
	for schema, asked := range map[string]bool{
		`{"type":"object","properties":{"a":{"type":"string"},"l":{"type":"array","items":{"anyOf":[{"type":"null"},{"type":"integer","minimum":1}]}}},"required":["l","a"],"additionalProperties":false}`: true,
		`{"type":"object","properties":{"when":{"type":"string","format":"date"}},"required":["when"],"additionalProperties":false,"$defs":{"x":{"enum":[1,2]}}}`:                                          true,
		`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`:                                                                                                                          false, // open
		`{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}`:                                                                                                              false, // optional
		`{"type":"object","properties":{"a":{"type":"object","properties":{}}},"required":["a"],"additionalProperties":false}`:                                                                             false, // open inside
		`{"type":"object","properties":{"a":{"type":"string","minLength":2}},"required":["a"],"additionalProperties":false}`:                                                                               false, // unknown word
		`{"type":"object","properties":{"a":{"oneOf":[{"type":"string"},{"type":"null"}]}},"required":["a"],"additionalProperties":false}`:                                                                 false,
		`{"type":"object","properties":{"a":{"type":"string","format":"uri"}},"required":["a"],"additionalProperties":false}`:                                                                              false,
		`{"type":"array","items":{"type":"string"}}`: false,
	} {
		req := hello()
		req.OutputSchema = json.RawMessage(schema)
		format, isAsked := sent(t, openai.Config{}, req)["response_format"].(map[string]any)
		if isAsked != asked {
			t.Errorf("%s: got %v", schema, format)
		}
		if asked && (format["type"] != "json_schema" || format["json_schema"].(map[string]any)["strict"] != true) {
			t.Errorf("%s: got %v", schema, format)
		}
	}
}

func TestImagesAndDocumentsAreParts(t *testing.T) {
	req := hello()
	req.Messages = []llm.Message{{Role: llm.User, Content: []llm.Block{
		{Type: llm.TextBlock, Text: "look"},
		{Type: llm.ImageBlock, MediaType: "image/png", Data: []byte("png")},
		{Type: llm.ImageBlock, URL: "https://example.org/a.png"},
		{Type: llm.DocumentBlock, MediaType: "application/pdf", Data: []byte("pdf")},
	}}}
	messages := sent(t, openai.Config{}, req)["messages"].([]any)
	want := []any{
		map[string]any{"type": "text", "text": "look"},
		map[string]any{"type": "image_url", "image_url": map[string]any{"url": "data:image/png;base64,cG5n"}},
		map[string]any{"type": "image_url", "image_url": map[string]any{"url": "https://example.org/a.png"}},
		map[string]any{"type": "file", "file": map[string]any{"file_data": "data:application/pdf;base64,cGRm", "filename": "document.pdf"}},
	}
	if got := messages[0].(map[string]any)["content"]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestWhatAServerWantsBackIsGivenBack(t *testing.T) {
	req := hello()
	req.Messages = append(req.Messages,
		llm.Message{Role: llm.Assistant, Content: []llm.Block{{Type: llm.ThinkingBlock, Text: "hm"}, {Type: llm.ToolCallBlock, ID: "a", Name: "x", Arguments: json.RawMessage(`"{bad"`), Signature: "sig"}}},
		llm.Message{Role: llm.Tool, Content: []llm.Block{{Type: llm.ToolResultBlock, ID: "a", Text: "no"}}})
	assistant := func(cfg openai.Config) (message, call map[string]any) {
		message = sent(t, cfg, req)["messages"].([]any)[1].(map[string]any)
		return message, message["tool_calls"].([]any)[0].(map[string]any)
	}
	arguments := func(call map[string]any) any { return call["function"].(map[string]any)["arguments"] }
	message, call := assistant(openai.Config{})
	if message["reasoning_content"] != nil || call["extra_content"] != nil || arguments(call) != "{bad" {
		t.Errorf("openai got %v", message)
	}
	message, call = assistant(openai.Config{Name: "deepseek", BaseURL: "https://api.deepseek.com/v1"})
	if message["reasoning_content"] != "hm" || arguments(call) != "{}" {
		t.Errorf("deepseek got %v", message)
	}
	_, call = assistant(openai.Config{Name: "gemini"})
	if want := map[string]any{"google": map[string]any{"thought_signature": "sig"}}; !reflect.DeepEqual(call["extra_content"], want) {
		t.Errorf("gemini got %v", call)
	}
	r, _ := ask(t, raw(t, calls(`{"index":0,"id":"a","extra_content":{"google":{"thought_signature":"sig"}},"function":{"name":"x","arguments":"{}"}}`), finish("stop"), done), hello())
	if r.ToolCalls()[0].Signature != "sig" {
		t.Errorf("got %+v", r)
	}
}
