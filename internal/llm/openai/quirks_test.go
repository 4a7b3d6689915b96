package openai_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/openai"
)

// calls returns an event with pieces of tool calls.
func calls(pieces string) string {
	return `data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[` + pieces + `]}}]}`
}

// said returns an event with the fields of a delta.
func said(delta string) string {
	return `data: {"object":"chat.completion.chunk","error":null,"choices":[{"index":0,"delta":{` + delta + `},"finish_reason":null}],"usage":null}`
}

func finish(reason string) string {
	return `data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"` + reason + `"}]}`
}

const done = "data: [DONE]"

func TestCallsOfServersWithHabits(t *testing.T) {
	for name, c := range map[string]struct {
		events []string
		want   string // id name arguments, one per line
	}{
		"no ids, whole calls": {
			[]string{calls(`{"index":0,"function":{"name":"a","arguments":"{\"n\":1}"}},{"index":1,"function":{"name":"b","arguments":"{}"}}`), finish("stop"), done},
			"call_1_1 a {\"n\":1}\ncall_1_2 b {}",
		},
		"no ids, all numbered 0": {
			[]string{calls(`{"index":0,"function":{"name":"a","arguments":"{\"n\":1}"}}`), calls(`{"index":0,"function":{"name":"a","arguments":"{\"n\":2}"}}`), finish("tool_calls"), done},
			"call_1_1 a {\"n\":1}\ncall_1_2 a {\"n\":2}",
		},
		"ids, all numbered 0": {
			[]string{calls(`{"index":0,"id":"x","function":{"name":"a","arguments":"{}"}},{"index":0,"id":"y","function":{"name":"b","arguments":""}}`), finish("stop"), done},
			"x a {}\ny b {}",
		},
		"the id in every piece": {
			[]string{calls(`{"index":0,"id":"x","function":{"name":"a","arguments":"{\"n\""}}`), calls(`{"index":0,"id":"x","function":{"name":"a","arguments":":1}"}}`), finish("tool_calls"), done},
			"x a {\"n\":1}",
		},
		"one id for two calls": {
			[]string{calls(`{"index":0,"id":"a","function":{"name":"a","arguments":"{}"}},{"index":1,"id":"a","function":{"name":"a","arguments":"{}"}}`), finish("tool_calls"), done},
			"a a {}\ncall_1_2 a {}",
		},
		"pieces in turn": {
			[]string{calls(`{"index":0,"id":"x","function":{"name":"a","arguments":""}},{"index":1,"id":"y","function":{"name":"b","arguments":""}}`),
				calls(`{"index":1,"function":{"arguments":"{\"n\""}}`), calls(`{"index":0,"function":{"arguments":"{}"}}`), calls(`{"index":1,"function":{"arguments":":2}"}}`), finish("tool_calls"), done},
			"x a {}\ny b {\"n\":2}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, parts := ask(t, raw(t, c.events...), hello())
			var got []string
			for _, b := range r.ToolCalls() {
				got = append(got, b.ID+" "+b.Name+" "+string(b.Arguments))
			}
			if s := strings.Join(got, "\n"); s != c.want || r.StopReason != llm.ToolUse {
				t.Errorf("got %s, %s", s, r.StopReason)
			}
			names := 0
			for _, p := range parts {
				if p.Name != "" {
					names++
				}
			}
			if names != len(got) {
				t.Errorf("%d names in %+v", names, parts)
			}
		})
	}
}

func TestAnswersOfServersWithHabits(t *testing.T) {
	r, parts := ask(t, raw(t, ": keep-alive", said(`"reasoning":"hm","reasoning_content":"hm"`), said(`"reasoning":" so","content":null`), said(`"content":"hi"`), finish("stop"), done), hello())
	if r.Text() != "hi" || text(parts, llm.ThinkingPart) != "hm so" || !r.UsageUnknown || r.Usage != (llm.Usage{}) || r.Model != "local/gpt-4o" {
		t.Errorf("got %+v, %+v", r, parts)
	}
	// The answer is whole before [DONE], and with [DONE] before a finish reason.
	for _, events := range [][]string{{said(`"content":"hi"`), finish("stop")}, {said(`"content":"hi"`), done}} {
		if r, _ := ask(t, raw(t, events...), hello()); r.Text() != "hi" || r.StopReason != llm.EndTurn {
			t.Errorf("got %+v", r)
		}
	}
	// Thinking that only the total counts.
	r, _ = ask(t, raw(t, said(`"content":"hi"`), finish("stop"), `data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":50}}`, done), hello())
	if r.Usage != (llm.Usage{Input: 10, Output: 40}) || r.UsageUnknown {
		t.Errorf("got %+v", r.Usage)
	}
}

func TestErrorsOfServersWithHabits(t *testing.T) {
	for event, code := range map[string]string{
		`data: {"error":{"message":"m","code":429}}`:                                                            llm.RateLimited,
		`data: [{"error":{"message":"m","code":503,"status":"UNAVAILABLE"}}]`:                                   llm.Overloaded,
		`data: {"object":"error","message":"m","type":"InternalServerError","code":500}`:                        llm.ServerError,
		`data: {"choices":[{"index":0,"delta":{},"finish_reason":"error"}],"error":{"message":"m","code":502}}`: llm.ServerError,
		`data: {"error":"m"}`: llm.ServerError,
		`data: {"error":{"message":"m","type":"invalid_request_error"}}`: "refused_request",
		`data: <html>`:  llm.BadResponse,
		`data: 7`:       llm.BadResponse,
		finish("error"): llm.ServerError,
	} {
		_, err := raw(t, said(`"content":"a"`), event).Generate(t.Context(), hello(), nil)
		if f := fault.As(err); f == nil || f.Code != code {
			t.Errorf("%s: got %v", event, err)
		}
	}
}

func TestErrorStatusesOfServersWithHabits(t *testing.T) {
	for body, want := range map[string]string{
		`[{"error":{"message":"said it","code":400}}]`: "said it",
		`{"error":"said it"}`:                          "said it",
		`{"detail":"said it"}`:                         "said it",
		`{"message":"said it","code":400}`:             "said it",
		`<html>no</html>`:                              "refused the request",
		``:                                             "refused the request",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, body, http.StatusBadRequest) }))
		_, err := openai.New(openai.Config{BaseURL: server.URL}).Generate(t.Context(), hello(), nil)
		server.Close()
		if f := fault.As(err); f == nil || f.Kind != fault.Invalid || !strings.Contains(f.Message, want) {
			t.Errorf("%s: got %v", body, err)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After-Ms", "1500")
		w.Header().Set("Retry-After", "2")
		http.Error(w, "{}", http.StatusTooManyRequests)
	}))
	defer server.Close()
	_, err := openai.New(openai.Config{BaseURL: server.URL}).Generate(t.Context(), hello(), nil)
	if f := fault.As(err); f == nil || f.RetryAfter != 1500*time.Millisecond {
		t.Errorf("got %v", err)
	}
}

func TestAWebPageIsNoAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if _, err := w.Write([]byte("<html>welcome</html>")); err != nil {
			return
		}
	}))
	defer server.Close()
	_, err := openai.New(openai.Config{BaseURL: server.URL}).Generate(t.Context(), hello(), nil)
	if f := fault.As(err); f == nil || f.Code != llm.BadResponse || !strings.Contains(f.Message, "base URL") {
		t.Errorf("got %v", err)
	}
}
