package engine_test

import (
	"context"
	"testing"

	"agentstudio/internal/execution"
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
			for ctx.Err() == nil {
				s.eng.Signal(x.ID)
			}
		}()
		done := s.wait(x.ID)
		enough()
		<-ended
		s.expectStatus(done, execution.Completed)
		expectJSON(t, done.Output, `{"sum": 90300}`)
	})
}
