package engine_test

import (
	"context"
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

// Every child that ends tells its parent to look; what the parent has begun
// and not committed by then is not in the table.
func TestAChildJustBegunIsNotTakenForGone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := start(t, db, newProbes(), nil)
		s.define(`
name: double
nodes:
  - {id: start, kind: workflow-trigger}
  - {id: out, kind: set, config: {values: {n: "{{ trigger.n * 2 }}"}}}
connections: [{source: start, target: out}]
`)
		id := s.define(`
name: parent
nodes:
  - {id: start, kind: manual-trigger}
  - {id: each, kind: loop, config: {items: "{{ 1..300 }}", parallel: 40}}
  - {id: one, kind: run-workflow, parent_id: each, config: {workflow_id: double, input: {n: "{{ item }}"}}}
  - {id: total, kind: set, config: {values: {sum: "{{ sum(map(nodes.each.output.items, .n)) }}"}}}
connections: [{source: start, target: each}, {source: each, target: total}]
`)
		x := s.create(id, nil)
		ctx, enough := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			often := time.NewTicker(200 * time.Microsecond) // and not all the time: the engine needs a processor too
			defer often.Stop()
			for {
				select {
				case <-often.C:
					s.eng.Signal(x.ID)
				case <-ctx.Done():
					return
				}
			}
		}()
		done := s.wait(x.ID)
		enough()
		<-ended
		s.expectStatus(done, execution.Completed)
		expectJSON(t, done.Output, `{"sum": 90300}`)
	})
}

// A parent that rests has none of its rounds in memory when the cancel comes.
func TestCancellingAParentAtRestReachesItsChildren(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newProbes()
		entered := make(chan string, 2)
		p.on("work", func(ctx context.Context, c node.Call, _ probeConfig) (node.Result, error) {
			entered <- c.ExecutionID
			<-ctx.Done()
			return node.Result{}, ctx.Err()
		})
		s := start(t, db, p, nil)
		s.define(`
name: endless
nodes: [{id: start, kind: workflow-trigger}, {id: work, kind: probe}]
connections: [{source: start, target: work}]
`)
		x := s.create(s.define(`
name: resting
nodes:
  - {id: start, kind: manual-trigger}
  - {id: each, kind: loop, config: {items: "{{ [1, 2] }}", parallel: 2}}
  - {id: one, kind: run-workflow, parent_id: each, config: {workflow_id: endless}}
connections: [{source: start, target: each}]
`), nil)
		children := []string{<-entered, <-entered}
		s.until(x.ID, "at rest", func(x *execution.Execution) bool { return x.Status == execution.Waiting })
		if _, err := s.store.RequestCancel(t.Context(), "w", x.ID); err != nil {
			t.Fatal(err)
		}
		s.disp.Announce(execution.Ticket{ID: x.ID, WorkspaceID: "w"})
		s.expectStatus(s.wait(x.ID), execution.Cancelled)
		for _, child := range children {
			s.expectStatus(s.wait(child), execution.Cancelled)
		}
	})
}

// What a node was told of its child is lost when the process dies before the
// node has used it. Asking for the child again finds the one that has ended.
func TestANamedChildRunsOnceThroughACrash(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newProbes()
		told, gate := make(chan struct{}, 4), make(chan struct{})
		p.on("ask", func(ctx context.Context, c node.Call, _ probeConfig) (node.Result, error) {
			if c.Resume == nil {
				return node.Result{Child: &node.ChildStart{Name: "one", WorkflowID: "count", Wait: true}}, nil
			}
			if c.Resume.Name != "one" {
				t.Errorf("resumed with %+v", c.Resume)
			}
			told <- struct{}{}
			select {
			case <-gate:
				return node.Output("", c.Resume.Data), c.Resume.Err
			case <-ctx.Done():
				return node.Result{}, ctx.Err()
			}
		})
		s := start(t, db, p, nil)
		s.define(`
name: count
nodes: [{id: start, kind: workflow-trigger}, {id: work, kind: probe, config: {value: 7}}]
connections: [{source: start, target: work}]
`)
		x := s.create(s.define(`
name: asks
nodes: [{id: start, kind: manual-trigger}, {id: ask, kind: probe}]
connections: [{source: start, target: ask}]
`), nil)
		<-told
		s.stop()
		s = start(t, db, p, s.programs)
		<-told
		close(gate)
		done := s.wait(x.ID)
		s.expectStatus(done, execution.Completed)
		expectJSON(t, done.Output, `7`)
		if n := p.count("work"); n != 1 {
			t.Errorf("the child ran %d times", n)
		}
	})
}

func TestANodeIsToldWhyItsNamedChildDoesNotStart(t *testing.T) {
	p := newProbes()
	p.on("ask", func(_ context.Context, c node.Call, _ probeConfig) (node.Result, error) {
		if c.Resume == nil {
			return node.Result{Child: &node.ChildStart{Name: "one", WorkflowID: "asks", Wait: true}}, nil
		}
		if c.Resume.Err == nil {
			return node.Output("", c.Resume.Data), nil
		}
		return node.Output("", fault.Message(c.Resume.Err)), nil
	})
	s := start(t, storetest.SQLite(t), p, nil)
	s.define(`
name: asks
nodes: [{id: start, kind: workflow-trigger}, {id: ask, kind: probe}]
connections: [{source: start, target: ask}]
`)
	done := s.wait(s.create("asks", nil).ID) // which calls itself, as deep as it may
	s.expectStatus(done, execution.Completed)
	expectJSON(t, done.Output, `"workflows call each other more than 10 deep"`)
}
