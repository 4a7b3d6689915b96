package llmtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/usage"
)

func (s suite) rejections(t *testing.T) {
	for _, c := range []struct {
		status int
		after  string
		kind   fault.Kind
		code   string
		wait   time.Duration
	}{
		{400, "", fault.Invalid, "refused_request", 0},
		{401, "", fault.NotConfigured, "", 0},
		{403, "", fault.NotConfigured, "", 0},
		{404, "", fault.Invalid, "unknown_model", 0},
		{408, "", fault.Timeout, "", 0},
		{429, "7", fault.Upstream, llm.RateLimited, 7 * time.Second},
		{429, "", fault.Upstream, llm.RateLimited, 0},
		{500, "", fault.Upstream, llm.ServerError, 0},
		{502, "", fault.Upstream, llm.ServerError, 0},
		{503, "2", fault.Upstream, llm.Overloaded, 2 * time.Second},
		{529, "1.5", fault.Upstream, llm.Overloaded, 1500 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			p, j := s.stand(t, Reply{Status: c.status, ErrorText: "the server's own words", RetryAfter: c.after})
			r, parts, err := generate(t, p, s.ask())
			f := fault.As(err)
			if r != nil || len(parts) > 0 || f == nil || f.Kind != c.kind || f.Code != c.code || f.RetryAfter != c.wait {
				t.Fatalf("got %+v, %+v, %+v; want kind %s, code %q, retry after %s", r, parts, f, c.kind, c.code, c.wait)
			}
			if c.status == 400 && !strings.Contains(f.Message, "the server's own words") {
				t.Errorf("%q does not say what is wrong", f.Message)
			}
			if n := len(j.Requests()); n != 1 {
				t.Errorf("%d requests were sent, want 1: repeating is the caller's choice", n)
			}
		})
	}
}

func (s suite) errorInTheMiddle(t *testing.T) {
	p, _ := s.stand(t, Reply{Text: []string{"so", " far"}, MidError: true, Status: 529, ErrorType: "overloaded_error", ErrorText: "Overloaded"})
	r, parts, err := generate(t, p, s.ask())
	if f := fault.As(err); r != nil || f == nil || f.Kind != fault.Upstream || f.Code != llm.Overloaded {
		t.Errorf("got %+v, %v; want it overloaded", r, err)
	}
	if texts(parts, llm.TextPart, "") != "so" {
		t.Errorf("streamed %+v, want what came before", parts)
	}
}

func (s suite) brokenAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		reply     Reply
		transient bool
		codes     string
		said      string
	}{
		"cut before the first piece": {Reply{Text: []string{"so", " far"}, CutBefore: true}, true, llm.StreamCut + llm.Unreachable, ""},
		"cut after the first piece":  {Reply{Text: []string{"so", " far"}, CutAfter: true}, true, llm.StreamCut, "so"},
		"garbage":                    {Reply{Garbage: true}, false, llm.BadResponse, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := s.stand(t, c.reply)
			r, parts, err := generate(t, p, s.ask())
			f := fault.As(err)
			if r != nil || f == nil || f.Kind != fault.Upstream || f.Code == "" || !strings.Contains(c.codes, f.Code) {
				t.Fatalf("got %+v, %+v; want an upstream fault", r, f)
			}
			if llm.Transient(err) != c.transient || texts(parts, llm.TextPart, "") != c.said {
				t.Errorf("transient %v, streamed %+v", llm.Transient(err), parts)
			}
		})
	}
}

func (s suite) cancelCloses(t *testing.T) {
	p, j := s.stand(t, Reply{Stall: true})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() {
		_, err := p.Generate(ctx, s.ask(), nil)
		ended <- err
	}()
	within(t, j.Arrived(), "the request to arrive")
	cancel(errors.New("nobody wants it any more"))
	within(t, j.Left(), "the connection to be closed")
	if err := <-ended; !fault.Is(err, fault.Cancelled) || llm.Transient(err) {
		t.Errorf("got %v, want it cancelled", err)
	}
}

func (s suite) cancelInTheMiddle(t *testing.T) {
	// More than fits between the two, so that the server is still writing.
	p, j := s.stand(t, Reply{Text: slices.Repeat([]string{strings.Repeat("and so on ", 6_400)}, 400)})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := p.Generate(ctx, s.ask(), func(llm.Part) { cancel() })
		ended <- err
	}()
	within(t, j.Arrived(), "the request to arrive")
	within(t, j.Left(), "the connection to be closed")
	if err := <-ended; !fault.Is(err, fault.Cancelled) {
		t.Errorf("got %v, want it cancelled", err)
	}
}

// within waits for an event; its time-out only ends a test that is lost.
func within(t *testing.T, event <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-event:
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain for %s", what)
	}
}

// retrying wraps a provider; waits is what it would have waited.
func retrying(p llm.Provider) (m llm.Model, waits *[]time.Duration) {
	waits = &[]time.Duration{}
	return llm.Retry(p, llm.RetryConfig{Base: time.Second, Jitter: func() float64 { return 0 },
		Sleep: func(_ context.Context, d time.Duration) error { *waits = append(*waits, d); return nil }}), waits
}

func (s suite) retryWaits(t *testing.T) {
	p, j := s.stand(t, Reply{Status: 429, RetryAfter: "7"}, Reply{Status: 529}, Reply{Status: 500}, Reply{Text: []string{"at last"}})
	m, waits := retrying(p)
	r, parts, err := generate(t, m, s.ask())
	if err != nil || r.Text() != "at last" || len(parts) != 1 {
		t.Fatalf("got %+v, %v", r, err)
	}
	if want := "[7s 1s 2s]"; fmt.Sprint(*waits) != want || len(j.Requests()) != 4 {
		t.Errorf("waited %v over %d requests, want %s over 4", *waits, len(j.Requests()), want)
	}
}

func (s suite) retryStopsAtFirstPiece(t *testing.T) {
	p, j := s.stand(t, Reply{Text: []string{"so", " far"}, CutBefore: true}, Reply{Text: []string{"whole"}})
	m, _ := retrying(p)
	if r, parts, err := generate(t, m, s.ask()); err != nil || r.Text() != "whole" || len(parts) != 1 || len(j.Requests()) != 2 {
		t.Errorf("cut before: got %+v, %+v, %v after %d requests", r, parts, err, len(j.Requests()))
	}
	p, j = s.stand(t, Reply{Text: []string{"so", " far"}, CutAfter: true}, Reply{Text: []string{"whole"}})
	m, _ = retrying(p)
	if _, parts, err := generate(t, m, s.ask()); err == nil || texts(parts, llm.TextPart, "") != "so" || len(j.Requests()) != 1 {
		t.Errorf("cut after: got %+v, %v after %d requests; want the fault and no second try", parts, err, len(j.Requests()))
	}
}

func (s suite) retryLeavesFinalFaults(t *testing.T) {
	for _, reply := range []Reply{{Status: 400}, {Status: 401}, {Status: 429, RetryAfter: "3600"}, {Garbage: true}} {
		p, j := s.stand(t, reply, Reply{Text: []string{"not to be asked for"}})
		m, waits := retrying(p)
		if _, _, err := generate(t, m, s.ask()); err == nil || len(j.Requests()) != 1 || len(*waits) != 0 {
			t.Errorf("%+v: got %v after %d requests", reply, err, len(j.Requests()))
		}
	}
}

type sink struct{ records []usage.Record }

func (s *sink) Record(_ context.Context, r usage.Record) { s.records = append(s.records, r) }

func (s suite) meterPrices(t *testing.T) {
	p, _ := s.stand(t, Reply{Text: []string{"x"}, Usage: s.used()}, Reply{Text: []string{"x"}, NoUsage: true})
	prices, err := llm.DefaultPrices(fmt.Appendf(nil, `{"models":{"%s/%s":{"input":3,"output":15,"cache_read":0.3,"cache_write":3.75}}}`, p.Name(), s.o.Model))
	if err != nil {
		t.Fatal(err)
	}
	want := int64(12_474) // 1234×3 + 567×15 + 890×0.3
	if s.o.CacheWrites {
		want = 12_643 // and 45×3.75
	}
	seen := &sink{}
	m := llm.Meter(p, seen, prices, llm.MeterConfig{})
	req := s.ask()
	req.Caller = llm.Caller{UserID: "user-1", ExecutionID: "run-1"}
	r, _, err := generate(t, m, req)
	if err != nil || r.CostMicros == nil || *r.CostMicros != want {
		t.Fatalf("got %+v, %v; want %d micro-dollars", r, err, want)
	}
	if r, _, err = generate(t, m, req); err != nil || r.CostMicros != nil {
		t.Fatalf("got %+v, %v; want no cost where the usage is not known", r, err)
	}
	first := seen.records[0]
	told := llm.Usage{Input: first.Input, Output: first.Output, CacheRead: first.CacheRead, CacheWrite: first.CacheWrite}
	if told != s.used() || *first.CostMicros != want || first.Outcome != usage.Answered || first.FirstToken <= 0 || first.UserID != "user-1" || first.Model != s.o.Model {
		t.Errorf("recorded %+v", first)
	}
}

func (s suite) meterRecordsFailures(t *testing.T) {
	p, _ := s.stand(t, Reply{Status: 529}, Reply{Text: []string{"No."}, Stop: llm.Refusal})
	seen := &sink{}
	m := llm.Meter(p, seen, nil, llm.MeterConfig{})
	for range 2 {
		_, _, _ = generate(t, m, s.ask()) // what became of it is in the records
	}
	if len(seen.records) != 2 {
		t.Fatalf("recorded %+v, want two calls", seen.records)
	}
	if r := seen.records[0]; r.Outcome != usage.Failed || r.ErrorCode != llm.Overloaded || r.CostMicros != nil || r.FirstToken != 0 {
		t.Errorf("recorded %+v, want a failure", r)
	}
	if r := seen.records[1]; r.Outcome != usage.Refused {
		t.Errorf("recorded %+v, want a refusal", r)
	}
}
