package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/api"
	"agentstudio/internal/limit"
)

const completions = "/v1/chat/completions"

// said asks a model with one message of the user.
func said(model, text, more string) string {
	return `{"model":"` + model + `","messages":[{"role":"user","content":"` + text + `"}]` + more + `}`
}

// key makes an API key of a workspace.
func (s *studio) key(token, workspace, scopes string) string {
	s.t.Helper()
	return s.do("POST", "/auth/api-keys", token, `{"name":"k","workspace_id":"`+workspace+`","scopes":[`+scopes+`]}`).expect(201).text("key")
}

func (a *answer) expectLen(path string, want int) *answer {
	a.t.Helper()
	if list, _ := a.at(path).([]any); len(list) != want {
		a.t.Fatalf("%s: %s has %d, want %d: %s", a.what, path, len(list), want, a.Body)
	}
	return a
}

const answers = `"description":"Answers","nodes":[{"id":"in","kind":"chat-trigger"},{"id":"say","kind":"set","config":{"values":{"text":"You said {{ trigger.message }} after {{ len(trigger.history) }}"}}}],"connections":[{"source":"in","target":"say"}]`

func TestAgentsAndPublishedChatWorkflowsAreModels(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id := s.agent(w.owner.token, w.id, `"name":"Support Desk","description":"Helps","model":"demo/scripted"`)
	s.agent(w.owner.token, w.id, `"name":"support desk","model":"demo/scripted"`)
	s.offer(w, "Ask the docs!", answers)
	s.create(w.owner.token, w.id, `{"name":"Draft",`+answers+`}`)
	s.offer(w, "No chat", greets)
	key := s.key(w.owner.token, w.id, `"read"`)
	list := s.do("GET", "/v1/models", key, nil).expect(200).expectAt("object", "list").expectAt("data.0.id", "agent/support-desk").expectAt("data.0.object", "model").expectAt("data.2.id", "workflow/ask-the-docs").expectLen("data", 3)
	if second := list.text("data.1.id"); !strings.HasPrefix(second, "agent/support-desk-") {
		t.Errorf("the second of the name is %s", second)
	}
	if made, _ := list.at("data.2.created").(float64); time.Since(time.Unix(int64(made), 0)).Abs() > time.Minute {
		t.Errorf("made at %v", list.at("data.2.created"))
	}
	s.do("GET", "/v1/models/agent/support-desk", key, nil).expect(200).expectAt("name", "Support Desk").expectAt("description", "Helps")
	s.do("GET", "/v1/models/agent%2F"+id, key, nil).expect(200).expectAt("id", "agent/"+id)
	s.do("GET", "/v1/models/agent/support-dek", key, nil).expect(404).expectAt("error.code", "model_not_found")
	page := s.do("GET", "/v1/models?limit=2", key, nil, "Anthropic-Version", "2023-06-01").expect(200).expectAt("has_more", true).expectAt("data.0.type", "model").expectAt("data.0.display_name", "Support Desk")
	s.do("GET", "/v1/models?after_id="+page.text("last_id"), key, nil, "Anthropic-Version", "2023-06-01").expect(200).expectAt("has_more", false).expectAt("data.0.id", "workflow/ask-the-docs").expectLen("data", 1)
	s.do("GET", "/v1/models", w.stranger.token, nil).expect(200).expectLen("data", 0)
	s.do("GET", "/v1/models?workspace_id="+w.id, w.stranger.token, nil).expect(404)
	s.do("POST", completions, w.stranger.token, said("agent/"+id, "hi", "")).expect(404)
}

func TestAnAgentAnswersAsOpenAIsModelsDo(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	ws := s.personal(p)
	key := s.key(p.token, ws, `"execute"`)
	s.agent(p.token, ws, `"name":"Sum","model":"demo/scripted","tools":["calculator"],"script":[{"text":"Let me see.","tool_calls":[{"name":"calculator","arguments":{"expression":"2+3"}}]},{"when":"5","text":"It is five."}]`)
	a := s.do("POST", completions, key, said("agent/sum", "add", `,"user":"u","seed":1,"temperature":0.5,"n":1,"stop":null,"metadata":{"a":"b"}`)).expect(200)
	a.expectAt("object", "chat.completion").expectAt("model", "agent/sum").expectAt("choices.0.finish_reason", "stop").expectAt("choices.0.message.role", "assistant").expectAt("choices.0.message.content", "Let me see.\n\nIt is five.")
	if in, out, all := a.at("usage.prompt_tokens").(float64), a.at("usage.completion_tokens").(float64), a.at("usage.total_tokens").(float64); in == 0 || out == 0 || in+out != all {
		t.Errorf("used %v and %v, in all %v", in, out, all)
	}
	stream := s.do("POST", completions, key, said("agent/sum", "add", `,"stream":true,"stream_options":{"include_usage":true}`)).expect(200)
	if got := stream.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("streams as %s", got)
	}
	text, reasons, usages := "", []string{}, 0
	events := strings.Split(strings.TrimSpace(string(stream.Body)), "\n\n")
	if events[len(events)-1] != "data: [DONE]" {
		t.Errorf("ends with %s", events[len(events)-1])
	}
	for _, e := range events[:len(events)-1] {
		var c struct {
			Object  string
			Choices []struct {
				Delta  struct{ Content string }
				Finish *string `json:"finish_reason"`
			}
			Usage *struct{ Total int64 } `json:"usage"`
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(e, "data: ")), &c); err != nil || c.Object != "chat.completion.chunk" {
			t.Fatalf("%s: %v", e, err)
		}
		if c.Usage != nil {
			usages++
		}
		for _, choice := range c.Choices {
			text += choice.Delta.Content
			if choice.Finish != nil {
				reasons = append(reasons, *choice.Finish)
			}
		}
	}
	if text != "Let me see.\n\nIt is five." || len(reasons) != 1 || reasons[0] != "stop" || usages != 1 {
		t.Errorf("streamed %q, ended %v, used %d times", text, reasons, usages)
	}
	s.agent(p.token, ws, `"name":"No","model":"demo/scripted","script":[{"refuse":true,"text":"I must not"}]`)
	s.do("POST", completions, key, said("agent/no", "add", "")).expect(200).expectAt("choices.0.finish_reason", "content_filter").expectAt("choices.0.message.content", "I must not")
	s.agent(p.token, ws, `"name":"Echo","model":"demo/scripted","system_prompt":"Be brief."`)
	s.do("POST", completions, key, `{"model":"agent/echo","messages":[{"role":"system","content":"x"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},
		{"role":"user","content":[{"type":"text","text":"what is this"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}},{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBERi0="}}]}]}`).
		expect(200).expectAt("choices.0.message.content", "[demo answer, no model was asked] You said: what is this")
	s.do("POST", completions, key, said("agent/echo", "x", `,"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","required":["a"],"properties":{"a":{"const":7}}}}}`)).
		expect(200).expectAt("choices.0.message.content", `{"a":7}`)
}

func TestCallersBringToolsOfTheirOwn(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	ws := s.personal(p)
	s.agent(p.token, ws, `"name":"Mixed","model":"demo/scripted","tools":["calculator"],"script":[{"tool_calls":[{"name":"calculator","arguments":{"expression":"2+3"}}]},
		{"text":"And now","tool_calls":[{"name":"weather","arguments":{"city":"Rome"}},{"name":"calculator","arguments":{"expression":"20+22"}},{"name":"weather","arguments":{"city":"Oslo"}}]}]`)
	tools := `"tools":[{"type":"function","function":{"name":"weather","description":"d","parameters":{"type":"object"}}}]`
	first := s.do("POST", completions, p.token, said("agent/mixed", "go", ","+tools)).expect(200).expectAt("choices.0.finish_reason", "tool_calls").expectAt("choices.0.message.content", "And now").
		expectAt("choices.0.message.tool_calls.0.function.name", "weather").expectAt("choices.0.message.tool_calls.1.function.arguments", `{"city":"Oslo"}`).expectLen("choices.0.message.tool_calls", 2)
	var turn struct {
		Choices []struct{ Message map[string]any }
	}
	first.into(&turn)
	message := turn.Choices[0].Message
	follow := func(messages ...any) map[string]any {
		return map[string]any{"model": "agent/mixed", "messages": append([]any{map[string]any{"role": "user", "content": "go"}, message}, messages...), "tools": []any{map[string]any{"type": "function", "function": map[string]any{"name": "weather"}}}}
	}
	result := func(n int, text string) any {
		return map[string]any{"role": "tool", "tool_call_id": first.text(fmt.Sprintf("choices.0.message.tool_calls.%d.id", n)), "content": text}
	}
	// The demo model says back every result it was shown: its own and those of the caller.
	s.do("POST", completions, p.token, follow(result(1, "cold"), result(0, "warm"))).expect(200).expectAt("choices.0.finish_reason", "stop").
		expectAt("choices.0.message.content", "[demo answer, no model was asked] You said: 42 cold warm")
	s.do("POST", completions, p.token, follow(result(0, "warm"))).expect(400).expectAt("error.code", "missing_result")
	s.do("POST", completions, p.token, follow(map[string]any{"role": "tool", "tool_call_id": "call_none", "content": "x"})).expect(400).expectAt("error.code", "unknown_call")
	streamed := string(s.do("POST", completions, p.token, said("agent/mixed", "go", `,"stream":true,`+tools)).expect(200).Body)
	for _, want := range []string{`"tool_calls":[{"index":0,"id":"call_`, `"finish_reason":"tool_calls"`, "data: [DONE]"} {
		if !strings.Contains(streamed, want) {
			t.Errorf("nothing of %s in %s", want, streamed)
		}
	}
	s.do("POST", completions, p.token, said("agent/mixed", "go", `,"tools":[{"type":"function","function":{"name":"calculator"}}]`)).expect(400).expectAt("error.code", "tool_name_taken")
	// Nobody can be asked: a risky tool is refused to the model, which goes on.
	s.agent(p.token, ws, `"name":"Risky","model":"demo/scripted","tools":["deploy"],"script":[{"tool_calls":[{"name":"deploy","arguments":{"where":"x"}}]}]`)
	if a := s.do("POST", completions, p.token, said("agent/risky", "go", "")).expect(200); !strings.Contains(a.text("choices.0.message.content"), "nobody can be asked") {
		t.Errorf("got %s", a.Body)
	}
}

func TestAWorkflowAnswersAsAModel(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	key := s.key(w.owner.token, w.id, `"execute"`)
	s.offer(w, "Answers", answers)
	body := `{"model":"workflow/answers","messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"hello"}]`
	s.do("POST", completions, key, body+`}`).expect(200).expectAt("choices.0.message.content", "You said hello after 3").expectAt("choices.0.finish_reason", "stop")
	s.do("GET", "/executions?workspace_id="+w.id, w.owner.token, nil).expect(200).expectAt("items.0.trigger_type", "chat").expectAt("items.0.status", "completed")
	if stream := string(s.do("POST", completions, key, body+`,"stream":true}`).expect(200).Body); !strings.Contains(stream, `"content":"You said hello after 3"`) || !strings.HasSuffix(stream, "data: [DONE]\n\n") {
		t.Errorf("streamed %s", stream)
	}
	s.offer(w, "Talks", `"nodes":[{"id":"in","kind":"chat-trigger"},{"id":"a","kind":"agent","config":{"model":"demo/scripted","prompt":"{{ trigger.message }}","tools":["calculator"],"script":[{"text":"One moment","tool_calls":[{"name":"calculator","arguments":{"expression":"1+1"}}]},{"text":"It is two"}]}}],"connections":[{"source":"in","target":"a"}]`)
	s.do("POST", completions, key, said("workflow/talks", "x", "")).expect(200).expectAt("choices.0.message.content", "It is two")
	stream := string(s.do("POST", completions, key, said("workflow/talks", "x", `,"stream":true`)).expect(200).Body)
	if strings.Count(stream, `"content":"two"`) != 1 || !strings.Contains(stream, `"content":"moment"`) {
		t.Errorf("streamed %s", stream)
	}
	s.offer(w, "Fails", strings.Replace(answers, "{{ trigger.message }}", "{{ trigger.nothing.at.all }}", 1))
	s.do("POST", completions, key, said("workflow/fails", "x", "")).expect(502).expectAt("error.type", "server_error")
	s.do("POST", completions, key, said("workflow/answers", "x", `,"tools":[{"type":"function","function":{"name":"t"}}]`)).expect(400).expectAt("error.param", "tools")
}

func TestWhoStopsListeningToAModelStopsTheWork(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	s.offer(w, "Waits", strings.Replace(waits, "workflow-trigger", "chat-trigger", 1))
	s.agent(w.owner.token, w.id, `"name":"Slow","model":"demo/scripted","script":[{"text":"now","delay_ms":600000}]`)
	for _, more := range []string{"", `,"stream":true`} {
		ctx, cancel := context.WithCancel(t.Context())
		var answered []chan struct{}
		for _, model := range []string{"workflow/waits", "agent/slow"} {
			done := make(chan struct{})
			answered = append(answered, done)
			go func() {
				defer close(done)
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.http.URL+completions+"?workspace_id="+w.id, strings.NewReader(said(model, "x", more)))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Authorization", "Bearer "+w.owner.token)
				resp, err := s.http.Client().Do(req)
				if err == nil {
					_, _ = bufio.NewReader(resp.Body).ReadString(0)
					resp.Body.Close()
				}
			}()
		}
		id := ""
		for id == "" {
			var page struct{ Items []struct{ ID string } }
			if s.do("GET", "/executions?status=waiting&workspace_id="+w.id, w.owner.token, nil).expect(200).into(&page); len(page.Items) > 0 {
				id = page.Items[0].ID
			}
		}
		cancel()
		for _, done := range answered {
			<-done
		}
		s.until(w.owner.token, id, "cancelled")
	}
	if err := s.server.Close(); err != nil { // waits for everything that answers
		t.Fatal(err)
	}
	s.do("POST", completions+"?workspace_id="+w.id, w.owner.token, said("agent/slow", "x", "")).expect(503).expectAt("error.type", "server_error")
}

func TestFailuresAreToldInTheFormOfTheProtocol(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) { c.Limits.AI = limit.Rate{Requests: 3, Per: time.Hour} }})
	p := s.signIn("a@example.com")
	ws := s.personal(p)
	s.agent(p.token, ws, `"name":"A","model":"demo/scripted","limits":{"max_steps":1},"tools":["calculator"],"script":[{"tool_calls":[{"name":"calculator","arguments":{"expression":"1"}}]}]`)
	for body, param := range map[string]string{
		said("agent/a", "x", `,"n":2`):                                                                     "n",
		said("agent/a", "x", `,"stop":["x"]`):                                                              "stop",
		said("agent/a", "x", `,"temprature":1`):                                                            "temprature",
		said("agent/a", "x", `,"temperature":3`):                                                           "temperature",
		said("agent/a", "x", `,"max_tokens":"many"`):                                                       "max_tokens",
		said("agent/a", "x", `,"tool_choice":"required"`):                                                  "tool_choice",
		`{"model":"agent/a","messages":[]}`:                                                                "messages",
		`{"model":"agent/a","messages":[{"role":"robot","content":"x"}]}`:                                  "messages[0].role",
		`{"model":"agent/a","messages":[{"role":"assistant","content":"x"}]}`:                              "messages",
		`{"model":"agent/a","messages":[{"role":"user","content":[{"type":"input_audio"}]}]}`:              "messages[0].content[0].type",
		`{"model":"agent/a","messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}`: "messages[0].content[0].image_url.url",
		`{"model":"agent/a","messages":[{"role":"tool","tool_call_id":"x","content":"x"}]}`:                "messages",
		said("agent/a", "x", `,"response_format":{"type":"xml"}`):                                          "response_format.type",
		said("agent/a", "x", `,"tools":[{"type":"function","function":{"name":"no way"}}]`):                "tools[0].name",
	} {
		if param == "messages" && strings.Contains(body, "assistant") {
			continue // it is found when it is asked, and counts
		}
		a := s.do("POST", completions, p.token, body).expect(400).expectAt("error.type", "invalid_request_error").expectAt("error.param", param)
		if a.Header.Get("X-Should-Retry") != "false" || a.Header.Get("Request-Id") == "" {
			t.Errorf("%s: headers are %v", body, a.Header)
		}
	}
	both := s.do("POST", completions, p.token, said("agent/a", "x", `,"n":2,"temprature":1`)).expect(400)
	if m := both.text("error.message"); !strings.Contains(m, "did you mean temperature") || !strings.Contains(m, "n: one answer") {
		t.Errorf("not every fault is told: %s", m)
	}
	s.do("POST", completions, p.token, `{`).expect(400).expectAt("error.type", "invalid_request_error")
	s.do("POST", completions, "", said("agent/a", "x", "")).expect(401).expectAt("error.code", "invalid_api_key")
	s.do("POST", completions, s.key(p.token, ws, `"read"`), said("agent/a", "x", "")).expect(403).expectAt("error.type", "permission_error")
	s.do("GET", "/v1/nothing", p.token, nil).expect(404).expectAt("error.type", "invalid_request_error")
	s.do("GET", completions, p.token, nil).expect(405).expectAt("error.type", "invalid_request_error")
	s.do("POST", "/v1/messages", "", `{}`).expect(401).expectAt("type", "error").expectAt("error.type", "authentication_error")
	s.do("POST", completions, p.token, said("agent/b", "x", "")).expect(404).expectAt("error.code", "model_not_found")
	over := s.do("POST", completions, p.token, said("agent/a", "x", "")).expect(402).expectAt("error.type", "insufficient_quota").expectAt("error.code", "step_limit")
	if over.Header.Get("X-Should-Retry") != "false" {
		t.Error("clients would run it again")
	}
	s.do("POST", completions, p.token, said("agent/a", "x", `,"stream":true`)).expect(402).expectAt("error.code", "step_limit")
	many := s.do("POST", completions, p.token, said("agent/a", "x", "")).expect(429).expectAt("error.code", "rate_limit_exceeded")
	if many.Header.Get("Retry-After") == "" || many.Header.Get("X-Should-Retry") != "" {
		t.Errorf("headers are %v", many.Header)
	}
	s.do("POST", "/v1/messages", p.token, `{"model":"agent/a","max_tokens":5,"messages":[{"role":"user","content":"x"}]}`).expect(429).expectAt("error.type", "rate_limit_error")
}

func TestAnAgentAnswersAsAnthropicsModelsDo(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	ws := s.personal(p)
	key := s.key(p.token, ws, `"execute"`)
	s.agent(p.token, ws, `"name":"Sum","model":"demo/scripted","tools":["calculator"],"script":[{"text":"Let me see.","tool_calls":[{"name":"calculator","arguments":{"expression":"2+3"}}]},{"when":"5","text":"It is five."},{"when":"rain","text":"Take care."},
		{"text":"unused"},{"tool_calls":[{"name":"weather","arguments":{"city":"Rome"}}]}]`)
	ask := func(messages, more string) *answer {
		return s.do("POST", "/v1/messages", "", `{"model":"agent/sum","max_tokens":100,"messages":[`+messages+`]`+more+`}`, "X-Api-Key", key, "Anthropic-Version", "2023-06-01")
	}
	a := ask(`{"role":"user","content":"add"}`, `,"system":[{"type":"text","text":"s"}],"metadata":{"user_id":"u"}`).expect(200)
	a.expectAt("type", "message").expectAt("role", "assistant").expectAt("model", "agent/sum").expectAt("stop_reason", "end_turn").expectAt("stop_sequence", nil).expectAt("content.0.text", "Let me see.\n\nIt is five.").expectLen("content", 1)
	if a.at("usage.input_tokens").(float64) == 0 || a.at("usage.output_tokens").(float64) == 0 {
		t.Errorf("used %v", a.at("usage"))
	}
	stream := string(ask(`{"role":"user","content":"add"}`, `,"stream":true`).expect(200).Body)
	at := 0
	for _, want := range []string{"event: message_start\n", "event: content_block_start\n", `"delta":{"text":"Let ","type":"text_delta"}`, "event: content_block_stop\n", "event: message_delta\n", `"stop_reason":"end_turn"`, `"output_tokens":`, "event: message_stop\n"} {
		i := strings.Index(stream[at:], want)
		if i < 0 {
			t.Fatalf("no %s behind the first %d bytes of %s", want, at, stream)
		}
		at += i
	}
	// The third answer calls the caller's tool.
	history := `{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"},{"role":"user","content":[{"type":"text","text":"how"},
		{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}},{"type":"document","source":{"type":"text","data":"text"}}]}`
	tools := `,"tools":[{"name":"weather","input_schema":{"type":"object"}}]`
	called := ask(history, tools).expect(200).expectAt("stop_reason", "tool_use").expectAt("content.0.type", "tool_use").expectAt("content.0.input.city", "Rome")
	id := called.text("content.0.id")
	ask(history+`,{"role":"assistant","content":[{"type":"tool_use","id":"`+id+`","name":"weather","input":{"city":"Rome"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"`+id+`","content":[{"type":"text","text":"rain"}]}]}`, tools).
		expect(200).expectAt("content.0.text", "Take care.")
	if stream := string(ask(history, tools+`,"stream":true`).expect(200).Body); !strings.Contains(stream, `"partial_json":"{\"city\":\"Rome\"}"`) || !strings.Contains(stream, `"stop_reason":"tool_use"`) {
		t.Errorf("streamed %s", stream)
	}
	for more, want := range map[string]string{`,"stop_sequences":["x"]`: "stop_sequences", `,"thinking":{"type":"enabled","budget_tokens":1024}`: "thinking", `,"tools":[{"type":"web_search_20250305","name":"web_search"}]`: "tools[0].type", `,"top_q":1`: "top_q", `,"tool_choice":{"type":"any"}`: "tool_choice"} {
		if a := ask(`{"role":"user","content":"x"}`, more).expect(400).expectAt("type", "error").expectAt("error.type", "invalid_request_error"); !strings.Contains(a.text("error.message"), want) {
			t.Errorf("%s: %s", more, a.Body)
		}
	}
	s.do("POST", "/v1/messages", "", `{"model":"agent/sum","messages":[{"role":"user","content":"x"}]}`, "X-Api-Key", key).expect(400)
	s.do("POST", "/v1/messages", "", `{}`, "X-Api-Key", "wrong").expect(401)
	s.do("GET", "/agents", "", nil, "X-Api-Key", key).expect(401)
}

func TestFilesOfTheWorkspaceAreShownToModels(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	key := s.key(w.owner.token, w.id, `"execute"`)
	id := s.agent(w.owner.token, w.id, `"name":"Sees","model":"demo/scripted"`)
	notes := s.file(w.owner.token, w.id, "notes.txt", "some words")
	s.do("POST", "/agents/"+id+"/test", w.editor.token, `{"input":"x","files":["`+notes+`"]}`).expect(200).expectAt("status", "completed").expectAt("steps.1.name", "files").expectAt("steps.1.output.0.path", "notes.txt")
	ask := func(file string) string {
		return `{"model":"agent/sees","max_tokens":10,"messages":[{"role":"user","content":[{"type":"text","text":"x"},` + file + `]}]}`
	}
	s.do("POST", completions, key, ask(`{"type":"file","file":{"file_id":"`+notes+`"}}`)).expect(200)
	s.do("POST", "/v1/messages", key, ask(`{"type":"document","source":{"type":"file","file_id":"`+notes+`"}}`)).expect(200)
	other := s.file(w.stranger.token, s.personal(w.stranger), "secret.txt", "not yours")
	s.do("POST", completions, key, ask(`{"type":"file","file":{"file_id":"`+other+`"}}`)).expect(400).expectAt("error.code", "bad_file")
	s.do("POST", "/agents/"+id+"/test", w.editor.token, `{"input":"x","files":["`+other+`"]}`).expect(200).expectAt("status", "failed").expectAt("error.code", "bad_file")
	s.do("POST", "/agents/"+id+"/test", w.editor.token, `{"input":"x","files":["no"]}`).problem(422, "invalid")
}
