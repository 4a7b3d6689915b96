package toolbox_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
	"agentstudio/internal/toolbox"
	"agentstudio/internal/usage"
)

// book keeps the records of a test.
type book []usage.Record

func (b *book) Record(_ context.Context, r usage.Record) { *b = append(*b, r) }

type nothing struct{}

func TestAToolThatTakesTooLongIsEndedAndRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := tool.Define(tool.Spec{Name: "slow", Title: "Slow", Risk: node.RiskLow}, func(ctx context.Context, _ tool.Call, _ nothing) (tool.Result, error) {
			<-ctx.Done()
			return tool.Result{}, ctx.Err()
		})
		var b book
		s := toolbox.New(tool.NewShelf(tool.NewCatalogue(slow), nil), nil, tool.NewGate(tool.GateConfig{Ledger: &b}), toolbox.Config{ToolTime: time.Minute})
		by := access.Actor{UserID: "u", Roles: map[string]access.Role{"w": access.Editor}}
		if _, err := s.Use(t.Context(), by, "w", "slow", []byte(`{}`)); !fault.Is(err, fault.Timeout) {
			t.Errorf("got %v", err)
		}
		if len(b) != 1 || b[0].Outcome != usage.Failed || b[0].ErrorCode != "timeout" || b[0].Latency != time.Minute || b[0].UserID != "u" {
			t.Errorf("recorded %+v", b)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := s.Use(ctx, by, "w", "slow", []byte(`{}`)); err == nil {
			t.Error("a call that nobody waits for went on")
		}
		if len(b) != 2 || b[1].Outcome != usage.Cancelled {
			t.Errorf("recorded %+v", b)
		}
	})
}
