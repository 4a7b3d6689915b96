package anthropic_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/anthropic"
	"agentstudio/internal/llm/llmtest"
	"agentstudio/internal/usage"
)

// answering returns a provider whose API answers every request with a text.
func answering(t *testing.T, contentType, text string) *anthropic.Provider {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		if _, err := io.WriteString(w, text); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return anthropic.New(anthropic.Config{Key: "test-key", BaseURL: server.URL})
}

func recorded(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ask asks once and returns what streamed, one line per part.
func ask(t *testing.T, p *anthropic.Provider) (*llm.Response, string, error) {
	t.Helper()
	var streamed strings.Builder
	r, err := p.Generate(t.Context(), llm.Request{Model: "claude-sonnet-5-5", Messages: []llm.Message{llm.Text(llm.User, "hello")}}, func(part llm.Part) {
		fmt.Fprintf(&streamed, "%s|%s|%s|%s\n", part.Type, part.ID, part.Name, part.Text)
	})
	return r, streamed.String(), err
}

func TestRecordedThinkingAndToolsAreRead(t *testing.T) {
	r, streamed, err := ask(t, answering(t, "text/event-stream; charset=utf-8", recorded(t, "thinking_and_tools.sse")))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"thinking|||Two cities are asked for,", "thinking||| so two calls at once.",
		"text|||I'll look up", "text||| both.",
		"tool_call|toolu_01T1x1fJ34qAmk2tNTrN7Up6|weather|", `tool_call|toolu_01T1x1fJ34qAmk2tNTrN7Up6||{"city":`, `tool_call|toolu_01T1x1fJ34qAmk2tNTrN7Up6|| "Bern"}`,
		"tool_call|toolu_01A09q90qw90lq917835lq9|now|", ""}, "\n")
	if streamed != want {
		t.Errorf("streamed\n%swant\n%s", streamed, want)
	}
	if r.StopReason != llm.ToolUse || r.Model != "anthropic/claude-sonnet-5-5" || r.Usage != (llm.Usage{Input: 412, Output: 138, CacheRead: 2304, CacheWrite: 96}) {
		t.Errorf("got %+v", r)
	}
	content := r.Message.Content
	if len(content) != 4 || !strings.HasPrefix(content[0].Signature, "EqoBCkgI") || string(content[2].Arguments) != `{"city": "Bern"}` || string(content[3].Arguments) != "{}" {
		t.Errorf("got %+v", content)
	}
}

func TestRecordedHiddenThinkingIsKept(t *testing.T) {
	r, streamed, err := ask(t, answering(t, "text/event-stream", recorded(t, "hidden_thinking.sse")))
	if err != nil || streamed != "text|||42\n" || r.StopReason != llm.EndTurn || len(r.Message.Content) != 3 {
		t.Fatalf("got %+v (streamed %q), %v", r, streamed, err)
	}
	redacted, silent := r.Message.Content[0], r.Message.Content[1]
	if redacted.Type != llm.ThinkingBlock || !strings.HasPrefix(string(redacted.Data), "EmwKAhgB") || silent.Signature != "EvQCCkYIBxgCKkBqZ3J1" || silent.Text != "" {
		t.Errorf("got %+v and %+v", redacted, silent)
	}
}

func TestRecordedOverloadInTheMiddleIsAFault(t *testing.T) {
	r, streamed, err := ask(t, answering(t, "text/event-stream", recorded(t, "overloaded.sse")))
	if f := fault.As(err); r != nil || f == nil || f.Code != llm.Overloaded || streamed != "text|||Once upon\n" {
		t.Errorf("got %+v (streamed %q), %v", r, streamed, err)
	}
}

func TestAnswersThatAreNoneAreTold(t *testing.T) {
	start, _, _ := strings.Cut(recorded(t, "overloaded.sse"), "event: content_block_start")
	for name, c := range map[string]struct{ contentType, text, code string }{
		"a page of a gateway":       {"text/html", "<html><body>Please sign in</body></html>", llm.BadResponse},
		"nothing":                   {"text/event-stream", "", llm.StreamCut},
		"only the start":            {"text/event-stream", start, llm.StreamCut},
		"a piece of no block":       {"text/event-stream", start + "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":3,\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n", llm.BadResponse},
		"a block out of order":      {"text/event-stream", start + "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n", llm.BadResponse},
		"an error of no known kind": {"text/event-stream", start + "event: error\ndata: oops\n\n", llm.ServerError},
	} {
		if r, _, err := ask(t, answering(t, c.contentType, c.text)); r != nil || fault.As(err) == nil || fault.As(err).Code != c.code {
			t.Errorf("%s: got %+v, %v; want %s", name, r, err, c.code)
		}
	}
}

func TestStopReasonsAreTranslated(t *testing.T) {
	start, _, _ := strings.Cut(recorded(t, "overloaded.sse"), "event: content_block_start")
	for theirs, want := range map[string]llm.StopReason{
		"end_turn": llm.EndTurn, "stop_sequence": llm.EndTurn, "max_tokens": llm.MaxTokens, "model_context_window_exceeded": llm.MaxTokens,
		"refusal": llm.Refusal, "pause_turn": llm.Pause, "tool_use": llm.ToolUse, "something_new": llm.EndTurn,
	} {
		// The message's end may be missing: what counts has been said.
		end := fmt.Sprintf("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":%q},\"usage\":{\"output_tokens\":1}}\n\n", theirs)
		if r, _, err := ask(t, answering(t, "text/event-stream", start+end)); err != nil || r.StopReason != want {
			t.Errorf("%s: got %+v, %v; want %s", theirs, r, err, want)
		}
	}
}

func TestRedirectsDoNotCarryTheKeyAway(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s arrived with the key %q", r.Method, r.URL, r.Header.Get("X-Api-Key"))
	}))
	defer elsewhere.Close()
	gateway := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer gateway.Close()
	if _, _, err := ask(t, anthropic.New(anthropic.Config{Key: "test-key", BaseURL: gateway.URL})); !fault.Is(err, fault.Upstream) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutAKeyNothingIsAsked(t *testing.T) {
	p := anthropic.New(anthropic.Config{BaseURL: "http://127.0.0.1:1"})
	if _, _, err := ask(t, p); p.Configured() || !fault.Is(err, fault.NotConfigured) || !strings.Contains(fault.Message(err), "ANTHROPIC_API_KEY") {
		t.Errorf("got %v", err)
	}
	if _, _, err := ask(t, anthropic.New(anthropic.Config{Key: "k", BaseURL: "http://127.0.0.1:1"})); fault.As(err) == nil || fault.As(err).Code != llm.Unreachable {
		t.Errorf("got %v, want it unreachable", err)
	}
}

// script is a transport whose answer is written by a function, piece by piece,
// until it returns or the request is given up.
type script func(ctx context.Context, w io.Writer)

func (s script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, w := io.Pipe()
	stop := context.AfterFunc(r.Context(), func() { w.CloseWithError(r.Context().Err()) })
	go func() {
		defer stop()
		s(r.Context(), w)
		w.CloseWithError(io.ErrUnexpectedEOF)
	}()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: body, Request: r}, nil
}

func TestSilenceEndsACallAndPingsDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		api := script(func(ctx context.Context, w io.Writer) {
			for range 5 { // ten minutes of thinking that is not shown
				<-time.After(100 * time.Second)
				if _, err := io.WriteString(w, "event: ping\ndata: {\"type\":\"ping\"}\n\n"); err != nil {
					t.Error(err)
				}
			}
			<-ctx.Done()
		})
		p := anthropic.New(anthropic.Config{Key: "k", HTTPClient: &http.Client{Transport: api}})
		_, _, err := ask(t, p)
		if !fault.Is(err, fault.Timeout) || !llm.Transient(err) {
			t.Errorf("got %v, want a time-out", err)
		}
		if took := time.Since(begun); took != 620*time.Second {
			t.Errorf("the call was given up after %s, want two minutes after the last ping", took)
		}
	})
}

func TestASlowListenerIsNotTakenForSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := recorded(t, "hidden_thinking.sse")
		api := script(func(_ context.Context, w io.Writer) {
			for event := range strings.SplitAfterSeq(text, "\n\n") { // each waits to be read
				if event == "" {
					return
				}
				if _, err := io.WriteString(w, event); err != nil {
					t.Error(err)
				}
			}
		})
		p := anthropic.New(anthropic.Config{Key: "k", HTTPClient: &http.Client{Transport: api}, Idle: time.Second})
		r, err := p.Generate(t.Context(), llm.Request{Model: "claude-opus-5-5", Messages: []llm.Message{llm.Text(llm.User, "hello")}}, func(llm.Part) { <-time.After(time.Hour) })
		if err != nil || r.Text() != "42" {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

func TestWhatACutAnswerCostIsInTheLedger(t *testing.T) {
	p, _ := stand(t, llmtest.Reply{Text: []string{"so", " far"}, Usage: llm.Usage{Input: 30, Output: 9, CacheRead: 5}, CutAfter: true})
	seen := &ledger{}
	prices, err := llm.DefaultPrices([]byte(`{"models":{"anthropic/m":{"input":2,"output":10,"cache_read":1}}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = llm.Meter(p, seen, prices, llm.MeterConfig{}).Generate(t.Context(), llm.Request{Model: "m", Messages: []llm.Message{llm.Text(llm.User, "x")}}, nil)
	if err == nil || len(seen.records) != 1 {
		t.Fatalf("got %v and %v", err, seen.records)
	}
	if r := seen.records[0]; r.Outcome != usage.Failed || r.Input != 30 || r.Output != 1 || r.CacheRead != 5 || r.CostMicros == nil || *r.CostMicros != 75 {
		t.Errorf("the ledger holds %+v: not what the API had counted", r)
	}
}

type ledger struct{ records []usage.Record }

func (l *ledger) Record(_ context.Context, r usage.Record) { l.records = append(l.records, r) }
