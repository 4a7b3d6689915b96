package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/agent"
	"agentstudio/internal/bus/memory"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/scripted"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/usage"

	"github.com/google/uuid"
)

// attemptHeader numbers the calls, so that each end knows which one it is.
const attemptHeader = "X-Attempt"

type attemptKey struct{}

// attempts is a provider whose calls are numbered, with what became of each:
// what the server said it had used, and what of that has arrived. It is the
// provider's transport as well.
type attempts struct {
	llm.Provider

	began chan struct{} // a word for each

	mu   sync.Mutex
	all  []*attempt
	dice *rand.Rand
}

// more waits until so many more calls have begun; false: there are none.
func (a *attempts) more(n int) bool {
	for range n {
		select {
		case <-a.began:
		case <-time.After(time.Second):
			return false
		}
	}
	return true
}

type attempt struct {
	seen    bool         // by the server
	said    llm.Usage    // by the server, in events that it has written whole
	arrived bytes.Buffer // at the provider
	cut     bool         // by us: its context ended
}

// roll returns a number below n.
func (a *attempts) roll(n int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dice.IntN(n)
}

func (a *attempts) Generate(ctx context.Context, req llm.Request, onPart func(llm.Part)) (*llm.Response, error) {
	one := &attempt{}
	a.mu.Lock()
	a.all = append(a.all, one)
	n := len(a.all) - 1
	a.mu.Unlock()
	a.began <- struct{}{}
	r, err := a.Provider.Generate(context.WithValue(ctx, attemptKey{}, n), req, onPart)
	a.mu.Lock()
	one.cut = ctx.Err() != nil
	a.mu.Unlock()
	return r, err
}

// RoundTrip implements http.RoundTripper.
func (a *attempts) RoundTrip(r *http.Request) (*http.Response, error) {
	n, _ := r.Context().Value(attemptKey{}).(int)
	r = r.Clone(r.Context())
	r.Header.Set(attemptHeader, strconv.Itoa(n))
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		response.Body = &tap{response.Body, a, n}
	}
	return response, err
}

// tap notes what is read.
type tap struct {
	io.ReadCloser
	of *attempts
	n  int
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.of.all[t.n].arrived.Write(p[:n])
	return n, err
}

// serve is the stand-in: it answers as the crew's scripts say, is busy, breaks
// off before or after the first piece, or tells a failure in the middle.
func (a *attempts) serve(p protocol, c *crew) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		n, bad := strconv.Atoi(r.Header.Get(attemptHeader))
		if err != nil || bad != nil {
			return
		}
		a.mu.Lock()
		one := a.all[n]
		one.seen = true
		a.mu.Unlock()
		m := p.read(body)
		found, err := c.Find(r.Context(), "", m.agent)
		var script []scripted.Line
		if err != nil || json.Unmarshal(found.Script, &script) != nil || m.turn >= len(script) {
			http.Error(w, `{"error":{"message":"nobody"}}`, http.StatusBadRequest)
			return
		}
		<-time.After(time.Duration(a.roll(5_000)) * time.Microsecond)
		mood := a.roll(12)
		if mood == 0 {
			http.Error(w, `{"error":{"message":"busy"}}`, p.busy)
			return
		}
		u := llm.Usage{Input: int64(1 + a.roll(9)), Output: int64(5 + a.roll(9)), CacheRead: int64(a.roll(9))}
		if p.busy == 529 {
			u.CacheWrite = int64(a.roll(9))
		} else {
			u.Reasoning = int64(a.roll(5))
		}
		w.Header().Set("Content-Type", "text/event-stream")
		events, first := p.events(script[m.turn], n, u)
		for i, e := range events {
			if _, err := io.WriteString(w, e.text); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			if e.used != nil {
				a.mu.Lock()
				one.said = *e.used
				a.mu.Unlock()
			}
			switch {
			case mood == 1 && i == first-1, mood == 2 && i == first+1:
				panic(http.ErrAbortHandler)
			case mood == 3 && i == first+1:
				_, _ = io.WriteString(w, p.broken)
				return
			}
			if i == first && a.roll(3) == 0 {
				<-time.After(time.Duration(a.roll(5_000)) * time.Microsecond)
			}
		}
	})
}

// told is what events that arrived say was used, by the rules of both
// protocols: of a broken event nothing is known.
func told(arrived string) (u llm.Usage) {
	whole, _, _ := cutLast(arrived, "\n\n")
	for line := range strings.SplitSeq(whole, "\n") {
		data, found := strings.CutPrefix(line, "data: ")
		var e struct {
			Message struct{ Usage *claudeUsage }
			Usage   *struct {
				Output  *int64 `json:"output_tokens"`
				Prompt  int64  `json:"prompt_tokens"`
				Said    int64  `json:"completion_tokens"`
				Details struct {
					Cached int64 `json:"cached_tokens"`
				} `json:"prompt_tokens_details"`
				More struct {
					Reasoning int64 `json:"reasoning_tokens"`
				} `json:"completion_tokens_details"`
			}
		}
		if !found || json.Unmarshal([]byte(data), &e) != nil {
			continue
		}
		switch m := e.Message.Usage; {
		case m != nil:
			u = llm.Usage{Input: m.Input, Output: m.Output, CacheRead: m.Read, CacheWrite: m.Write}
		case e.Usage != nil && e.Usage.Output != nil:
			u.Output = *e.Usage.Output
		case e.Usage != nil:
			u = llm.Usage{Input: e.Usage.Prompt - e.Usage.Details.Cached, Output: e.Usage.Said, CacheRead: e.Usage.Details.Cached, Reasoning: e.Usage.More.Reasoning}
		}
	}
	return u
}

type claudeUsage struct {
	Input  int64 `json:"input_tokens"`
	Output int64 `json:"output_tokens"`
	Read   int64 `json:"cache_read_input_tokens"`
	Write  int64 `json:"cache_creation_input_tokens"`
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

func plus(u, v llm.Usage) llm.Usage {
	return llm.Usage{Input: u.Input + v.Input, Output: u.Output + v.Output, CacheRead: u.CacheRead + v.CacheRead, CacheWrite: u.CacheWrite + v.CacheWrite, Reasoning: u.Reasoning + v.Reasoning}
}

// seedOf is LEDGER_SEED, else a new one.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("LEDGER_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("LEDGER_SEED=%d", seed)
	return seed
}

// TestTheLedgerIsWhatServersOfBothProtocolsSaid: over random graphs of agents
// that call agents, with retries, cancels, cut streams and kills, against
// servers over HTTP. What counts:
//
//   - A call is an attempt of ours: one record each, whatever came of it. Each
//     that the server has seen is one of them; one it has not seen was cut by us.
//   - The tokens of a call are what events that arrived whole said. OpenAI's
//     protocol says it at the end only, so a stream that was cut counts none;
//     Anthropic's says at the beginning what the question took and that one token
//     was answered, and in the end how many.
//   - What the server said has arrived, unless we cut the call.
func TestTheLedgerIsWhatServersOfBothProtocolsSaid(t *testing.T) {
	for name, p := range protocols() {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) { checkServed(t, db, p) })
		})
	}
}

func checkServed(t *testing.T, db *store.DB, p protocol) {
	c := &crew{answered: map[string]int{}, ran: map[string]int{}}
	a := &attempts{began: make(chan struct{}, 100_000), dice: rand.New(rand.NewPCG(seedOf(t), 0))}
	server := httptest.NewServer(a.serve(p, c))
	defer server.Close()
	a.Provider = p.provider(server.URL, &http.Client{Transport: a})
	ledger := store.NewUsage(db)
	made(t, db, ledger)
	budgets := usage.NewService(ledger, memory.New(0), usage.Config{NewID: func() string { return uuid.Must(uuid.NewV7()).String() }})
	sleepless := llm.RetryConfig{Sleep: func(context.Context, time.Duration) error { return nil }}
	runner := c.with(staffed{c, llm.Retry(llm.Meter(a, keeper{t, ledger}, nil, llm.MeterConfig{Gate: budgets}), sleepless)})
	probes := newProbes()
	for i := range 5 {
		probes.on(fmt.Sprintf("agent%d", i), func(ctx context.Context, call node.Call, cfg probeConfig) (node.Result, error) {
			out, err := runner.Run(ctx, call, agent.Settings{AgentID: cfg.Name}, []llm.Block{{Type: llm.TextBlock, Text: "go"}})
			if err != nil {
				return node.Result{}, err
			}
			return node.Output("", out.Text), nil
		})
	}
	ids := disturb(t, a, db, probes)
	records, err := ledger.List(t.Context(), "w", time.Now().Add(-time.Hour), 100_000)
	if err != nil {
		t.Fatal(err)
	}
	a.settle(t, records, ids)
	now, err := ledger.Spent(t.Context(), usage.Budget{WorkspaceID: "w", Scope: usage.OfWorkspace, Period: usage.Month}, time.Now())
	if err != nil || now.ReservedTokens != 0 {
		t.Errorf("the budget still holds %+v (%v)", now, err)
	}
}

// disturb runs executions, some of which are cancelled, in an engine that is
// killed again and again.
func disturb(t *testing.T, a *attempts, db *store.DB, probes *probes) (ids []string) {
	t.Helper()
	s := start(t, db, probes, nil)
	for i := range 5 {
		ids = append(ids, s.create(s.define(strings.Replace(graph(a.roll), "random", fmt.Sprintf("random%d", i), 1)), nil).ID)
	}
	for kills := 4; kills > 0 && a.more(1+a.roll(8)); {
		if a.roll(3) == 0 {
			id := ids[a.roll(len(ids))]
			if _, err := s.store.RequestCancel(t.Context(), "w", id); err != nil && !fault.Is(err, fault.Conflict) {
				t.Fatal(err)
			}
			s.disp.Announce(execution.Ticket{ID: id, WorkspaceID: "w"})
			continue
		}
		kills--
		s.stop()
		s = start(t, db, probes, s.programs)
	}
	for _, id := range ids {
		s.wait(id)
	}
	s.stop()
	return ids
}

// settle compares the ledger with what the server said.
func (a *attempts) settle(t *testing.T, records []usage.Record, ids []string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	var booked, arrived llm.Usage
	calls, failed, cancelled := 0, 0, 0
	for _, r := range records {
		if r.Tool != "" {
			continue
		}
		calls++
		switch r.Outcome {
		case usage.Failed:
			failed++
		case usage.Cancelled:
			cancelled++
		}
		if !slices.Contains(ids, r.ExecutionID) || r.Agent == "" || r.NodeID == "" {
			t.Errorf("nobody is named by %+v", r)
		}
		booked = plus(booked, llm.Usage{Input: r.Input, Output: r.Output, CacheRead: r.CacheRead, CacheWrite: r.CacheWrite, Reasoning: r.Reasoning})
	}
	cuts := 0
	for n, one := range a.all {
		got := told(one.arrived.String())
		arrived = plus(arrived, got)
		if one.cut {
			cuts++
		}
		if !one.cut && (got != one.said || !one.seen) {
			t.Errorf("of call %d %+v arrived, the server (which saw it: %t) said %+v", n, got, one.seen, one.said)
		}
	}
	t.Logf("%d calls, %d failed, %d cancelled, %d cut by us: %+v", calls, failed, cancelled, cuts, booked)
	if booked != arrived || calls != len(a.all) || failed == 0 || cancelled > cuts {
		t.Errorf("the ledger holds %+v in %d calls, %d failed, %d cancelled; the server said %+v in %d, of which %d were cut", booked, calls, failed, cancelled, arrived, len(a.all), cuts)
	}
}
