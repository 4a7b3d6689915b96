package llm_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/usage"
)

// provider answers each call with the next outcome of its list.
type provider struct {
	name       string
	configured bool
	models     []llm.ModelInfo
	outcomes   []outcome
	asked      []string
}

type outcome struct {
	parts int
	err   error
	usage llm.Usage
}

func (p *provider) Name() string            { return p.name }
func (p *provider) Configured() bool        { return p.configured }
func (p *provider) Models() []llm.ModelInfo { return p.models }

func (p *provider) Generate(_ context.Context, req llm.Request, onPart func(llm.Part)) (*llm.Response, error) {
	p.asked = append(p.asked, req.Model)
	o := outcome{}
	if len(p.outcomes) > 0 {
		o, p.outcomes = p.outcomes[0], p.outcomes[1:]
	}
	for range o.parts {
		onPart(llm.Part{Type: llm.TextPart, Text: "x"})
	}
	if o.err != nil {
		return nil, o.err
	}
	return &llm.Response{Model: p.name + "/" + req.Model, Usage: o.usage, StopReason: llm.EndTurn}, nil
}

func upstream(code string) *fault.Error { return fault.New(fault.Upstream, "%s", code).WithCode(code) }

func studio() (*llm.Registry, *provider, *provider) {
	a := &provider{name: "anthropic", configured: true, models: []llm.ModelInfo{{Name: "sonnet", ContextTokens: 200}, {Name: "shared"}}}
	b := &provider{name: "local", models: []llm.ModelInfo{{Name: "shared"}, {Name: "meta/llama", ContextTokens: 8}}}
	demo := &provider{name: "demo", configured: true, models: []llm.ModelInfo{{Name: "scripted", Demo: true}}}
	return llm.NewRegistry(llm.Config{Aliases: map[string]string{"fast": "anthropic/sonnet", "loop": "loop"}}, b, a, demo), a, b
}

func TestModelsThatAreKnownToReadTextsOnlyAreNamed(t *testing.T) {
	p := &provider{name: "p", configured: true, models: []llm.ModelInfo{{Name: "sees", Vision: true}, {Name: "blind"}}}
	c, err := llm.NewRegistry(llm.Config{}, p).Resolve("p/sees", "p/blind", "p/unlisted")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Blind(), " "); got != "p/blind" {
		t.Errorf("got %q", got)
	}
}

func TestNamesFindTheirModels(t *testing.T) {
	r, _, _ := studio()
	for name, want := range map[string]string{
		"": "anthropic/sonnet", "default": "anthropic/sonnet", "fast": "anthropic/sonnet", "sonnet": "anthropic/sonnet",
		"shared": "anthropic/shared", "meta/llama": "local/meta/llama", "anthropic/brand-new": "anthropic/brand-new", "demo/scripted": "demo/scripted",
	} {
		c, err := r.Resolve(name)
		if err != nil || c.Names()[0] != want {
			t.Errorf("%q is %v (%v), want %s", name, c, err, want)
		}
	}
	for _, name := range []string{"sonet", "demo/other", "loop", "nobody/x"} {
		if _, err := r.Resolve(name); fault.As(err) == nil || fault.As(err).Code != "unknown_model" {
			t.Errorf("%q: %v, want unknown_model", name, err)
		}
	}
	if _, err := r.Resolve("sonet"); !strings.Contains(err.Error(), "did you mean sonnet") {
		t.Errorf("no hint: %v", err)
	}
	if _, err := r.Resolve("no1", "no2"); len(fault.As(err).Details) != 2 {
		t.Errorf("both faults are told at once: %v", err)
	}
	if c, err := r.Resolve("fast", "sonnet", "meta/llama"); err != nil || len(c.Names()) != 2 || c.ContextTokens() != 8 {
		t.Errorf("%v %v: want two models and the smaller window", c, err)
	}
	alone := llm.NewRegistry(llm.Config{}, &provider{name: "demo", configured: true, models: []llm.ModelInfo{{Name: "scripted", Demo: true}}})
	if all := alone.Models(); len(all) != 1 || !all[0].Default || !all[0].Configured {
		t.Errorf("without a real provider the demo model is the default: %+v", all)
	}
}

func TestAProviderListedTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	llm.NewRegistry(llm.Config{}, &provider{name: "a"}, &provider{name: "a"})
}

func TestOnlyOverloadAndOutageFallBack(t *testing.T) {
	for _, c := range []struct {
		name  string
		first outcome
		falls bool
	}{
		{"overloaded", outcome{err: upstream(llm.Overloaded)}, true},
		{"server error", outcome{err: upstream(llm.ServerError)}, true},
		{"cut before the first part", outcome{err: upstream(llm.StreamCut)}, true},
		{"time-out", outcome{err: fault.New(fault.Timeout, "late")}, true},
		{"cut after it", outcome{parts: 1, err: upstream(llm.StreamCut)}, false},
		{"unreadable", outcome{err: upstream(llm.BadResponse)}, false},
		{"bad request", outcome{err: fault.New(fault.Invalid, "no")}, false},
		{"no key", outcome{err: fault.New(fault.NotConfigured, "no")}, false},
		{"internal", outcome{err: errors.New("no")}, false},
	} {
		r, a, b := studio()
		a.outcomes = []outcome{c.first}
		chain, err := r.Resolve("sonnet", "local/shared")
		if err != nil {
			t.Fatal(err)
		}
		response, err := chain.Generate(context.Background(), llm.Request{}, nil)
		if fell := len(b.asked) == 1; fell != c.falls || (err == nil) != c.falls {
			t.Errorf("%s: fell back %v, %v (%v)", c.name, fell, response, err)
		}
	}
	r, a, b := studio()
	a.outcomes, b.outcomes = []outcome{{err: upstream(llm.Overloaded)}}, []outcome{{err: upstream(llm.ServerError)}}
	chain, err := r.Resolve("sonnet", "local/shared")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chain.Generate(context.Background(), llm.Request{}, nil); fault.As(err).Code != llm.Overloaded {
		t.Errorf("when all fail the first one's fault is told: %v", err)
	}
}

func TestRetriesBackOffAndHonourRetryAfter(t *testing.T) {
	for _, c := range []struct {
		name     string
		outcomes []outcome
		waits    []time.Duration
		fails    bool
	}{
		{"doubles", []outcome{{err: upstream(llm.ServerError)}, {err: upstream(llm.ServerError)}, {}}, []time.Duration{500, 1000}, false},
		{"waits as told", []outcome{{err: upstream(llm.RateLimited).WithRetryAfter(7 * time.Second)}, {}}, []time.Duration{7000}, false},
		{"not for hours", []outcome{{err: upstream(llm.RateLimited).WithRetryAfter(time.Hour)}}, nil, true},
		{"not a bad request", []outcome{{err: fault.New(fault.Invalid, "no")}}, nil, true},
		{"not once a part came", []outcome{{parts: 1, err: upstream(llm.StreamCut)}}, nil, true},
		{"gives up", slices.Repeat([]outcome{{err: upstream(llm.Overloaded)}}, 9), []time.Duration{500, 1000, 2000}, true},
	} {
		var waits []time.Duration
		p := &provider{outcomes: c.outcomes}
		m := llm.Retry(p, llm.RetryConfig{Jitter: func() float64 { return 1 }, Sleep: func(_ context.Context, d time.Duration) error {
			waits = append(waits, d/time.Millisecond)
			return nil
		}})
		if _, err := m.Generate(context.Background(), llm.Request{}, nil); (err != nil) != c.fails || !slices.Equal(waits, c.waits) {
			t.Errorf("%s: waited %v (%v), want %v", c.name, waits, err, c.waits)
		}
	}
}

func TestACancelledRetryReturnsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &provider{outcomes: slices.Repeat([]outcome{{err: upstream(llm.Overloaded)}}, 9)}
	m := llm.Retry(p, llm.RetryConfig{Base: time.Hour, Max: time.Hour, OnRetry: func(llm.Request, int, time.Duration, error) { cancel() }})
	if _, err := m.Generate(ctx, llm.Request{}, nil); err == nil || len(p.asked) != 1 {
		t.Errorf("asked %d times (%v)", len(p.asked), err)
	}
}

type ledger struct{ records []usage.Record }

func (l *ledger) Record(_ context.Context, r usage.Record) { l.records = append(l.records, r) }

func TestEveryCallIsMeteredWhateverBecomesOfIt(t *testing.T) {
	prices, err := llm.DefaultPrices([]byte(`{"models":{"anthropic/sonnet":{"input":3,"output":15,"cache_read":0.3}}}`))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	tick := func() time.Time { now = now.Add(time.Second); return now }
	_, p, _ := studio()
	p.outcomes = []outcome{{parts: 2, usage: llm.Usage{Input: 100, Output: 10, CacheRead: 10}}, {err: upstream(llm.Overloaded)}, {err: fault.New(fault.Cancelled, "no")}}
	l := &ledger{}
	m := llm.Meter(p, l, prices, llm.MeterConfig{Now: tick})
	for range 3 { // the outcomes are judged by their records
		_, _ = m.Generate(context.Background(), llm.Request{Model: "sonnet", Caller: llm.Caller{WorkspaceID: "w1"}}, nil)
	}
	first := l.records[0]
	if first.CostMicros == nil || *first.CostMicros != 453 || first.FirstToken != time.Second || first.Latency != 2*time.Second || first.WorkspaceID != "w1" {
		t.Errorf("the answer's record is %+v", first)
	}
	if l.records[1].Outcome != usage.Failed || l.records[1].ErrorCode != llm.Overloaded || l.records[2].Outcome != usage.Cancelled {
		t.Errorf("the failures' records are %+v", l.records[1:])
	}
}

func TestAnUnknownPriceIsNeverZero(t *testing.T) {
	prices, err := llm.DefaultPrices()
	if err != nil || prices.Read() == "" || len(prices.Models()) == 0 {
		t.Fatalf("%v %v", prices, err)
	}
	for model, want := range map[string]int64{
		"anthropic/claude-opus-4-6": 30, "anthropic/claude-haiku-4-5-20251001": 6, "openai/gpt-4o-2024-08-06": 13,
		"anthropic/claude-opus-4": -1, "anthropic/claude-opus-4-6-turbo": -1, "ollama/llama": -1,
	} {
		got := prices.Cost(model, llm.Usage{Input: 1, Output: 1})
		if (got == nil) != (want < 0) || got != nil && *got != want {
			t.Errorf("%s costs %v, want %d", model, got, want)
		}
	}
	if prices.Cost("openai/gpt-5", llm.Usage{CacheWrite: 1}) != nil || (*llm.Prices)(nil).Cost("x", llm.Usage{}) != nil {
		t.Error("a part without a price makes the whole unknown")
	}
	if long := prices.Cost("anthropic/claude-haiku-5-5", llm.Usage{Input: 200_000}); long == nil || *long != 100_000 {
		t.Errorf("a long prompt costs %v", long)
	}
	if _, err := llm.DefaultPrices([]byte("{")); err == nil {
		t.Error("a broken override is an error")
	}
}

func TestRejectionsSayWhatCanBeDone(t *testing.T) {
	for _, c := range []struct {
		status int
		word   string
		kind   fault.Kind
		code   string
	}{
		{529, "", fault.Upstream, llm.Overloaded}, {200, "overloaded_error", fault.Upstream, llm.Overloaded}, {429, "", fault.Upstream, llm.RateLimited},
		{408, "", fault.Timeout, ""}, {401, "", fault.NotConfigured, ""}, {409, "", fault.Upstream, llm.ServerError}, {500, "", fault.Upstream, llm.ServerError},
		{404, "", fault.Invalid, "unknown_model"}, {400, "", fault.Invalid, "refused_request"}, {200, "", fault.Upstream, llm.ServerError},
	} {
		f := llm.Rejection{Provider: "p", Status: c.status, Type: c.word, Message: strings.Repeat("m", 600), RetryAfter: "2.5"}.Fault(nil)
		if f.Kind != c.kind || f.Code != c.code || len(f.Message) > 600 {
			t.Errorf("%d %s: %s %s", c.status, c.word, f.Kind, f.Code)
		}
		if f.Kind == fault.Upstream && f.Code != llm.ServerError && f.RetryAfter != 2500*time.Millisecond {
			t.Errorf("%d: retry after %s", c.status, f.RetryAfter)
		}
	}
	idle, cancel := context.WithCancelCause(context.Background())
	cancel(llm.ErrIdle)
	if llm.Broken(idle, "p", true, io.EOF).Kind != fault.Timeout || llm.Broken(context.Background(), "p", true, io.EOF).Code != llm.StreamCut ||
		llm.Broken(context.Background(), "p", false, io.EOF).Code != llm.Unreachable {
		t.Error("silence, a cut stream and no connection are told apart")
	}
}
