package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/usage"

	"github.com/google/go-cmp/cmp"
)

func TestUsageIsKeptOnceAndPerWorkspace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, s := context.Background(), store.NewUsage(db)
		start := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
		cost := int64(1_250)
		var batch []usage.Record
		for i := range 70 { // more than one chunk
			batch = append(batch, usage.Record{ID: fmt.Sprintf("u%03d", i), WorkspaceID: "w1", Model: "m", Outcome: usage.Answered, At: start.Add(time.Duration(i) * time.Second)})
		}
		last := &batch[69]
		last.UserID, last.WorkflowID, last.ExecutionID, last.NodeID, last.Agent, last.Provider = "p", "f", "e", "n", "a", "anthropic"
		last.Input, last.Output, last.CacheRead, last.CacheWrite, last.CostMicros = 1, 2, 3, 4, &cost
		last.Tool, last.Above, last.APIKeyID, last.Reasoning = "t", []string{"x", "y"}, "k", 1
		last.Latency, last.FirstToken, last.Outcome, last.ErrorCode = 1500*time.Millisecond, 200*time.Millisecond, usage.Failed, "overloaded"
		other := usage.Record{WorkspaceID: "w2", Outcome: usage.Answered, At: start}
		for _, b := range [][]usage.Record{nil, batch, batch, {other}} {
			if err := s.Add(ctx, b); err != nil {
				t.Fatal(err)
			}
		}
		all, err := s.List(ctx, "w1", start, 100)
		if err != nil || len(all) != 70 {
			t.Fatalf("%d records (%v), want 70: a batch handed in twice counts once", len(all), err)
		}
		if diff := cmp.Diff(*last, all[0]); diff != "" {
			t.Errorf("the newest record came back changed: %s", diff)
		}
		if all[1].CostMicros != nil {
			t.Error("an unknown cost came back as a number")
		}
		if theirs, err := s.List(ctx, "w2", start, 100); err != nil || len(theirs) != 1 || theirs[0].ID == "" {
			t.Errorf("w2 has %v (%v), want its one record with an id", theirs, err)
		}
	})
}
