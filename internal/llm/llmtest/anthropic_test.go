package llmtest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"agentstudio/internal/llm"
	"agentstudio/internal/llm/llmtest"
)

// post sends a body to the stand-in as a client would, without the headers
// named in less.
func post(t *testing.T, url, body string, less ...string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"X-Api-Key": {"k"}, "Anthropic-Version": {"2023-06-01"}, "Content-Type": {"application/json"}}
	for _, name := range less {
		req.Header.Del(name)
	}
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// asking is a request to Claude with these messages; more fields may follow them. and what else is named.
func asking(messages string) string {
	return `{"model":"claude-sonnet-5-5","max_tokens":2000,"messages":` + messages + `}`
}

const (
	hello   = `{"role":"user","content":"hello"}`
	calling = `{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{}}]}`
)

func TestClaudeStandInRefusesWhatTheAPIRefuses(t *testing.T) {
	url, _ := llmtest.Anthropic(t, llmtest.Reply{Text: []string{"hi"}, Signature: "sig-1"})
	url += "/v1/messages"
	for _, c := range []struct{ body, says string }{
		{`{`, "not valid JSON"},
		{`{}`, "model: Field required"},
		{`{"model":"m"}`, "max_tokens"},
		{asking(`[]`), "at least one message"},
		{asking(`[{"role":"assistant","content":"x"}]`), "roles must alternate"},
		{asking(`[` + hello + `,` + hello + `]`), "roles must alternate"},
		{asking(`[{"role":"system","content":"x"}]`), "roles must alternate"},
		{asking(`[{"role":"user","content":[]}]`), "non-empty content"},
		{asking(`[{"role":"user","content":" "}]`), "text content blocks must be non-empty"},
		{asking(`[{"role":"user","content":[{"type":"video"}]}]`), "does not match any of the expected tags"},
		{asking(`[{"role":"user","content":[{"type":"image","source":{"type":"base64"}}]}]`), "source.base64.data"},
		{asking(`[{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1"}]}]`), "unexpected `tool_use_id`"},
		{asking(`[` + hello + `,` + calling + `,` + hello + `]`), "`tool_use` ids were found without `tool_result` blocks immediately after: c1"},
		{asking(`[` + hello + `,` + calling + `,{"role":"user","content":[{"type":"text","text":"x"},{"type":"tool_result","tool_use_id":"c1"}]}]`), "must come first"},
		{asking(`[` + hello + `,{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":"x"}]}]`), "valid dictionary"},
		{asking(`[` + hello + `,{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"forged"},{"type":"text","text":"x"}]}]`), "Invalid `signature`"},
		{asking(`[` + hello + `,{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"sig-1"}]}]`), "final block"},
		{asking(`[` + hello + `,{"role":"assistant","content":[{"type":"redacted_thinking"},{"type":"text","text":"x"}]}]`), "redacted_thinking.data"},
		{asking(`[` + hello + `],"temperature":1`), "`temperature` is deprecated"},
		{asking(`[` + hello + `],"thinking":{"type":"enabled","budget_tokens":1024}`), "is not supported for this model"},
		{asking(`[` + hello + `],"tools":[{"name":"a b","input_schema":{"type":"object"}}]`), "String should match pattern"},
		{asking(`[` + hello + `],"tools":[{"name":"a","input_schema":{}}]`), "Input should be 'object'"},
		{`{"model":"claude-haiku-4-5","max_tokens":2000,"messages":[` + hello + `],"thinking":{"type":"enabled","budget_tokens":1000}}`, "greater than or equal to 1024"},
		{`{"model":"claude-haiku-4-5","max_tokens":2000,"messages":[` + hello + `],"thinking":{"type":"enabled","budget_tokens":2000}}`, "must be greater than"},
		{asking(`[{"role":"user","content":[` + strings.Repeat(`{"type":"text","text":"x","cache_control":{"type":"ephemeral"}},`, 4) + `{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]`), "A maximum of 4 blocks"},
	} {
		status, answer := post(t, url, c.body)
		var failure struct {
			Error struct{ Type, Message string } `json:"error"`
		}
		if err := json.Unmarshal([]byte(answer), &failure); err != nil {
			t.Fatal(err)
		}
		if status != http.StatusBadRequest || failure.Error.Type != "invalid_request_error" || !strings.Contains(failure.Error.Message, c.says) {
			t.Errorf("%s: got %d %s, want it to say %q", c.body, status, answer, c.says)
		}
	}
	if status, answer := post(t, url, asking(`[`+hello+`]`), "X-Api-Key"); status != 401 || !strings.Contains(answer, "authentication_error") {
		t.Errorf("without a key: got %d %s", status, answer)
	}
	if status, answer := post(t, url, asking(`[`+hello+`]`), "Anthropic-Version"); status != 400 || !strings.Contains(answer, "anthropic-version") {
		t.Errorf("without a version: got %d %s", status, answer)
	}
	if status, answer := post(t, url+"/elsewhere", asking(`[`+hello+`]`)); status != 404 || !strings.Contains(answer, "not_found_error") {
		t.Errorf("at another path: got %d %s", status, answer)
	}
}

func TestClaudeStandInAnswersWholeOrInEvents(t *testing.T) {
	url, j := llmtest.Anthropic(t, llmtest.Reply{Text: []string{"h", "i"}, ToolCalls: []llmtest.ToolCall{{ID: "c1", Name: "f", Arguments: `{"a":1}`}}, Usage: llm.Usage{Input: 5, Output: 6}})
	url += "/v1/messages"
	status, answer := post(t, url, asking(`[`+hello+`]`))
	for _, want := range []string{`{"text":"hi","type":"text"}`, `"input":{"a":1}`, `"stop_reason":"tool_use"`, `"input_tokens":5`, `"output_tokens":6`} {
		if status != http.StatusOK || !strings.Contains(answer, want) {
			t.Errorf("got %d %s, want %s in it", status, answer, want)
		}
	}
	_, answer = post(t, url, strings.TrimSuffix(asking(`[`+hello+`]`), "}")+`,"stream":true}`)
	var events []string
	for line := range strings.Lines(answer) {
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			events = append(events, strings.TrimSpace(name))
		}
	}
	const want = "message_start ping content_block_start content_block_delta content_block_delta content_block_stop " +
		"content_block_start content_block_delta content_block_delta content_block_delta content_block_stop message_delta message_stop"
	if got := strings.Join(events, " "); got != want {
		t.Errorf("got the events %s, want %s", got, want)
	}
	if got := j.Requests(); len(got) != 2 || got[1].Body["stream"] != true || got[1].Path != "/v1/messages" {
		t.Errorf("the journal holds %+v", got)
	}
}
