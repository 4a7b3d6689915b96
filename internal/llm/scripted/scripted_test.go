package scripted_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/scripted"
	"agentstudio/internal/schema"
)

func ask(t *testing.T, script string, messages ...llm.Message) (*llm.Response, string, error) {
	t.Helper()
	var streamed strings.Builder
	r, err := scripted.Provider{}.Generate(t.Context(), llm.Request{Messages: messages, Script: json.RawMessage(script)}, func(p llm.Part) { streamed.WriteString(p.Text) })
	return r, streamed.String(), err
}

func TestScriptAnswersTurnByTurn(t *testing.T) {
	script := `[{"tool_calls":[{"name":"calculator","arguments":{"expression":"1+1"}}]},{"when":"weather","text":"sunny"},{"text":"it is two"}]`
	user := llm.Text(llm.User, "what is 1+1")
	first, _, err := ask(t, script, user)
	if err != nil || first.StopReason != llm.ToolUse || first.ToolCalls()[0].Name != "calculator" {
		t.Fatalf("got %+v, %v", first, err)
	}
	result := llm.Message{Role: llm.Tool, Content: []llm.Block{{Type: llm.ToolResultBlock, ID: first.ToolCalls()[0].ID, Text: "2"}}}
	second, streamed, err := ask(t, script, user, first.Message, result)
	if err != nil || second.Text() != "it is two" || streamed != "it is two" || !second.Demo || *second.CostMicros != 0 || second.Usage.Output == 0 {
		t.Fatalf("got %+v (streamed %q), %v", second, streamed, err)
	}
	when, _, err := ask(t, script, llm.Text(llm.User, "How is the WEATHER?"))
	if err != nil || when.Text() != "sunny" {
		t.Fatalf("got %+v, %v", when, err)
	}
	after, _, err := ask(t, `[]`, user)
	if err != nil || !strings.Contains(after.Text(), "demo answer") || !strings.Contains(after.Text(), "1+1") {
		t.Fatalf("got %+v, %v", after, err)
	}
}

func TestScriptPlaysFailures(t *testing.T) {
	_, _, err := ask(t, `[{"error":{"code":"overloaded","retry_after_seconds":2}}]`, llm.Text(llm.User, "x"))
	if f := fault.As(err); f == nil || f.Kind != fault.Upstream || f.Code != "overloaded" || f.RetryAfter.Seconds() != 2 {
		t.Errorf("got %v", err)
	}
	if r, _, err := ask(t, `[{"refuse":true,"text":"no"}]`, llm.Text(llm.User, "x")); err != nil || r.StopReason != llm.Refusal {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, _, err := ask(t, `{"no":"list"}`, llm.Text(llm.User, "x")); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = scripted.Provider{}.Generate(ctx, llm.Request{Script: json.RawMessage(`[{"delay_ms":60000}]`)}, nil)
	if !fault.Is(err, fault.Cancelled) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutScriptTheAnswerFitsTheSchema(t *testing.T) {
	for _, text := range []string{
		`{"type":"object","required":["name","n","tags","ok","when","kind"],"properties":{"name":{"type":"string","minLength":12},"n":{"type":"integer","minimum":3},"tags":{"type":"array","items":{"type":"string"},"minItems":2},"ok":{"type":"boolean"},"when":{"type":"string","format":"date"},"kind":{"enum":["a","b"]},"deep":{"type":["object","null"],"properties":{"x":{"const":1}}},"any":{"anyOf":[{"type":"string"},{"type":"null"}]},"d":{"default":7},"e":{"examples":["seen"]}},"additionalProperties":false}`,
		`{"type":"array","items":{"type":"number"}}`,
		`{"type":"string"}`,
	} {
		r, err := scripted.Provider{}.Generate(t.Context(), llm.Request{OutputSchema: json.RawMessage(text)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		rules, err := schema.Compile(json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal([]byte(r.Text()), &v); err != nil {
			t.Fatal(err)
		}
		if faults := rules.Validate(v); faults != nil {
			t.Errorf("%s does not fit %s: %+v", r.Text(), text, faults)
		}
	}
}
