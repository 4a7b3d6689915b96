package engine_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
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
	"agentstudio/internal/workspace"

	"github.com/google/uuid"
)

// moody is a provider that answers, is overloaded, or breaks off, and counts
// what it bills: the whole answer, nothing, or the prompt and what it had said.
type moody struct {
	scripted.Provider

	mu     sync.Mutex
	billed llm.Usage
	calls  int
}

func (m *moody) bill(u llm.Usage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	m.billed.Input += u.Input
	m.billed.Output += u.Output
	m.billed.CacheRead += u.CacheRead
	m.billed.CacheWrite += u.CacheWrite
	m.billed.Reasoning += u.Reasoning
}

func (m *moody) Generate(ctx context.Context, req llm.Request, onPart func(llm.Part)) (*llm.Response, error) {
	u := llm.Usage{Input: 1 + rand.Int64N(9), Output: 5 + rand.Int64N(9), CacheRead: rand.Int64N(9), CacheWrite: rand.Int64N(9), Reasoning: rand.Int64N(5)}
	begun := u
	begun.Output, begun.Reasoning = 1, 0
	if err := rest(ctx); err != nil {
		m.bill(begun)
		return nil, llm.Counted(err, begun)
	}
	switch rand.IntN(10) {
	case 0:
		m.bill(llm.Usage{})
		return nil, fault.New(fault.Upstream, "too much to do").WithCode(llm.Overloaded)
	case 1:
		m.bill(begun)
		if rand.IntN(2) == 0 {
			onPart(llm.Part{Type: llm.TextPart, Text: "so"}) // then nothing repeats it but the node
		}
		return nil, llm.Counted(fault.New(fault.Upstream, "broke off").WithCode(llm.StreamCut), begun)
	}
	r, err := m.Provider.Generate(ctx, req, onPart)
	if err != nil {
		m.bill(begun)
		return nil, llm.Counted(err, begun)
	}
	m.bill(u)
	r.Usage = u
	return r, nil
}

// keeper writes records at once.
type keeper struct {
	t     testing.TB
	store *store.Usage
}

func (k keeper) Record(ctx context.Context, r usage.Record) {
	if err := k.store.Add(ctx, []usage.Record{r}); err != nil {
		k.t.Error(err)
	}
}

// staffed finds the crew's agents, and one model.
type staffed struct {
	*crew
	model llm.Model
}

func (s staffed) Model([]string) (llm.Model, error) { return s.model, nil }

// graph is a random workflow of agents, side by side and one behind the other,
// that are tried again when their model fails.
func graph(roll func(int) int) string {
	agents := []string{"lead", "left", "right", "deep"}
	text, links := "name: random\nsettings: {}\nnodes:\n  - {id: start, kind: manual-trigger}\n", []string{}
	before := []string{"start"}
	for i := range 1 + roll(4) {
		id := fmt.Sprintf("agent%d", i)
		text += fmt.Sprintf("  - {id: %s, kind: probe, on_error: continue, retry: {max_attempts: 3, delays: [0.001, 0.001]}, config: {name: %s}}\n", id, agents[roll(len(agents))])
		links = append(links, fmt.Sprintf("{source: %s, target: %s}", before[roll(len(before))], id))
		before = append(before, id)
	}
	return text + "connections: [" + strings.Join(links, ", ") + "]\n"
}

// TestTheLedgerIsWhatTheProviderCounted: over random graphs with retries,
// cancels, cut streams, agents that call agents and restarts, with a budget
// that watches every call and without one.
func TestTheLedgerIsWhatTheProviderCounted(t *testing.T) {
	for _, watched := range []bool{false, true} {
		t.Run(fmt.Sprintf("watched=%t", watched), func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) { checkLedger(t, db, watched) })
		})
	}
}

func checkLedger(t *testing.T, db *store.DB, watched bool) {
	ledger := store.NewUsage(db)
	budgets := usage.NewService(ledger, memory.New(0), usage.Config{NewID: func() string { return uuid.Must(uuid.NewV7()).String() }})
	if watched {
		made(t, db, ledger)
	}
	provider := &moody{}
	sleepless := llm.RetryConfig{Sleep: func(context.Context, time.Duration) error { return nil }}
	model := llm.Retry(llm.Meter(provider, keeper{t, ledger}, nil, llm.MeterConfig{Gate: budgets}), sleepless)
	c := &crew{answered: map[string]int{}, ran: map[string]int{}}
	runner := c.with(staffed{c, model})
	p := newProbes()
	for i := range 5 {
		p.on(fmt.Sprintf("agent%d", i), func(ctx context.Context, call node.Call, cfg probeConfig) (node.Result, error) {
			out, err := runner.Run(ctx, call, agent.Settings{AgentID: cfg.Name}, []llm.Block{{Type: llm.TextBlock, Text: "go"}})
			if err != nil {
				return node.Result{}, err
			}
			return node.Output("", out.Text), nil
		})
	}
	s := start(t, db, p, nil)
	var ids []string
	for i := range 20 {
		ids = append(ids, s.create(s.define(strings.Replace(graph(rand.IntN), "random", fmt.Sprintf("random%d", i), 1)), nil).ID)
	}
	for range 8 {
		<-time.After(time.Duration(rand.IntN(15)) * time.Millisecond)
		if rand.IntN(2) == 0 {
			id := ids[rand.IntN(len(ids))]
			if _, err := s.store.RequestCancel(t.Context(), "w", id); err != nil && !fault.Is(err, fault.Conflict) {
				t.Fatal(err)
			}
			s.disp.Announce(execution.Ticket{ID: id, WorkspaceID: "w"})
			continue
		}
		s.stop()
		s = start(t, db, p, s.programs)
	}
	for _, id := range ids {
		s.wait(id)
	}
	s.stop()
	records, err := ledger.List(t.Context(), "w", time.Now().Add(-time.Hour), 100_000)
	if err != nil {
		t.Fatal(err)
	}
	var sum llm.Usage
	calls, failed := 0, 0
	for _, r := range records {
		if r.Tool != "" {
			continue
		}
		calls++
		if r.Outcome != usage.Answered {
			failed++
		}
		if !slices.Contains(ids, r.ExecutionID) || r.Agent == "" || r.NodeID == "" {
			t.Errorf("nobody is named by %+v", r)
		}
		sum.Input += r.Input
		sum.Output += r.Output
		sum.CacheRead += r.CacheRead
		sum.CacheWrite += r.CacheWrite
		sum.Reasoning += r.Reasoning
	}
	if sum != provider.billed || calls != provider.calls || failed == 0 {
		t.Errorf("the ledger holds %+v in %d calls, %d failed; the provider counted %+v in %d", sum, calls, failed, provider.billed, provider.calls)
	}
	if watched {
		now, err := ledger.Spent(t.Context(), usage.Budget{WorkspaceID: "w", Scope: usage.OfWorkspace, Period: usage.Month}, time.Now())
		if want := sum.Input + sum.Output + sum.CacheRead + sum.CacheWrite; err != nil || now.Tokens != want || now.ReservedTokens != 0 {
			t.Errorf("the budget holds %+v (%v), want %d tokens", now, err, want)
		}
	}
}

// made makes a budget that is large enough for everything.
func made(t *testing.T, db *store.DB, ledger *store.Usage) {
	t.Helper()
	now := time.Now()
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		if _, err := tx.Exec(`INSERT INTO users (id, email, created_at, updated_at) VALUES ('u', 'u@x.test', 1, 1)`); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO workspaces (id, name, slug, created_by, created_at, updated_at) VALUES ('w', 'W', 'w', 'u', 1, 1)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = ledger.AddBudget(t.Context(), usage.Budget{ID: "b", WorkspaceID: "w", Scope: usage.OfWorkspace, Period: usage.Month, MaxTokens: 1 << 40, Version: 1, CreatedAt: now, UpdatedAt: now}, 10,
		workspace.Activity{WorkspaceID: "w", Action: "budget.created", At: now})
	if err != nil {
		t.Fatal(err)
	}
}
