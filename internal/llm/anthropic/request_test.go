package anthropic_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/anthropic"
	"agentstudio/internal/llm/llmtest"
)

// send asks the stand-in, which refuses what the API would, and returns what
// was sent.
func send(t *testing.T, req llm.Request) map[string]any {
	t.Helper()
	p, j := stand(t, llmtest.Reply{Text: []string{"ok"}, Signature: "sig-1"})
	if req.Model == "" {
		req.Model = "claude-sonnet-5-5"
	}
	if len(req.Messages) == 0 {
		req.Messages = []llm.Message{llm.Text(llm.User, "hello")}
	}
	if _, err := p.Generate(t.Context(), req, nil); err != nil {
		t.Fatalf("%v\nsent %v", err, j.Requests())
	}
	return j.Requests()[0].Body
}

// at returns the JSON of a value in a body; steps are names and indexes.
func at(t *testing.T, v any, steps ...any) string {
	t.Helper()
	for _, step := range steps {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any) // nil has no fields
			v = m[s]
		case int:
			list, _ := v.([]any)
			if s >= len(list) {
				t.Fatalf("no item %d in %v", s, list)
			}
			v = list[s]
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestImagesAndDocumentsAreSent(t *testing.T) {
	body := send(t, llm.Request{Messages: []llm.Message{{Role: llm.User, Content: []llm.Block{
		{Type: llm.ImageBlock, MediaType: "image/png", Data: []byte("png")},
		{Type: llm.ImageBlock, URL: "https://example.org/a.png"},
		{Type: llm.DocumentBlock, MediaType: "application/pdf", Data: []byte("pdf")},
		{Type: llm.DocumentBlock, MediaType: "text/plain", Data: []byte("plain")},
		{Type: llm.DocumentBlock, URL: "https://example.org/a.pdf"},
		{Type: llm.TextBlock, Text: "What is this?"},
	}}}})
	for i, want := range []string{
		`{"data":"cG5n","media_type":"image/png","type":"base64"}`,
		`{"type":"url","url":"https://example.org/a.png"}`,
		`{"data":"cGRm","media_type":"application/pdf","type":"base64"}`,
		`{"data":"plain","media_type":"text/plain","type":"text"}`,
		`{"type":"url","url":"https://example.org/a.pdf"}`,
	} {
		if got := at(t, body, "messages", 0, "content", i, "source"); got != want {
			t.Errorf("block %d has the source %s, want %s", i, got, want)
		}
	}
	p := anthropic.New(anthropic.Config{Key: "k", BaseURL: "http://127.0.0.1:1"})
	for _, b := range []llm.Block{{Type: llm.DocumentBlock, MediaType: "application/zip"}, {Type: "video"}} {
		_, err := p.Generate(t.Context(), llm.Request{Messages: []llm.Message{{Role: llm.User, Content: []llm.Block{b}}}}, nil)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: got %v", b, err)
		}
	}
}

func TestConversationsAreMadeFitToSend(t *testing.T) {
	call := func(id, arguments string) llm.Block {
		return llm.Block{Type: llm.ToolCallBlock, ID: id, Name: "weather", Arguments: json.RawMessage(arguments)}
	}
	result := func(id, text string, failed bool) llm.Message {
		return llm.Message{Role: llm.Tool, Content: []llm.Block{{Type: llm.ToolResultBlock, ID: id, Text: text, Failed: failed}}}
	}
	body := send(t, llm.Request{Messages: []llm.Message{
		llm.Text(llm.User, "one"), llm.Text(llm.User, " \n"), llm.Text(llm.User, "two"),
		{Role: llm.Assistant, Content: []llm.Block{{Type: llm.ThinkingBlock, Text: "not signed"}, {Type: llm.TextBlock}}},
		{Role: llm.Assistant, Content: []llm.Block{
			{Type: llm.ThinkingBlock, Text: "signed", Signature: "sig-1"}, {Type: llm.ThinkingBlock, Data: []byte("hidden")},
			call("functions.weather:0", `{"city":"Bern"}`), call("b", ``), call("c", `"{\"city\":"`), call("d", `[1]`), call("e", `{"city":`)}},
		result("functions.weather:0", "sun", false), result("b", " ", false), result("c", "no JSON", true), result("d", "", true), result("e", "rain", false),
		llm.Text(llm.User, "go on"),
		{Role: llm.Assistant, Content: []llm.Block{{Type: llm.TextBlock, Text: "well"}, {Type: llm.ThinkingBlock, Text: "cut off", Signature: "sig-1"}}},
		llm.Text(llm.User, "go on"),
	}})
	said := at(t, body, "messages", 1, "content")
	for _, want := range []string{`"signature":"sig-1"`, `{"data":"hidden","type":"redacted_thinking"}`, `"id":"functions_weather_0","input":{"city":"Bern"}`,
		`"id":"b","input":{}`, `"id":"c","input":{"invalid_arguments":"{\"city\":"}`, `"id":"d","input":{"invalid_arguments":[1]}`, `"id":"e","input":{"invalid_arguments":"{\"city\":"}`} {
		if !strings.Contains(said, want) {
			t.Errorf("%s lacks %s", said, want)
		}
	}
	if all := at(t, body, "messages"); strings.Contains(all, "not signed") || strings.Contains(all, "cut off") {
		t.Errorf("thinking was sent that the API refuses: %s", all)
	}
	results := at(t, body, "messages", 2, "content")
	for _, want := range []string{`{"content":[{"text":"sun","type":"text"}],"tool_use_id":"functions_weather_0","type":"tool_result"}`,
		`{"tool_use_id":"b","type":"tool_result"}`, `"is_error":true,"tool_use_id":"c"`, `"is_error":true,"tool_use_id":"d"`, `{"text":"go on","type":"text"}`} {
		if !strings.Contains(results, want) {
			t.Errorf("%s lacks %s", results, want)
		}
	}
	if !strings.Contains(at(t, body, "messages", 0), `[{"text":"one","type":"text"},{"text":"two","type":"text"}]`) {
		t.Errorf("got %s, want one turn of the user", at(t, body, "messages", 0))
	}
}

func TestWhatRepeatsIsCached(t *testing.T) {
	const mark = `{"type":"ephemeral"}`
	tools := []llm.ToolSpec{{Name: "a"}, {Name: "b", Description: "B", Schema: json.RawMessage(`{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}`)}}
	body := send(t, llm.Request{System: "You help.", Tools: tools, Caller: llm.Caller{UserID: "user-1", WorkspaceID: "secret"}, Messages: []llm.Message{
		llm.Text(llm.User, "one"), llm.Text(llm.Assistant, "two"), llm.Text(llm.User, "three")}})
	for name, got := range map[string]string{"the tools": at(t, body, "tools", 1, "cache_control"), "the system prompt": at(t, body, "system", 0, "cache_control"),
		"the last turn": at(t, body, "messages", 2, "content", 0, "cache_control")} {
		if got != mark {
			t.Errorf("%s are marked %s", name, got)
		}
	}
	if all := at(t, body); strings.Count(all, mark) != 3 || strings.Contains(all, "secret") {
		t.Errorf("got %s, want three marks and nothing about the workspace", all)
	}
	if got := at(t, body, "metadata"); got != `{"user_id":"user-1"}` {
		t.Errorf("got the metadata %s", got)
	}
	if got := at(t, body, "tools", 0, "input_schema"); got != `{"properties":{},"type":"object"}` {
		t.Errorf("got the schema %s", got)
	}
	if got := at(t, send(t, llm.Request{}), "messages", 0, "content", 0); got != `{"text":"hello","type":"text"}` {
		t.Errorf("got %s: a single question is not worth a mark", got)
	}
}

func TestModelsAreAskedInTheirWay(t *testing.T) {
	half := 0.5
	for _, c := range []struct {
		model             string
		thinking, limit   int
		temperature       string
		kind, effort      string
		budget, maxTokens string
	}{
		{"claude-sonnet-5-5", 0, 0, "null", "null", "null", "null", "32000"},
		{"claude-haiku-5-5", 0, 500, "null", "null", "null", "null", "500"},
		{"claude-opus-4-7", 8000, 1000, "null", `"adaptive"`, `"medium"`, "null", "9000"},
		{"claude-opus-9", 100_000, 100_000, "null", `"adaptive"`, `"high"`, "null", "200000"},
		{"claude-fable-5-1", 100_000, 100_000, "null", `"adaptive"`, `"high"`, "null", "128000"},
		{"claude-sonnet-4-6", 0, 0, "0.5", "null", "null", "null", "32000"},
		{"claude-opus-4-6", 2000, 0, "null", `"adaptive"`, `"low"`, "null", "34000"},
		{"claude-haiku-4-5-20251001", 100, 1000, "null", `"enabled"`, "null", "1024", "2024"},
		{"claude-opus-4-5", 90_000, 0, "null", `"enabled"`, "null", "63999", "64000"},
		{"claude-sonnet-4-20250514", 0, 0, "0.5", "null", "null", "null", "32000"},
		{"claude-3-haiku-20240307", 0, 0, "0.5", "null", "null", "null", "4096"},
		{"some/other-model", 0, 0, "0.5", "null", "null", "null", "8192"},
	} {
		t.Run(c.model, func(t *testing.T) {
			body := send(t, llm.Request{Model: c.model, ThinkingTokens: c.thinking, MaxTokens: c.limit, Temperature: &half})
			got := []string{at(t, body, "temperature"), at(t, body, "thinking", "type"), at(t, body, "output_config", "effort"), at(t, body, "thinking", "budget_tokens"), at(t, body, "max_tokens")}
			if want := []string{c.temperature, c.kind, c.effort, c.budget, c.maxTokens}; !slices.Equal(got, want) {
				t.Errorf("got %v, want %v (temperature, thinking, effort, budget, max_tokens)", got, want)
			}
		})
	}
}

func TestAnswersAreHeldToASchemaTheAPIEnforces(t *testing.T) {
	for schema, held := range map[string]bool{
		`{"type":"object","properties":{"n":{"type":"integer"},"l":{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"null"}]}}},"required":["n"],"additionalProperties":false}`: true,
		`{"type":"object","properties":{"n":{"enum":["a","b"]}},"additionalProperties":false}`:                                                                                             true,
		`{"type":"object","properties":{"n":{"type":"integer"}}}`:                                                                                                                          false,
		`{"type":"object","properties":{"n":{"type":"integer","minimum":1}},"additionalProperties":false}`:                                                                                 false,
		`{"type":"object","properties":{"n":{"$ref":"#"}},"additionalProperties":false}`:                                                                                                   false,
		`{"type":"object","properties":{"n":{"type":"object"}},"additionalProperties":false}`:                                                                                              false,
		`{"type":"object","properties":{"n":{"anyOf":[true]}},"additionalProperties":false}`:                                                                                               false,
		`{"type":"object","properties":{"n":{"type":"array","items":false}},"additionalProperties":false}`:                                                                                 false,
		`{"type":"array","items":{"type":"string"}}`:                                                                                                                                       false,
		``: false,
	} {
		body := send(t, llm.Request{OutputSchema: json.RawMessage(schema)})
		if got := at(t, body, "output_config", "format", "type") == `"json_schema"`; got != held {
			t.Errorf("%s: held to it: %v, want %v", schema, got, held)
		}
	}
	closed := json.RawMessage(`{"type":"object","properties":{},"additionalProperties":false}`)
	if got := at(t, send(t, llm.Request{Model: "claude-opus-4-1", OutputSchema: closed}), "output_config"); got != "null" {
		t.Errorf("a model that cannot was asked for %s", got)
	}
}

func TestEveryPricedModelIsListed(t *testing.T) {
	prices, err := llm.DefaultPrices()
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range anthropic.New(anthropic.Config{}).Models() {
		listed["anthropic/"+m.Name] = true
		if m.ContextTokens == 0 || m.MaxOutput == 0 || m.Title == "" || !m.Tools || !m.Vision {
			t.Errorf("%+v lacks something", m)
		}
	}
	for _, id := range prices.Models() {
		if strings.HasPrefix(id, "anthropic/") && !listed[id] {
			t.Errorf("%s has a price and is not listed", id)
		}
		delete(listed, id)
	}
	if len(listed) > 0 {
		t.Errorf("listed without a price: %s", fmt.Sprint(slices.Sorted(maps.Keys(listed))))
	}
}
