package trigger_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/trigger"
	"agentstudio/internal/usage"
	"agentstudio/internal/workflow"
	"agentstudio/internal/workspace"
)

// run makes an execution of a workflow, as a person or an event does.
func (r *replica) run(workflowID, triggerType string, depth int) string {
	r.t.Helper()
	x := execution.Execution{ID: newID(), WorkspaceID: workspaceID, WorkflowID: workflowID, WorkflowName: "W", WorkflowVersion: 1, Status: execution.Pending,
		TriggerType: triggerType, StartNode: "in", TriggerData: json.RawMessage("{}"), Depth: depth, CreatedAt: noon, Epoch: 1}
	if _, _, err := r.runs.Create(r.t.Context(), execution.New{Execution: x}); err != nil {
		r.t.Fatal(err)
	}
	return x.ID
}

// following is one replica with its follower.
func following(t *testing.T, db *store.DB) (*replica, trigger.Looker) {
	t.Helper()
	room(t, db)
	r := newReplica(t, db, (&clock{at: noon}).now)
	return r, r.runner.FollowUps()
}

func TestEndOfAnExecutionStartsWhoListens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r, l := following(t, db)
		source, other := r.create("manual-trigger", `{}`, ""), r.create("manual-trigger", `{}`, "")
		failures := r.publish("event-trigger", `{}`)
		every := r.publish("event-trigger", `{"events":["failed","completed","cancelled"]}`)
		named := r.publish("event-trigger", `{"events":["completed"],"workflow_ids":["`+source+`"]}`)
		draft := r.create("event-trigger", `{}`, "")
		r.end(r.run(source, "manual", 0), execution.Completed, "")
		r.end(r.run(source, "manual", 0), execution.Cancelled, "")
		r.end(r.run(other, "manual", 0), execution.Completed, "")
		failed := r.run(other, "manual", 0)
		r.end(failed, execution.Failed, "")
		<-l.Woken()
		look(t, l)
		for id, want := range map[string]int{failures: 1, every: 4, named: 1, draft: 0} {
			if n := len(r.started(id)); n != want {
				t.Errorf("%s was started %d times, want %d", id, n, want)
			}
		}
		x := r.started(failures)[0]
		var data map[string]any
		if err := json.Unmarshal(x.TriggerData, &data); err != nil {
			t.Fatal(err)
		}
		if data["event"] != "execution.failed" || data["execution_id"] != failed || data["workflow_id"] != other || data["status"] != "failed" ||
			data["error"].(map[string]any)["message"] != "it broke" || x.Depth != 1 || x.ParentID != failed {
			t.Errorf("started with %s (depth %d, after %s)", x.TriggerData, x.Depth, x.ParentID)
		}
		if n := len(r.announced.all); n != 6 {
			t.Errorf("%d executions were announced", n)
		}
		if left := query(t, db, `SELECT id FROM follow_ups`); len(left) != 0 {
			t.Errorf("left over: %v", left)
		}
	})
}

func TestEventsDoNotStartOneAnotherForEver(t *testing.T) {
	r, l := following(t, storetest.SQLite(t))
	all := `{"events":["failed","completed","cancelled"]}`
	a, b := r.publish("event-trigger", all), r.publish("event-trigger", all)
	ended := map[string]bool{}
	settle := func() (executions int) {
		for {
			look(t, l)
			open := query(t, r.db, `SELECT id FROM executions WHERE status = 'pending'`)
			if len(open) == 0 {
				return len(query(t, r.db, `SELECT id FROM executions`))
			}
			for _, x := range open {
				if ended[x[0]] || len(ended) > 200 {
					t.Fatal("they start one another for ever")
				}
				ended[x[0]] = true
				r.end(x[0], execution.Failed, "")
			}
		}
	}
	r.run(a, "manual", 0)
	if n := settle(); n != 2 {
		t.Errorf("%d executions: a workflow hears of itself, or of what an event has started", n)
	}
	exec(t, r.db, `DELETE FROM executions`)
	// Two that name each other go on, to the depth that is allowed.
	r.set(a, workflow.Draft)
	r.set(b, workflow.Draft)
	var c string
	d := r.publish("event-trigger", `{"workflow_ids":["c"]}`)
	c = r.publish("event-trigger", `{"workflow_ids":["`+d+`"]}`)
	exec(t, r.db, `UPDATE listeners SET subject = $1 WHERE workflow_id = $2`, c, d)
	r.run(c, "manual", 0)
	if n := settle(); n != execution.MaxChain+1 {
		t.Errorf("a chain of %d executions", n)
	}
}

func TestFailureStartsTheErrorWorkflow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r, l := following(t, db)
		source := r.create("manual-trigger", `{}`, "")
		published, draft, archived := r.publish("event-trigger", `{"events":["cancelled"]}`), r.create("manual-trigger", `{}`, ""), r.create("manual-trigger", `{}`, "")
		r.set(archived, workflow.Archived)
		stranger := r.create("manual-trigger", `{}`, "")
		exec(t, db, `INSERT INTO workspaces (id, name, slug, created_by, created_at, updated_at) VALUES ('other', 'Other', 'other', 'u', 0, 0)`)
		exec(t, db, `UPDATE workflows SET workspace_id = 'other' WHERE id = $1`, stranger)
		for _, target := range []string{published, draft, archived, stranger, source, "gone"} {
			r.end(r.run(source, "manual", 0), execution.Failed, target)
			r.end(r.run(source, "manual", 0), execution.Completed, target)
		}
		look(t, l)
		for name, c := range map[string]struct {
			id   string
			want int
		}{"published": {published, 1}, "draft": {draft, 1}, "archived": {archived, 0}, "of another workspace": {stranger, 0}} {
			if n := len(r.started(c.id)); n != c.want {
				t.Errorf("%s: started %d times", name, n)
			}
		}
		if n := len(r.started(source)); n != 12 {
			t.Errorf("it is its own error workflow: %d executions", n)
		}
		if x := r.started(draft); !strings.Contains(string(x[0].TriggerData), `"message":"it broke"`) {
			t.Errorf("started with %s", x[0].TriggerData)
		}
	})
}

// A process that dies leaves committed rows and nothing else: the follow-up is
// there as soon as the end is, and is gone only with its execution.
func TestNothingIsLostBetweenTheEndAndTheStart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r, _ := following(t, db)
		source, listener := r.create("manual-trigger", `{}`, ""), r.publish("event-trigger", `{}`)
		for range 20 {
			r.end(r.run(source, "manual", 0), execution.Failed, "")
		}
		if n := len(query(t, db, `SELECT id FROM follow_ups`)); n != 20 {
			t.Fatalf("%d of 20 follow-ups are committed with their ends", n)
		}
		finished := query(t, db, `SELECT source_id FROM follow_ups LIMIT 1`)[0][0]
		if err := r.runs.Delete(t.Context(), workspaceID, finished); !fault.Is(err, fault.Conflict) {
			t.Errorf("an execution that starts another was deleted: %v", err)
		}
		// Three processes take them up at once, and die while they do.
		lookers := make(chan error)
		others := []trigger.Looker{newFollowers(t, db), newFollowers(t, db), newFollowers(t, db)}
		for round := range 20 {
			for i, other := range others {
				go func() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+round+i)*2*time.Millisecond)
					defer cancel()
					_, err := other.Look(ctx)
					lookers <- err
				}()
			}
			for range others {
				if err := <-lookers; err != nil {
					t.Log("cut off: ", err)
				}
			}
			// At one moment: the database may still be at the commit of a process that died.
			n := query(t, db, `SELECT (SELECT count(*) FROM follow_ups), (SELECT count(*) FROM executions WHERE workflow_id = $1), (SELECT 20 - count(*) FROM follow_ups)`, listener)[0]
			if n[1] != n[2] {
				t.Fatalf("%s wait and %s have started, of 20", n[0], n[1])
			}
			if n[0] == "0" {
				return
			}
		}
		look(t, others[0])
		if n := len(r.started(listener)); n != 20 {
			t.Errorf("%d started", n)
		}
	})
}

func newFollowers(t *testing.T, db *store.DB) trigger.Looker {
	return newReplica(t, db, (&clock{at: noon}).now).runner.FollowUps()
}

func TestFilesStartWhoWaitsForTheirPath(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r, _ := following(t, db)
		invoices, any := r.publish("file-trigger", `{"path":"invoices/*.pdf"}`), r.publish("file-trigger", `{}`)
		arrive := func(f node.FileArrival) {
			t.Helper()
			f.WorkspaceID = workspaceID
			if err := r.runner.FileArrived(t.Context(), f); err != nil {
				t.Fatalf("%+v", err)
			}
		}
		arrive(node.FileArrival{Path: "invoices/a.pdf"})
		arrive(node.FileArrival{Path: "/invoices/a.pdf"}) // anew
		arrive(node.FileArrival{Path: "invoices/deep/a.pdf"})
		if a, b := len(r.started(invoices)), len(r.started(any)); a != 2 || b != 3 {
			t.Errorf("%d for the pattern, %d for any file", a, b)
		}
		if data := string(r.started(invoices)[0].TriggerData); data != `{"event":"file.arrived","path":"invoices/a.pdf","name":"a.pdf","folder":"invoices"}` {
			t.Errorf("started with %s", data)
		}
		// Told of again by a node that runs again, it is heard once.
		for range 3 {
			arrive(node.FileArrival{Path: "x.txt", Key: "e/n/", WorkflowID: invoices, ExecutionID: "e", Depth: 1})
		}
		if n := len(r.started(any)); n != 4 {
			t.Errorf("%d starts", n)
		}
		arrive(node.FileArrival{Path: "invoices/b.pdf", WorkflowID: invoices, ExecutionID: "e"})
		if n := len(r.started(invoices)); n != 2 {
			t.Errorf("a workflow was started by its own file")
		}
		arrive(node.FileArrival{Path: "y.txt", WorkflowID: "w", ExecutionID: "e", Depth: execution.MaxChain})
		if n := len(r.started(any)); n != 5 {
			t.Errorf("%d starts: too deep a chain goes on", n)
		}
		if err := r.runner.FileArrived(t.Context(), node.FileArrival{WorkspaceID: "other", Path: "invoices/a.pdf"}); err != nil || len(r.started(any)) != 5 {
			t.Errorf("a file of another workspace starts something: %v", err)
		}
	})
}

func TestPatternsOfPaths(t *testing.T) {
	for pattern, names := range map[string]map[string]bool{
		"**":             {"a": true, "a/b": true},
		"*":              {"a": true, "a/b": false},
		"a/**":           {"a/b": true, "a/b/c": true, "b/a": false, "a": true},
		"a/**/*.pdf":     {"a/x.pdf": true, "a/b/c/x.pdf": true, "x.pdf": false, "a/x.txt": false},
		"*.[ct]sv":       {"a.csv": true, "a.tsv": true, "a.xsv": false},
		"report-??.json": {"report-01.json": true, "report-1.json": false},
	} {
		for name, want := range names {
			if got := node.MatchPath(pattern, name); got != want || !node.ValidPattern(pattern) {
				t.Errorf("%s fits %s: %v", name, pattern, got)
			}
		}
	}
	for _, bad := range []string{"", "a//b", "../a", "a/[b", strings.Repeat("**/", 5) + "a", fmt.Sprint(strings.Repeat("a", 600))} {
		if node.ValidPattern(bad) {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestApprovalThatIsDueStartsWhoListensOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r, l := following(t, db)
		source, other := r.create("manual-trigger", `{}`, ""), r.create("manual-trigger", `{}`, "")
		every := r.publish("event-trigger", `{"events":["approval"]}`)
		named := r.publish("event-trigger", `{"events":["approval"],"workflow_ids":["`+other+`"]}`)
		ends := r.publish("event-trigger", `{"events":["failed","completed","cancelled"]}`)
		id := r.run(source, "manual", 0)
		x, err := r.runs.Claim(t.Context(), id, "test")
		if err != nil {
			t.Fatal(err)
		}
		ask := func(name string, callable, quiet bool) string {
			a := execution.Ask{ID: newID(), WorkspaceID: workspaceID, ExecutionID: id, NodeID: "ok", NodeTitle: "Chief editor", Name: name, Kind: "approval", Callable: callable, Message: "May it go out?", CreatedAt: noon}
			if callable {
				a.Key = name
			}
			if err := r.runs.Commit(t.Context(), execution.Commit{WorkspaceID: workspaceID, ExecutionID: id, Epoch: x.Epoch, Asks: []execution.Ask{a}, Quiet: quiet}); err != nil {
				t.Fatal(err)
			}
			return a.ID
		}
		asked := ask("first", false, false)
		ask("first", false, false) // asked again after a crash: the first one stands
		ask("called", true, false)
		ask("tried out", false, true)
		<-l.Woken()
		look(t, l)
		for workflow, want := range map[string]int{every: 1, named: 0, ends: 0} {
			if n := len(r.started(workflow)); n != want {
				t.Errorf("%s was started %d times, want %d", workflow, n, want)
			}
		}
		started := r.started(every)[0]
		var data map[string]any
		if err := json.Unmarshal(started.TriggerData, &data); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]any{"event": "approval.due", "approval_id": asked, "kind": "approval", "execution_id": id, "workflow_id": source, "workflow_name": "W",
			"node_id": "ok", "title": "Chief editor", "message": "May it go out?", "expires_at": nil} {
			if data[key] != want {
				t.Errorf("%s is %v, want %v", key, data[key], want)
			}
		}
		if started.Depth != 1 || started.ParentID != id {
			t.Errorf("depth %d, after %s", started.Depth, started.ParentID)
		}
	})
}

func TestBudgetThatIsNearlySpentStartsWhoListensOnceInItsPeriod(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		room(t, db)
		c := &clock{at: noon}
		r := newReplica(t, db, c.now)
		l := r.runner.FollowUps()
		limited, free := r.create("manual-trigger", `{}`, ""), r.create("manual-trigger", `{}`, "")
		every := r.publish("event-trigger", `{"events":["budget"]}`)
		named := r.publish("event-trigger", `{"events":["budget"],"workflow_ids":["`+limited+`"]}`)
		other := r.publish("event-trigger", `{"events":["budget"],"workflow_ids":["`+free+`"]}`)
		s := store.NewUsage(db)
		b := usage.Budget{ID: newID(), WorkspaceID: workspaceID, Scope: "workflow", TargetID: limited, Period: "day", MaxTokens: 100, Version: 1, CreatedAt: noon, UpdatedAt: noon}
		if err := s.AddBudget(t.Context(), b, 10, workspace.NewActivity(access.SystemActor("test"), workspaceID, "budget.created", "budget", b.ID, nil, nil, noon)); err != nil {
			t.Fatal(err)
		}
		spend := func(tokens int64, at time.Time) {
			t.Helper()
			c.set(at)
			id := newID()
			if _, _, err := s.Settle(t.Context(), id, usage.Record{ID: id, WorkspaceID: workspaceID, WorkflowID: limited, Input: tokens, Outcome: usage.Answered, At: at}, at); err != nil {
				t.Fatal(err)
			}
			look(t, l)
		}
		counts := func(want int) {
			t.Helper()
			for workflow, want := range map[string]int{every: want, named: want, other: 0} {
				if n := len(r.started(workflow)); n != want {
					t.Errorf("%s was started %d times, want %d", workflow, n, want)
				}
			}
		}
		spend(79, noon)
		counts(0)
		spend(1, noon)
		spend(5, noon)
		counts(1)
		x := r.started(named)[0]
		var data map[string]any
		if err := json.Unmarshal(x.TriggerData, &data); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]any{"event": "budget.near", "budget_id": b.ID, "scope": "workflow", "target_id": limited, "period": "day", "spent_tokens": 80.0, "max_tokens": 100.0} {
			if data[key] != want {
				t.Errorf("%s is %v, want %v", key, data[key], want)
			}
		}
		if x.Depth != 0 || x.ParentID != "" {
			t.Errorf("depth %d, after %q", x.Depth, x.ParentID)
		}
		spend(90, noon.Add(24*time.Hour))
		counts(2)
	})
}
