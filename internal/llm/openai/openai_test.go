package openai_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/llmtest"
	"agentstudio/internal/llm/openai"
)

// stand starts a provider against a stand-in that plays the replies.
func stand(t *testing.T, replies ...llmtest.Reply) (*openai.Provider, *llmtest.Journal) {
	t.Helper()
	url, journal := llmtest.OpenAI(t, replies...)
	return openai.New(openai.Config{BaseURL: url, Key: "sk-test"}), journal
}

// raw starts a provider against a server that sends the events as they are.
func raw(t *testing.T, events ...string) *openai.Provider {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range events {
			if _, err := fmt.Fprintf(w, "%s\n\n", e); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return openai.New(openai.Config{Name: "local", BaseURL: server.URL + "/v1"})
}

func hello() llm.Request {
	return llm.Request{Model: "gpt-4o", Messages: []llm.Message{llm.Text(llm.User, "hello")}}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func ask(t *testing.T, m llm.Model, req llm.Request) (*llm.Response, []llm.Part) {
	t.Helper()
	var parts []llm.Part
	r, err := m.Generate(t.Context(), req, func(p llm.Part) { parts = append(parts, p) })
	if err != nil {
		t.Fatal(err)
	}
	return r, parts
}

func text(parts []llm.Part, kind llm.PartType) string {
	var s strings.Builder
	for _, p := range parts {
		if p.Type == kind {
			s.WriteString(p.Text)
		}
	}
	return s.String()
}

func TestTextStreamsInOrderWithItsUsage(t *testing.T) {
	p, journal := stand(t, llmtest.Reply{Thinking: "let me see", Text: []string{"Hel", "lo ", "you"}, Usage: llm.Usage{Input: 10, Output: 5, CacheRead: 100, CacheWrite: 7}})
	r, parts := ask(t, p, hello())
	if text(parts, llm.TextPart) != "Hello you" || text(parts, llm.ThinkingPart) != "let me see" || r.Text() != "Hello you" {
		t.Errorf("got %+v and %+v", parts, r)
	}
	want := llm.Usage{Input: 10, Output: 5, CacheRead: 100, CacheWrite: 7}
	if r.Usage != want || r.UsageUnknown || r.CostMicros != nil || r.StopReason != llm.EndTurn || r.Model != "openai/gpt-4o" {
		t.Errorf("got %+v", r)
	}
	if b := r.Message.Content[0]; b.Type != llm.ThinkingBlock || b.Text != "let me see" {
		t.Errorf("got %+v", b)
	}
	sent := journal.Requests()[0]
	if sent.Path != "/v1/chat/completions" || sent.Header.Get("Authorization") != "Bearer sk-test" || sent.Body["stream"] != true {
		t.Errorf("got %+v", sent)
	}
}

func TestParallelToolCallsAndTheirResultsGoBothWays(t *testing.T) {
	p, journal := stand(t,
		llmtest.Reply{Text: []string{"I look."}, ToolCalls: []llmtest.ToolCall{{ID: "a", Name: "search", Arguments: `{"q":"x"}`}, {ID: "b", Name: "now", Arguments: ``}, {ID: "c", Name: "search", Arguments: `{"q":`}}},
		llmtest.Reply{Text: []string{"done"}})
	req := hello()
	req.System = "be brief"
	req.Tools = []llm.ToolSpec{{Name: "search", Description: "finds", Schema: json.RawMessage(`{"type":"object","properties":{"q":{"type":"string"}}}`)}, {Name: "now"}}
	first, parts := ask(t, p, req)
	calls := first.ToolCalls()
	if len(calls) != 3 || first.StopReason != llm.ToolUse || string(calls[0].Arguments) != `{"q":"x"}` || string(calls[1].Arguments) != `{}` || string(calls[2].Arguments) != `{"q":` {
		t.Fatalf("got %+v", first)
	}
	named := map[string]string{}
	pieces := map[string]string{}
	for _, part := range parts {
		if part.Type == llm.ToolCallPart {
			named[part.ID] += part.Name
			pieces[part.ID] += part.Text
		}
	}
	if !reflect.DeepEqual(named, map[string]string{"a": "search", "b": "now", "c": "search"}) || pieces["a"] != `{"q":"x"}` {
		t.Errorf("got %v, %v", named, pieces)
	}
	first.Message.Content[3].Arguments = json.RawMessage(`"{\"q\":"`) // as the agent stores what is no JSON
	req.Messages = append(req.Messages, first.Message, llm.Message{Role: llm.Tool, Content: []llm.Block{
		{Type: llm.ToolResultBlock, ID: "a", Text: "found"}, {Type: llm.ToolResultBlock, ID: "b", Text: "noon"}, {Type: llm.ToolResultBlock, ID: "c", Text: "no JSON", Failed: true}}})
	if second, _ := ask(t, p, req); second.Text() != "done" {
		t.Errorf("got %+v", second)
	}
	messages := journal.Requests()[1].Body["messages"].([]any)
	if len(messages) != 6 || messages[0].(map[string]any)["role"] != "system" || messages[5].(map[string]any)["content"] != "Error: no JSON" {
		t.Errorf("got %v", messages)
	}
}

func TestFaultsSayWhatCanBeDone(t *testing.T) {
	for name, c := range map[string]struct {
		reply llmtest.Reply
		kind  fault.Kind
		code  string
		after time.Duration
	}{
		"rate limit":   {llmtest.Reply{Status: 429, ErrorType: "requests", ErrorText: "slow down", RetryAfter: "7"}, fault.Upstream, llm.RateLimited, 7 * time.Second},
		"overloaded":   {llmtest.Reply{Status: 503, ErrorType: "server_error"}, fault.Upstream, llm.Overloaded, 0},
		"server error": {llmtest.Reply{Status: 500, ErrorType: "server_error", ErrorText: "oops"}, fault.Upstream, llm.ServerError, 0},
		"bad request":  {llmtest.Reply{Status: 400, ErrorType: "invalid_request_error", ErrorText: "too long"}, fault.Invalid, "refused_request", 0},
		"bad key":      {llmtest.Reply{Status: 401, ErrorType: "invalid_request_error", ErrorText: "Incorrect API key"}, fault.NotConfigured, "", 0},
		"no model":     {llmtest.Reply{Status: 404, ErrorType: "invalid_request_error", ErrorText: "does not exist"}, fault.Invalid, "unknown_model", 0},
		"mid-stream":   {llmtest.Reply{Text: []string{"a", "b"}, MidError: true, Status: 500, ErrorType: "server_error", ErrorText: "oops"}, fault.Upstream, llm.ServerError, 0},
		"mid overload": {llmtest.Reply{Text: []string{"a"}, MidError: true, Status: 529, ErrorType: "overloaded_error"}, fault.Upstream, llm.Overloaded, 0},
		"cut before":   {llmtest.Reply{Text: []string{"a"}, CutBefore: true}, fault.Upstream, llm.StreamCut, 0},
		"cut after":    {llmtest.Reply{Text: []string{"a", "b"}, CutAfter: true}, fault.Upstream, llm.StreamCut, 0},
		"garbage":      {llmtest.Reply{Garbage: true}, fault.Upstream, llm.BadResponse, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := stand(t, c.reply)
			_, err := p.Generate(t.Context(), hello(), nil)
			f := fault.As(err)
			if f == nil || f.Kind != c.kind || f.Code != c.code || f.RetryAfter != c.after {
				t.Fatalf("got %#v", err)
			}
			if !strings.Contains(f.Message, "openai") || !strings.Contains(f.Message, c.reply.ErrorText) {
				t.Errorf("got %q", f.Message)
			}
			if c.kind == fault.NotConfigured && !strings.Contains(f.Message, "OPENAI_API_KEY") {
				t.Errorf("got %q", f.Message)
			}
		})
	}
}

func TestNoServerIsUnreachable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := openai.New(openai.Config{Name: "local", BaseURL: server.URL}).Generate(t.Context(), hello(), nil)
	if f := fault.As(err); f == nil || f.Code != llm.Unreachable {
		t.Errorf("got %v", err)
	}
	for _, url := range []string{"localhost:11434", "://", "/v1"} {
		_, err := openai.New(openai.Config{Name: "local", BaseURL: url}).Generate(t.Context(), hello(), nil)
		if !fault.Is(err, fault.NotConfigured) {
			t.Errorf("%s: got %v", url, err)
		}
	}
}

func TestAStalledServerIsLeft(t *testing.T) {
	url, journal := llmtest.OpenAI(t, llmtest.Reply{Stall: true})
	p := openai.New(openai.Config{BaseURL: url, Key: "k", Idle: 20 * time.Millisecond})
	_, err := p.Generate(t.Context(), hello(), nil)
	if !fault.Is(err, fault.Timeout) {
		t.Errorf("got %v", err)
	}
	<-journal.Left()
}

func TestCancellingClosesTheConnection(t *testing.T) {
	url, journal := llmtest.OpenAI(t, llmtest.Reply{Stall: true})
	ctx, cancel := context.WithCancel(t.Context())
	p := openai.New(openai.Config{BaseURL: url, Key: "k", HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		response, err := http.DefaultTransport.RoundTrip(r)
		cancel() // the answer has begun
		return response, err
	})}})
	if _, err := p.Generate(ctx, hello(), nil); !fault.Is(err, fault.Cancelled) {
		t.Errorf("got %v", err)
	}
	<-journal.Left()
	p, _ = stand(t, llmtest.Reply{Stall: true})
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := p.Generate(ctx, hello(), nil); !fault.Is(err, fault.Timeout) {
		t.Errorf("got %v", err)
	}
}

func TestStopReasons(t *testing.T) {
	for want, reply := range map[llm.StopReason]llmtest.Reply{
		llm.MaxTokens: {Text: []string{"half"}, Stop: llm.MaxTokens},
		llm.EndTurn:   {},
		llm.ToolUse:   {ToolCalls: []llmtest.ToolCall{{ID: "a", Name: "x", Arguments: "{}"}}},
	} {
		p, _ := stand(t, reply)
		if r, _ := ask(t, p, hello()); r.StopReason != want {
			t.Errorf("got %s, want %s", r.StopReason, want)
		}
	}
	for _, reply := range []llmtest.Reply{{Text: []string{"I can not"}, Stop: llm.Refusal}, {Stop: llm.Refusal}} {
		p, _ := stand(t, reply)
		r, parts := ask(t, p, hello())
		if said := strings.Join(reply.Text, ""); r.StopReason != llm.Refusal || r.Text() != said || text(parts, llm.TextPart) != said {
			t.Errorf("got %+v", r)
		}
	}
}

func TestOneProviderServesManyAtOnce(t *testing.T) {
	p, journal := stand(t, llmtest.Reply{Text: []string{"a", "b"}})
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if r, err := p.Generate(t.Context(), hello(), nil); err != nil || r.Text() != "ab" {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
	all.Wait()
	if n := len(journal.Requests()); n != 16 {
		t.Errorf("asked %d times", n)
	}
}

func TestWhatIsConfigured(t *testing.T) {
	for _, c := range []struct {
		cfg        openai.Config
		configured bool
		models     bool
	}{
		{openai.Config{}, false, true},
		{openai.Config{Key: "k"}, true, true},
		{openai.Config{Name: "gemini"}, false, true},
		{openai.Config{Name: "local", BaseURL: "http://localhost:1/v1"}, true, false},
		{openai.Config{Name: "local", BaseURL: "http://localhost:1/v1", Models: []llm.ModelInfo{{Name: "llama"}}}, true, true},
	} {
		p := openai.New(c.cfg)
		if p.Configured() != c.configured || (len(p.Models()) > 0) != c.models {
			t.Errorf("%+v: got %v, %v", c.cfg, p.Configured(), p.Models())
		}
	}
	_, err := openai.New(openai.Config{Name: "gemini"}).Generate(t.Context(), hello(), nil)
	if !fault.Is(err, fault.NotConfigured) || !strings.Contains(fault.Message(err), "GEMINI_API_KEY") {
		t.Errorf("got %v", err)
	}
}

func TestEveryListedModelHasAPrice(t *testing.T) {
	prices, err := llm.DefaultPrices()
	if err != nil {
		t.Fatal(err)
	}
	priced := map[string]bool{}
	for _, id := range prices.Models() {
		priced[id] = true
	}
	for _, name := range []string{"openai", "gemini"} {
		for _, m := range openai.DefaultModels(name) {
			if !priced[name+"/"+m.Name] || m.ContextTokens == 0 || m.MaxOutput == 0 || m.Title == "" {
				t.Errorf("%s/%s: %+v", name, m.Name, m)
			}
			delete(priced, name+"/"+m.Name)
		}
		for id := range priced {
			if strings.HasPrefix(id, name+"/") {
				t.Errorf("%s has a price and is not listed", id)
			}
		}
	}
	if first := openai.DefaultModels("openai")[0]; !first.Tools {
		t.Errorf("the preferred model %s takes no tools", first.Name)
	}
}

func TestProviderKeepsTheContract(t *testing.T) {
	llmtest.Conform(t, func(t testing.TB, replies ...llmtest.Reply) (llm.Provider, *llmtest.Journal) {
		url, journal := llmtest.OpenAI(t, replies...)
		return openai.New(openai.Config{BaseURL: url, Key: "sk-test"}), journal
	}, llmtest.Options{Model: "gpt-4o", CacheWrites: true})
}
