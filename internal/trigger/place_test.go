package trigger_test

import (
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/workflow"
)

const oneAtATime = `{"concurrency":{"limit":1,"strategy":"reject"}}`

// refusedOnce checks that the first start runs and the second is kept as skipped.
func refusedOnce(t *testing.T, r *replica, id string) {
	t.Helper()
	got := r.started(id)
	if len(got) != 2 || got[0].Status == got[1].Status {
		t.Fatalf("started %+v", got)
	}
	reasons := query(t, r.db, `SELECT error FROM executions WHERE workflow_id = $1 AND status = 'cancelled'`, id)
	if len(reasons) != 1 || reasons[0][0] != `{"code":"concurrency_limit","message":"at most 1 execution of this workflow runs at a time: wait until one ends"}` {
		t.Errorf("reasons %v", reasons)
	}
}

func TestATickThatFindsNoPlaceIsKeptAsSkipped(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r, c, l := alone(t, db)
		id := r.create("schedule-trigger", `{"every":"30m","overlap":"allow"}`, oneAtATime)
		r.set(id, workflow.Published)
		<-l.Woken()
		look(t, l)
		for i := range 2 {
			c.set(noon.Add(time.Duration(i+1)*30*time.Minute + time.Second))
			look(t, l)
		}
		refusedOnce(t, r, id)
	})
}

func TestAnEventThatFindsNoPlaceIsKeptAsSkipped(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r, l := following(t, db)
		source := r.create("manual-trigger", `{}`, "")
		id := r.create("event-trigger", `{}`, oneAtATime)
		r.set(id, workflow.Published)
		for range 2 {
			r.end(r.run(source, "manual", 0), execution.Failed, "")
			look(t, l)
		}
		refusedOnce(t, r, id)
	})
}

func TestAFileThatFindsNoPlaceIsKeptAsSkipped(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r, _ := following(t, db)
		id := r.create("file-trigger", `{"path":"in/*"}`, oneAtATime)
		r.set(id, workflow.Published)
		for _, key := range []string{"1", "2"} {
			if err := r.runner.FileArrived(t.Context(), node.FileArrival{WorkspaceID: workspaceID, Path: "in/a", Key: key}); err != nil {
				t.Fatal(err)
			}
		}
		refusedOnce(t, r, id)
	})
}
