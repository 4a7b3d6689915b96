package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"

	"github.com/google/uuid"
)

func pending(change func(*execution.New)) execution.New {
	n := execution.New{Execution: execution.Execution{ID: uuid.NewString(), WorkspaceID: "w", WorkflowID: "f", WorkflowName: "F", WorkflowVersion: 1, Status: execution.Pending,
		TriggerType: "api", TriggerData: json.RawMessage("{}"), CreatedAt: time.Now(), Epoch: 1}}
	if change != nil {
		change(&n)
	}
	return n
}

func TestManyExecutionsAreCreatedTogetherOrNotAtAll(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := store.NewExecutions(db, nil, time.Now)
		keyed := func(key, hash string) execution.New {
			return pending(func(n *execution.New) { n.IdempotencyKey, n.RequestHash = key, hash })
		}
		news := []execution.New{pending(nil), keyed("b", "1"), keyed("a", "1"), keyed("b", "1")}
		ids, created, err := s.CreateAll(t.Context(), news)
		if err != nil || fmt.Sprint(created) != "[true true true false]" || ids[3] != ids[1] || ids[0] != news[0].ID {
			t.Fatalf("%v %v %v", ids, created, err)
		}
		_, _, err = s.CreateAll(t.Context(), []execution.New{pending(nil), keyed("a", "2"), keyed("b", "2")})
		f := fault.As(err)
		if f == nil || f.Kind != fault.Invalid || len(f.Details) != 2 || f.Details[0].Location != "body.items[1].idempotency_key" {
			t.Fatalf("%+v", err)
		}
		place := &execution.Place{Key: "f ", Limit: 1, Strategy: "reject"}
		_, _, err = s.CreateAll(t.Context(), []execution.New{keyed("b", "1"), pending(func(n *execution.New) { n.Place = place }), pending(func(n *execution.New) { n.Place = place })})
		f = fault.As(err)
		if f == nil || f.Code != "concurrency_limit" || len(f.Details) != 1 || f.Details[0].Location != "body.items[2]" {
			t.Fatalf("%+v", err)
		}
		p, err := s.List(t.Context(), "w", execution.Filter{Limit: 10})
		if err != nil || p.Total != 3 {
			t.Errorf("%d executions (%v), want 3", p.Total, err)
		}
	})
}

func TestWhatFewExecutionsHaveIsReadBackAndGoesWithThem(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := store.NewExecutions(db, nil, time.Now)
		n := pending(func(n *execution.New) {
			n.Status, n.CompletedAt = execution.Completed, time.Now()
			n.DryRun, n.Pinned = true, map[string]json.RawMessage{"a": json.RawMessage(`1`)}
			n.Lineage = &execution.Lineage{Edited: true, Reused: []string{"a"}, Config: map[string]json.RawMessage{"b": json.RawMessage(`{}`)}}
			n.Definition = json.RawMessage(`{"name":"Edited","nodes":[],"connections":[]}`)
			n.Payloads = []execution.Payload{{Hash: "h", Data: []byte(`"large"`)}}
		})
		if _, _, err := s.CreateAll(t.Context(), []execution.New{n, pending(nil)}); err != nil {
			t.Fatal(err)
		}
		x, err := s.Find(t.Context(), "w", n.ID)
		if err != nil || !x.DryRun || string(x.Pinned["a"]) != "1" || !x.Lineage.Edited || strings.Join(x.Lineage.Reused, "") != "a" || string(x.Lineage.Config["b"]) != "{}" {
			t.Fatalf("%+v %v", x, err)
		}
		flows := store.NewWorkflows(db, node.NewKinds())
		if d, err := flows.Edited(t.Context(), "w", n.ID); err != nil || d.Name != "Edited" {
			t.Fatalf("%+v %v", d, err)
		}
		if _, err := flows.Edited(t.Context(), "other", n.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("another workspace reads the definition: %v", err)
		}
		if data, err := s.Payload(t.Context(), "w", "h"); err != nil || string(data) != `"large"` {
			t.Errorf("%s %v", data, err)
		}
		if err := s.Delete(t.Context(), "w", n.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := flows.Edited(t.Context(), "w", n.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("the definition outlives its execution: %v", err)
		}
	})
}

// Starts that cancel one another, in two processes at once, neither block each
// other nor lose anybody.
func TestStartsThatCancelOneAnotherDoNotBlockEachOther(t *testing.T) {
	url := storetest.PostgresURL(t)
	var all [2]*store.Executions
	for i := range all {
		all[i] = store.NewExecutions(storetest.Open(t, store.Config{URL: url, MaxConns: 4}), nil, time.Now)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- all[i].Run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	var starts sync.WaitGroup
	for i := range 60 {
		starts.Go(func() {
			n := pending(func(n *execution.New) {
				n.Place = &execution.Place{Key: fmt.Sprint("f ", i%3), Limit: 2, Strategy: "cancel_running"}
			})
			if _, _, err := all[i%2].Create(t.Context(), n); err != nil {
				t.Error(err)
			}
		})
	}
	starts.Wait()
	p, err := all[0].List(t.Context(), "w", execution.Filter{Limit: 100})
	if err != nil || p.Total != 60 {
		t.Fatalf("%d executions (%v)", p.Total, err)
	}
	placed, held, cancelled := 0, 0, 0
	for _, x := range p.Items {
		switch {
		case x.CancelRequested:
			cancelled++
		case x.Hold == execution.Queued:
			held++
		default:
			placed++
		}
	}
	if held != 3 || placed != 0 || cancelled != 57 {
		t.Errorf("%d have places, %d wait, %d are cancelled: want 0, one of each key, and all others", placed, held, cancelled)
	}
}
