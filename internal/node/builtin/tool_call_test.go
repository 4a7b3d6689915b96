package builtin_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/node/builtin"
	"agentstudio/internal/node/nodetest"
	"agentstudio/internal/tool"
	"agentstudio/internal/usage"
)

type toolBook struct{ records []usage.Record }

func (b *toolBook) Record(_ context.Context, r usage.Record) { b.records = append(b.records, r) }

// cutOff is a life of a tool node that died in the middle of its call: only
// that it had begun is left.
func cutOff(t *testing.T, effect bool, config map[string]any) (next *nodetest.Host, run func(*nodetest.Host) (node.Result, error), calls *int, book *toolBook) {
	t.Helper()
	calls, book = new(int), &toolBook{}
	press := tool.Tool{Spec: tool.Spec{Name: "press", Schema: json.RawMessage(`{"type":"object"}`), Effect: effect}, Run: func(_ context.Context, c tool.Call) (tool.Result, error) {
		if *calls++; c.Key != "e1/n1/" || c.WorkflowID != "f1" {
			t.Errorf("called as %+v", c)
		}
		return tool.Result{Value: "pressed", Usage: node.Usage{CostMicros: 5}}, nil
	}}
	kind, _ := node.NewKinds(builtin.Kinds(builtin.Deps{Tools: tool.NewShelf(tool.NewCatalogue(press), nil), Gate: tool.NewGate(tool.GateConfig{Ledger: book}), Now: func() time.Time { return noon }})...).Find("tool")
	config["tool"] = "press"
	cfg, err := kind.Decode(config)
	if err != nil {
		t.Fatal(err)
	}
	run = func(h *nodetest.Host) (node.Result, error) {
		return kind.Run(t.Context(), node.Call{Host: h, ExecutionID: "e1", NodeID: "n1", Key: "e1/n1/", WorkspaceID: "w1", WorkflowID: "f1", Attempt: 1}, cfg)
	}
	first := nodetest.New(nil)
	if r, err := run(first); err != nil || r.Value != "pressed" || *calls != 1 {
		t.Fatalf("got %+v, %v", r, err)
	}
	if len(book.records) != 1 || book.records[0].Tool != "press" || *book.records[0].CostMicros != 5 || book.records[0].WorkflowID != "f1" {
		t.Fatalf("the ledger has %+v", book.records)
	}
	return first.Next("call-1/begun-1"), run, calls, book
}

func TestACallThatWasCutOffIsNotMadeAgainInSilence(t *testing.T) {
	next, run, calls, _ := cutOff(t, true, map[string]any{})
	parked, err := run(next)
	if err != nil || parked.Park == nil || len(parked.Park.Asks) != 1 || !strings.Contains(parked.Park.Asks[0].Message, "press") || *calls != 1 {
		t.Fatalf("got %+v, %v after %d calls", parked, err, *calls)
	}
	ask := parked.Park.Asks[0].Name
	next.Answers = map[string]node.Answer{ask: {Decision: node.Rejected}}
	if _, err := run(next); fault.As(err) == nil || fault.As(err).Code != "unknown_outcome" || *calls != 1 {
		t.Fatalf("got %v after %d calls", err, *calls)
	}
	next.Answers = map[string]node.Answer{ask: {Decision: node.Approved}}
	if r, err := run(next); err != nil || r.Value != "pressed" || *calls != 2 {
		t.Fatalf("got %+v, %v after %d calls", r, err, *calls)
	}
	// It dies once more, after the leave was given: that leave was for one call.
	again := next.Next("call-1/begun-1", "call-1/begun-2")
	again.Answers = next.Answers
	if parked, err = run(again); err != nil || parked.Park == nil || parked.Park.Asks[0].Name == ask || *calls != 2 {
		t.Fatalf("got %+v, %v after %d calls", parked, err, *calls)
	}
}

func TestWhatHappensToACallThatWasCutOffCanBeSaid(t *testing.T) {
	next, run, calls, _ := cutOff(t, true, map[string]any{"on_crash": "fail"})
	if _, err := run(next); fault.As(err) == nil || fault.As(err).Code != "unknown_outcome" || *calls != 1 {
		t.Errorf("fail: got %v after %d calls", err, *calls)
	}
	next, run, calls, _ = cutOff(t, true, map[string]any{"on_crash": "repeat"})
	if r, err := run(next); err != nil || r.Value != "pressed" || *calls != 2 || len(next.Logs()) != 1 {
		t.Errorf("repeat: got %+v, %v after %d calls", r, err, *calls)
	}
	next, run, calls, _ = cutOff(t, false, map[string]any{})
	if r, err := run(next); err != nil || r.Value != "pressed" || *calls != 2 {
		t.Errorf("no effect: got %+v, %v after %d calls", r, err, *calls)
	}
}

func TestACallThatWasMadeIsNotMadeAgain(t *testing.T) {
	_, run, calls, book := cutOff(t, true, map[string]any{})
	h := nodetest.New(nil)
	if _, err := run(h); err != nil {
		t.Fatal(err)
	}
	before := *calls
	if r, err := run(h.Next()); err != nil || r.Value != "pressed" || *calls != before || len(book.records) != before {
		t.Errorf("got %+v, %v after %d calls", r, err, *calls)
	}
}
