package engine_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

// eachDispatcher runs the test embedded on SQLite and on River.
func eachDispatcher(t *testing.T, test func(t *testing.T, s *studio, p *probes)) {
	t.Run("sqlite", func(t *testing.T) {
		p := newProbes()
		test(t, start(t, storetest.SQLite(t), p, nil), p)
	})
	t.Run("river", func(t *testing.T) {
		p := newProbes()
		test(t, startShared(t, storetest.PostgresURL(t), p, nil), p)
	})
}

func bounded(limit int, strategy string) string {
	return fmt.Sprintf(`
name: bounded
settings: {concurrency: {limit: %d, key: "{{ trigger.customer }}", strategy: %s}}
nodes:
  - {id: start, kind: manual-trigger}
  - {id: work, kind: probe}
connections: [{source: start, target: work}]
`, limit, strategy)
}

// begin starts an execution with the place its workflow asks for.
func (s *studio) begin(id string, trigger any, change ...func(*execution.New)) (*execution.Execution, error) {
	s.t.Helper()
	data, err := json.Marshal(trigger)
	if err != nil {
		s.t.Fatal(err)
	}
	n := execution.New{Execution: execution.Execution{ID: newID(), WorkspaceID: "w", WorkflowID: id, WorkflowName: id, WorkflowVersion: 1, Status: execution.Pending,
		TriggerType: "manual", TriggerData: data, CreatedAt: time.Now(), Epoch: 1, Worker: "local"}}
	p, err := s.Program(context.Background(), "w", id, 1)
	if err != nil {
		s.t.Fatal(err)
	}
	if n.Place, err = execution.PlaceFor(p, id, data); err != nil {
		s.t.Fatal(err)
	}
	for _, c := range change {
		c(&n)
	}
	if _, _, err := s.store.Create(context.Background(), n); err != nil {
		return nil, err
	}
	return s.find(n.ID), nil
}

func (s *studio) mustBegin(id string, trigger any, change ...func(*execution.New)) *execution.Execution {
	s.t.Helper()
	x, err := s.begin(id, trigger, change...)
	if err != nil {
		s.t.Fatal(err)
	}
	return x
}

// crowd counts who is inside at a time.
type crowd struct{ inside, most, ran atomic.Int64 }

func (c *crowd) work(took time.Duration) func(context.Context, node.Call, probeConfig) (node.Result, error) {
	return func(ctx context.Context, call node.Call, _ probeConfig) (node.Result, error) {
		n := c.inside.Add(1)
		for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
		}
		defer c.inside.Add(-1)
		timer := time.NewTimer(took) // the work itself, so that they overlap
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return node.Result{}, ctx.Err()
		}
		c.ran.Add(1)
		return node.Output("", call.Input), nil
	}
}

func TestFiftyAtOnceNeverRunMoreThanTheLimitAndAllFinish(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, s *studio, p *probes) {
		id := s.define(bounded(3, "queue"))
		var c crowd
		p.on("work", c.work(5*time.Millisecond))
		ids := make([]string, 50)
		var starts sync.WaitGroup
		for i := range ids {
			starts.Go(func() { ids[i] = s.mustBegin(id, map[string]any{"customer": "a"}).ID })
		}
		starts.Wait()
		for _, id := range ids {
			awaitRow(t, s, id, execution.Completed)
		}
		if c.most.Load() != 3 || c.ran.Load() != 50 {
			t.Errorf("at most %d ran at a time, %d in all", c.most.Load(), c.ran.Load())
		}
		s.expectNoPlaces()
	})
}

// expectNoPlaces checks that nothing takes or waits for a place any more.
func (s *studio) expectNoPlaces() {
	s.t.Helper()
	var n int
	if err := s.db.Read().QueryRowContext(context.Background(), `SELECT count(*) FROM executions WHERE concurrency_key <> '' OR held <> 0`).Scan(&n); err != nil || n != 0 {
		s.t.Errorf("%d rows still name a place (%v)", n, err)
	}
}

func TestTwoProcessesRespectOneLimitTogether(t *testing.T) {
	url := storetest.PostgresURL(t)
	p := newProbes()
	first := startShared(t, url, p, nil)
	id := first.define(bounded(3, "queue"))
	second := startShared(t, url, p, first.programs)
	var c crowd
	p.on("work", c.work(5*time.Millisecond))
	var mu sync.Mutex
	var ids []string
	var starts sync.WaitGroup
	for i := range 40 {
		starts.Go(func() {
			s := first
			if i%2 == 0 {
				s = second
			}
			x := s.mustBegin(id, map[string]any{"customer": "a"})
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, x.ID)
		})
	}
	starts.Wait()
	for _, id := range ids {
		awaitRow(t, first, id, execution.Completed)
	}
	if c.most.Load() > 3 || c.ran.Load() != 40 {
		t.Errorf("at most %d ran at a time, %d in all", c.most.Load(), c.ran.Load())
	}
	first.expectNoPlaces()
}

// gated keeps executions at work until they are let go, one by one.
func gated(p *probes) (open func(x *execution.Execution)) {
	var mu sync.Mutex
	gates := map[string]chan struct{}{}
	gate := func(id string) chan struct{} {
		mu.Lock()
		defer mu.Unlock()
		if gates[id] == nil {
			gates[id] = make(chan struct{})
		}
		return gates[id]
	}
	p.on("work", func(ctx context.Context, c node.Call, _ probeConfig) (node.Result, error) {
		select {
		case <-gate(c.ExecutionID):
			return node.Output("", c.Input), nil
		case <-ctx.Done():
			return node.Result{}, ctx.Err()
		}
	})
	return func(x *execution.Execution) { close(gate(x.ID)) }
}

func TestTheQueueOfAKeyGoesByPriorityThenAgeAndKeysDoNotMix(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, s *studio, p *probes) {
		id := s.define(bounded(1, "queue"))
		open := gated(p)
		a := map[string]any{"customer": "a"}
		running := s.mustBegin(id, a)
		old := s.mustBegin(id, a)
		urgent := s.mustBegin(id, a, func(n *execution.New) { n.Priority = 9 })
		other := s.mustBegin(id, map[string]any{"customer": "b"})
		awaitNode(t, s, running.ID, "work")
		awaitNode(t, s, other.ID, "work")
		for _, x := range []*execution.Execution{old, urgent} {
			got := s.find(x.ID)
			if got.Hold != execution.Queued || got.Status != execution.Pending || got.WaitingFor() != `a place: at most 1 execution of this workflow runs at a time with the key "a"` {
				t.Fatalf("held one: %+v %q", got, got.WaitingFor())
			}
			events, err := s.store.Events(t.Context(), "w", x.ID, 0, 10)
			if err != nil || len(events) != 1 {
				t.Fatalf("events of a held execution: %v %v", events, err)
			}
		}
		open(running)
		awaitNode(t, s, urgent.ID, "work")
		if got := s.find(old.ID); got.Hold != execution.Queued {
			t.Errorf("the older one went before the urgent one: %+v", got)
		}
		open(other)
		open(urgent)
		open(old)
		for _, x := range []*execution.Execution{running, old, urgent, other} {
			awaitRow(t, s, x.ID, execution.Completed)
		}
		s.expectNoPlaces()
	})
}

func TestANewStartCancelsWhatRunsAndWhatWaits(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, s *studio, p *probes) {
		id := s.define(bounded(1, "cancel_running"))
		open := gated(p)
		first := s.mustBegin(id, map[string]any{})
		awaitNode(t, s, first.ID, "work")
		second := s.mustBegin(id, map[string]any{})
		awaitRow(t, s, first.ID, execution.Cancelled)
		awaitNode(t, s, second.ID, "work")
		third := s.mustBegin(id, map[string]any{})
		awaitRow(t, s, second.ID, execution.Cancelled)
		awaitNode(t, s, third.ID, "work")
		open(third)
		awaitRow(t, s, third.ID, execution.Completed)
		s.expectNoPlaces()
	})
}

func TestAStartBeyondTheLimitIsRefused(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, s *studio, p *probes) {
		id := s.define(bounded(1, "reject"))
		open := gated(p)
		running := s.mustBegin(id, map[string]any{"customer": "a"})
		for name, change := range map[string]func(*execution.New){"plain": func(*execution.New) {}, "keyed": func(n *execution.New) { n.IdempotencyKey, n.RequestHash = "k", "h" }} {
			_, err := s.begin(id, map[string]any{"customer": "a"}, change)
			if f := fault.As(err); f == nil || f.Kind != fault.Conflict || f.Code != "concurrency_limit" {
				t.Fatalf("%s: %v", name, err)
			}
		}
		skipped := s.mustBegin(id, map[string]any{"customer": "a"}, func(n *execution.New) { n.Place.Record = true })
		if skipped.Status != execution.Cancelled || skipped.Error == nil || skipped.Error.Code != "concurrency_limit" || skipped.CompletedAt.IsZero() {
			t.Fatalf("a tick that found no place is kept as %+v %+v", skipped, skipped.Error)
		}
		awaitNode(t, s, running.ID, "work")
		open(running)
		awaitRow(t, s, running.ID, execution.Completed)
		again := s.mustBegin(id, map[string]any{"customer": "a"}, func(n *execution.New) { n.IdempotencyKey, n.RequestHash = "k", "h" })
		open(again)
		awaitRow(t, s, again.ID, execution.Completed)
	})
}

func TestCancellingAHeldExecutionEndsItAtOnce(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, s *studio, p *probes) {
		id := s.define(bounded(1, "queue"))
		open := gated(p)
		running := s.mustBegin(id, map[string]any{})
		held, last := s.mustBegin(id, map[string]any{}), s.mustBegin(id, map[string]any{})
		if _, err := s.store.RequestPause(t.Context(), "w", held.ID, true); err != nil {
			t.Fatal(err)
		}
		if _, err := s.store.RequestCancel(t.Context(), "w", held.ID); err != nil {
			t.Fatal(err)
		}
		s.disp.Announce(execution.Ticket{ID: held.ID, WorkspaceID: "w"})
		awaitRow(t, s, held.ID, execution.Cancelled)
		if got := s.find(last.ID); got.Hold != execution.Queued {
			t.Errorf("the end of one that waits gave another a place: %+v", got)
		}
		open(running)
		open(last)
		awaitRow(t, s, running.ID, execution.Completed)
		awaitRow(t, s, last.ID, execution.Completed)
		s.expectNoPlaces()
	})
}

func TestAnExecutionForLaterTakesItsPlaceWhenItsTimeComes(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, s *studio, p *probes) {
		id := s.define(bounded(1, "queue"))
		open := gated(p)
		now := s.mustBegin(id, map[string]any{})
		awaitNode(t, s, now.ID, "work")
		later := s.mustBegin(id, map[string]any{}, func(n *execution.New) { n.ScheduledAt = time.Now().Add(100 * time.Millisecond) })
		awaitHold(t, s, later.ID, execution.Queued)
		open(now)
		awaitRow(t, s, now.ID, execution.Completed)
		awaitNode(t, s, later.ID, "work")
		open(later)
		awaitRow(t, s, later.ID, execution.Completed)
		s.expectNoPlaces()
	})
}

func TestChildrenOfWorkflowsAreBoundedToo(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, s *studio, p *probes) {
		const parent = `
name: %s
nodes:
  - {id: start, kind: manual-trigger}
  - {id: all, kind: loop, config: {items: "{{ [1, 2, 3, 4, 5, 6] }}", parallel: 6, on_item_error: continue}}
  - {id: call, kind: run-workflow, parent_id: all, config: {workflow_id: %s, input: {}}}
connections: [{source: start, target: all}]
`
		var c crowd
		p.on("work", c.work(5*time.Millisecond))
		bound := s.define(bounded(2, "queue"))
		x := s.create(s.define(fmt.Sprintf(parent, "parent", bound)), nil)
		awaitRow(t, s, x.ID, execution.Completed)
		if c.most.Load() > 2 || c.ran.Load() != 6 {
			t.Errorf("at most %d ran at a time, %d in all", c.most.Load(), c.ran.Load())
		}
		p.on("work", c.work(100*time.Millisecond))
		s.define(bounded(1, "reject"))
		y := s.create(s.define(fmt.Sprintf(parent, "refused", bound)), nil)
		awaitRow(t, s, y.ID, execution.Completed)
		var out struct{ Errors []any }
		if err := json.Unmarshal(s.find(y.ID).Output, &out); err != nil || len(out.Errors) != 5 {
			t.Errorf("five of six calls find no place: %s", s.find(y.ID).Output)
		}
		s.expectNoPlaces()
	})
}

// A process that dies between the end of one execution and the start of the
// next leaves no held execution behind: the next has its place already.
func TestACrashAfterAnEndLeavesNobodyHeld(t *testing.T) {
	db := storetest.SQLite(t)
	p := newProbes()
	s := start(t, db, p, nil)
	id := s.define(bounded(1, "queue"))
	s.stop()
	deaf := store.NewExecutions(db, nil, time.Now) // nobody hears of what its commits move
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = deaf.Run(ctx) }()
	s.store = deaf
	first, second := s.mustBegin(id, map[string]any{}), s.mustBegin(id, map[string]any{})
	if err := deaf.Commit(ctx, execution.Commit{WorkspaceID: "w", ExecutionID: first.ID, Epoch: first.Epoch, Place: first.ConcurrencyKey,
		Head: &execution.Head{Status: execution.Completed, CompletedAt: time.Now(), Release: true}}); err != nil {
		t.Fatal(err)
	}
	if got := s.find(second.ID); got.Hold != execution.Free {
		t.Fatalf("the end of the first did not give its place on: %+v", got)
	}
	third := s.mustBegin(id, map[string]any{})
	// What no commit of ours leaves behind: one that waits beside a free place.
	if err := db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE executions SET held = 1, wake_at = 0 WHERE id = $1`, second.ID)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	stop()
	<-done
	again := start(t, db, p, s.programs)
	awaitRow(t, again, second.ID, execution.Completed)
	awaitRow(t, again, third.ID, execution.Completed)
	again.expectNoPlaces()
}

func TestAWorkerThatDiesGivesItsPlaceOnThroughTheOneThatFinishesForIt(t *testing.T) {
	url := storetest.PostgresURL(t)
	p := newProbes()
	first := startShared(t, url, p, nil)
	id := first.define(bounded(1, "queue"))
	second := startShared(t, url, p, first.programs)
	var c crowd
	p.on("work", c.work(time.Millisecond))
	var ids []string
	for range 20 {
		ids = append(ids, first.mustBegin(id, map[string]any{}).ID)
	}
	first.stop()
	for _, id := range ids {
		awaitRow(t, second, id, execution.Completed)
	}
	if c.most.Load() != 1 {
		t.Errorf("%d ran at a time", c.most.Load())
	}
	second.expectNoPlaces()
}

func awaitHold(t *testing.T, s *studio, id string, want execution.Hold) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.find(id).Hold != want {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("execution %s is %+v", id, s.find(id))
		}
	}
}
