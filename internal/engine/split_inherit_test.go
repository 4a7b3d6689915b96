package engine_test

import (
	"encoding/json"
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

func TestSharesRunDryAndEditedAsTheirExecutionDoes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newProbes()
		p.splitFrom = 2
		s := start(t, db, p, nil)
		id := s.define(spreadSplit("edited", 40, 4, ""))
		x := execution.Execution{ID: newID(), WorkspaceID: "w", WorkflowID: id, WorkflowName: id, WorkflowVersion: 1, Status: execution.Pending, TriggerType: "manual",
			TriggerData: []byte("{}"), CreatedAt: time.Now(), Epoch: 1, Worker: "local", DryRun: true, Pinned: map[string]json.RawMessage{"work": []byte("7")},
			Lineage: &execution.Lineage{Edited: true}}
		definition, err := json.Marshal(s.programs[id].Definition)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.store.Create(t.Context(), execution.New{Execution: x, Definition: definition}); err != nil {
			t.Fatal(err)
		}
		s.disp.Announce(execution.Ticket{ID: x.ID, WorkspaceID: "w"})
		s.wait(x.ID)
		page, err := s.store.List(t.Context(), "w", execution.Filter{Limit: 100, ParentID: x.ID})
		if err != nil || len(page.Items) == 0 {
			t.Fatalf("no shares (%v)", err)
		}
		for _, listed := range page.Items {
			share := s.find(listed.ID)
			if !share.DryRun || string(share.Pinned["work"]) != "7" || share.Lineage == nil || !share.Lineage.Edited {
				t.Errorf("a share is %+v", share)
			}
			if own, err := store.NewWorkflows(db, s.kinds).Edited(t.Context(), "w", share.ID); err != nil || len(own.Nodes) != len(s.programs[id].Definition.Nodes) {
				t.Errorf("its definition: %v, %v", own, err)
			}
		}
	})
}
