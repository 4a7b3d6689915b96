package tool_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/limit"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
	"agentstudio/internal/usage"
)

type book []usage.Record

func (b *book) Record(_ context.Context, r usage.Record) { *b = append(*b, r) }

// press is a tool that counts its runs.
func press(rate limit.Rate, runs *int) tool.Tool {
	return tool.Tool{Spec: tool.Spec{Name: "press", Schema: json.RawMessage(`{}`), Limit: rate}, Run: func(context.Context, tool.Call) (tool.Result, error) {
		*runs++
		return tool.Result{Text: "pressed", Usage: node.Usage{CostMicros: 7}}, nil
	}}
}

func TestAToolIsUsedAsOftenAsItMayBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		runs := 0
		g, press := tool.NewGate(tool.GateConfig{Ledger: &b}), press(limit.Rate{Requests: 2, Per: time.Minute}, &runs)
		use := func(workspace string) error {
			_, err := g.Use(t.Context(), press, tool.Call{WorkspaceID: workspace})
			return err
		}
		if err := errors.Join(use("a"), use("a"), use("b")); err != nil {
			t.Fatal(err)
		}
		for range 3 { // what is refused does not count
			err := use("a")
			if !fault.Is(err, fault.TooMany) || !tool.Limited(err) || fault.As(err).RetryAfter != 30*time.Second || !strings.Contains(err.Error(), "the tool press may be used 2 times in 1m in this workspace") || !strings.Contains(err.Error(), "try again in 30s") {
				t.Fatalf("got %v", err)
			}
		}
		if runs != 3 || len(b) != 6 {
			t.Fatalf("ran %d times, %d entries", runs, len(b))
		}
		if last := b[5]; last.Outcome != usage.Failed || last.ErrorCode != "tool_limit" || last.CostMicros == nil || *last.CostMicros != 0 || last.Tool != "press" {
			t.Errorf("entered %+v", last)
		}
		<-time.After(30 * time.Second)
		if err := use("a"); err != nil || runs != 4 {
			t.Errorf("half a minute later: %v after %d runs", err, runs)
		}
	})
}

// broken is a limiter that fails.
type broken struct{}

func (broken) Take(context.Context, string, limit.Rate) (limit.Verdict, error) {
	return limit.Verdict{}, errors.New("no answer")
}

func TestAGateCountsForItselfWhileTheLimiterFails(t *testing.T) {
	runs := 0
	g, press := tool.NewGate(tool.GateConfig{Limiter: broken{}}), press(limit.Rate{Requests: 1, Per: time.Hour}, &runs)
	if _, err := g.Use(t.Context(), press, tool.Call{}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Use(t.Context(), press, tool.Call{}); !tool.Limited(err) || runs != 1 {
		t.Errorf("got %v after %d runs", err, runs)
	}
}

func TestAWorkflowThatAnswersACallIsCountedOnce(t *testing.T) {
	var b book
	runs := 0
	g, press := tool.NewGate(tool.GateConfig{Ledger: &b}), press(limit.Rate{Requests: 2, Per: time.Hour}, &runs)
	press.Child = func(context.Context, tool.Call) (node.ChildStart, bool, error) {
		return node.ChildStart{WorkflowID: "w"}, true, nil
	}
	ask := func(key string) error {
		start, runs, err := g.Child(t.Context(), press, tool.Call{Key: key})
		if err == nil && (!runs || start.WorkflowID != "w") {
			t.Errorf("%s: got %+v, %t", key, start, runs)
		}
		return err
	}
	if err := errors.Join(ask("one"), ask("one"), ask("two"), ask("two")); err != nil {
		t.Fatal(err)
	}
	if err := ask("three"); !tool.Limited(err) {
		t.Errorf("the third was let through: %v", err)
	}
	if err := ask("three"); !tool.Limited(err) { // it was not counted, and so not remembered
		t.Errorf("the third was let through when it was asked again: %v", err)
	}
	if r, err := g.Ended(t.Context(), press, tool.Call{Key: "one"}, &node.Resume{Data: "done"}); err != nil || r.Value != "done" {
		t.Errorf("got %+v, %v", r, err)
	}
	if err := ask("one"); !tool.Limited(err) { // a new call
		t.Errorf("a call after the end was not counted: %v", err)
	}
	if runs != 0 || len(b) != 4 || b[2].Outcome != usage.Answered {
		t.Errorf("ran %d times; entered %+v", runs, b)
	}
}
