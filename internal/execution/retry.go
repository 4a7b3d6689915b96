package execution

import (
	"context"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"
)

// The points an execution can be retried from, beside a node's id.
const (
	FromFailed = "failed"
	FromStart  = "start"
)

// Retry starts a new execution that reuses what is committed upstream of the
// point: "failed" (the nodes that did not complete), "start", or a node's id.
// Conflict: the execution is not over, or nothing of it failed.
func (s *Service) Retry(ctx context.Context, by access.Actor, id, from string) (*Execution, error) {
	workspace, err := s.authorise(ctx, by, id, access.Execute)
	if err != nil {
		return nil, err
	}
	old, err := s.store.Find(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	if old.IsShare() {
		return nil, fault.New(fault.Conflict, "this is a share of a split: retry the execution %s that it belongs to", old.ParentID)
	}
	if !old.Status.Over() {
		return nil, fault.New(fault.Conflict, "the execution is %s: wait for its end, or cancel it first", old.Status)
	}
	p, err := s.programs.Program(ctx, workspace, old.WorkflowID, old.WorkflowVersion)
	if err != nil {
		return nil, err
	}
	again, err := rerun(p, old, from)
	if err != nil {
		return nil, err
	}
	e := New{Execution: Execution{ID: s.cfg.NewID(), WorkspaceID: workspace, WorkflowID: old.WorkflowID, WorkflowName: old.WorkflowName,
		WorkflowVersion: old.WorkflowVersion, UserID: by.UserID, Status: Pending, TriggerType: old.TriggerType, StartNode: old.StartNode,
		TriggerData: old.TriggerData, Priority: old.Priority, TotalNodes: old.TotalNodes, RetryOf: old.ID, CreatedAt: s.cfg.Now().UTC(),
		Epoch: 1, Worker: s.cfg.Leased}}
	if err := s.reuse(ctx, p, old, again, &e); err != nil {
		return nil, err
	}
	if _, _, err := s.store.Create(ctx, e); err != nil {
		return nil, err
	}
	s.announce.Announce(Ticket{ID: e.ID, WorkspaceID: workspace, Priority: e.Priority})
	return &e.Execution, nil
}

// rerun returns the steps that must run again: those from the point on. nil
// means whatever did not complete.
func rerun(p *workflow.Program, old *Execution, from string) (map[int]bool, error) {
	switch from {
	case "", FromFailed:
		if old.Status == Completed {
			return nil, fault.New(fault.Conflict, "nothing of this execution failed: retry it from start or from a node")
		}
		return nil, nil
	case FromStart:
		all := map[int]bool{}
		for i := range p.Steps {
			all[i] = true
		}
		return all, nil
	}
	s, ok := p.Step(from)
	if !ok {
		return nil, fault.InvalidInput(fault.Detail{Location: "body.from", Code: "unknown_node", Message: "from is failed, start, or the id of a node of this workflow", Value: from})
	}
	for s.Scope != 0 { // a node of a loop's body runs again with its whole loop
		s = &p.Steps[p.Scopes[s.Scope].Container]
	}
	again := map[int]bool{}
	var mark func(int)
	mark = func(i int) {
		if again[i] {
			return
		}
		again[i] = true
		for _, e := range p.Steps[i].Out {
			mark(p.Edges[e].Target)
		}
		if body := p.Steps[i].Body; body >= 0 {
			for _, inner := range p.Scopes[body].Steps {
				mark(inner)
			}
		}
	}
	mark(s.Index)
	return again, nil
}

// reuse copies the finished nodes that need not run again.
func (s *Service) reuse(ctx context.Context, p *workflow.Program, old *Execution, again map[int]bool, e *New) error {
	const page = 1_000
	for offset := 0; ; offset += page {
		rows, total, err := s.store.AllNodeRuns(ctx, old.WorkspaceID, old.ID, page, offset)
		if err != nil {
			return err
		}
		for _, row := range rows {
			step, ok := p.Step(row.NodeID)
			if !ok || again[step.Index] || row.Status != NodeCompleted {
				continue
			}
			if again == nil && !reusable(p, rows, step) {
				continue
			}
			e.Reuse = append(e.Reuse, row)
			if row.Iteration == "" {
				e.CompletedNodes++
			}
		}
		if offset+page >= total {
			return nil
		}
	}
}

// reusable reports whether a completed node stays as it is when only what
// failed runs again: true unless something before it failed and let it go on.
func reusable(p *workflow.Program, rows []NodeRun, s *workflow.Step) bool {
	for _, e := range s.In {
		source := &p.Steps[p.Edges[e].Source]
		for _, row := range rows {
			if row.NodeID == source.Node.ID && row.Iteration == "" && s.Scope == 0 && row.Status == NodeFailed {
				return false
			}
		}
		if !reusable(p, rows, source) {
			return false
		}
	}
	return true
}
