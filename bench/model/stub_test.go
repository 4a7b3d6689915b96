package model

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"agentstudio/internal/llm"
	"agentstudio/internal/llm/openai"
)

func start(t *testing.T, tools int) string {
	t.Helper()
	server := httptest.NewServer(New(0, tools).Handler())
	t.Cleanup(server.Close)
	return server.URL
}

func journal(t *testing.T, address string) map[string]map[string]int {
	t.Helper()
	response, err := http.Get(address + "/journal")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var out map[string]map[string]int
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAChatAsksForToolsThenAnswers(t *testing.T) {
	address := start(t, 2)
	p := openai.New(openai.Config{BaseURL: address + "/openai/v1"})
	schema := json.RawMessage(`{"type":"object","properties":{"expression":{"type":"string"},"n":{"type":"integer"},"how":{"enum":["a","b"]},"not":{"type":"boolean"}},"required":["expression","n","how"]}`)
	req := llm.Request{Model: "stub", System: "s", Messages: []llm.Message{llm.Text(llm.User, "sum up")}, Tools: []llm.ToolSpec{{Name: "calculator", Schema: schema}, {Name: "current_time"}}}
	ask := func() *llm.Response {
		t.Helper()
		r, err := p.Generate(t.Context(), req, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Usage != (llm.Usage{Input: inputTokens, Output: outputTokens}) {
			t.Errorf("got %+v", r.Usage)
		}
		return r
	}
	for turn, want := range []string{`calculator {"expression":"1+1","how":"a","n":1}`, `current_time {}`} {
		r := ask()
		calls := r.ToolCalls()
		if len(calls) != 1 || calls[0].Name+" "+string(calls[0].Arguments) != want {
			t.Fatalf("turn %d: got %+v", turn+1, r)
		}
		req.Messages = append(req.Messages, r.Message, llm.Message{Role: llm.Tool, Content: []llm.Block{{Type: llm.ToolResultBlock, ID: calls[0].ID, Text: "2"}}})
	}
	if r := ask(); r.StopReason != llm.EndTurn || r.Text() != "This is the answer of turn 3." {
		t.Errorf("got %+v", r)
	}
	ask() // asked again
	if got, want := journal(t, address), (map[string]map[string]int{"sum up": {"1": 1, "2": 1, "3": 2}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

// messages asks over the Messages protocol and returns the events' names and
// the last one of each.
func messages(t *testing.T, address, body string) (names []string, last map[string]map[string]any) {
	t.Helper()
	response, err := http.Post(address+"/anthropic/v1/messages", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	last = map[string]map[string]any{}
	name := ""
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			name = n
			names = append(names, name)
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var e map[string]any
			if err := json.Unmarshal([]byte(data), &e); err != nil || e["type"] != name {
				t.Fatalf("%s: %v", data, err)
			}
			last[name] = e
		}
	}
	return names, last
}

func TestMessagesAskForToolsThenAnswer(t *testing.T) {
	address := start(t, 1)
	const tools = `"tools":[{"name":"calculator","input_schema":{"type":"object","properties":{"expression":{"type":"string"}},"required":["expression"]}}]`
	names, last := messages(t, address, `{"model":"stub","stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"sum up"}]}],`+tools+`}`)
	if want := []string{"message_start", "ping", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"}; !reflect.DeepEqual(names, want) {
		t.Errorf("got %v", names)
	}
	if d := last["content_block_delta"]["delta"].(map[string]any); d["partial_json"] != `{"expression":"1+1"}` {
		t.Errorf("got %v", d)
	}
	if d := last["message_delta"]; d["delta"].(map[string]any)["stop_reason"] != "tool_use" || d["usage"].(map[string]any)["output_tokens"] != 20.0 {
		t.Errorf("got %v", d)
	}
	_, last = messages(t, address, `{"model":"stub","stream":true,"messages":[{"role":"user","content":"sum up"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"calculator","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"2"}]}],`+tools+`}`)
	if d := last["message_delta"]["delta"].(map[string]any); d["stop_reason"] != "end_turn" {
		t.Errorf("got %v", d)
	}
	if got, want := journal(t, address), (map[string]map[string]int{"sum up": {"1": 1, "2": 1}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestWhatCannotBePlayedIsRefused(t *testing.T) {
	address := start(t, 1)
	for _, body := range []string{`{`, `{"stream":false,"messages":[{"role":"user","content":"x"}]}`, `{"stream":true}`} {
		response, err := http.Post(address+"/openai/v1/chat/completions", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %s, %v", body, response.Status, err)
		}
	}
	if got := journal(t, address); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}
