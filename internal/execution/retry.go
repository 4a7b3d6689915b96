package execution

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"
)

// The points an execution can be retried from, beside a node's id.
const (
	FromFailed = "failed"
	FromStart  = "start"
)

// RetryInput says from where an execution runs again, and what is changed. The
// zero RetryInput runs again what did not complete.
type RetryInput struct {
	From        string                     // failed (the default), start, or a node's id
	Version     int                        // of the workflow; 0: the one that ran
	Config      map[string]json.RawMessage // replaces the configurations of nodes, by id
	TriggerData json.RawMessage            // replaces the trigger data; nil keeps it
	Outputs     map[string]json.RawMessage // stands for runs of nodes, by id
	Until       string                     // the node after which it ends; empty: none
}

// Retry starts a new execution that reuses what is committed upstream of the
// point and of everything that is changed. A changed configuration runs from a
// definition of the execution's own: the workflow and its versions stay as they
// are. Conflict: the execution is not over, or nothing of it failed and nothing
// is changed. Forbidden: configurations and outputs are given by somebody who
// may not edit workflows.
func (s *Service) Retry(ctx context.Context, by access.Actor, id string, in RetryInput) (*Execution, error) {
	workspace, err := s.authorise(ctx, by, id, access.Execute)
	if err != nil {
		return nil, err
	}
	if len(in.Config)+len(in.Outputs) > 0 {
		if err := by.Need(workspace, access.Write); err != nil {
			return nil, err
		}
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
	e, err := s.again(ctx, by, old, in)
	if err != nil {
		return nil, err
	}
	if _, _, err := s.store.Create(ctx, *e); err != nil {
		return nil, err
	}
	if e.Place != nil { // the store decides how it begins
		return s.store.Find(ctx, workspace, e.ID)
	}
	s.announce.Announce(Ticket{ID: e.ID, WorkspaceID: workspace, Priority: e.Priority})
	return &e.Execution, nil
}

// again puts the new execution together.
func (s *Service) again(ctx context.Context, by access.Actor, old *Execution, in RetryInput) (*New, error) {
	was, err := ProgramOf(ctx, s.programs, old)
	if err != nil {
		return nil, err
	}
	e := &New{Execution: Execution{ID: s.cfg.NewID(), WorkspaceID: old.WorkspaceID, WorkflowID: old.WorkflowID, WorkflowName: old.WorkflowName,
		WorkflowVersion: old.WorkflowVersion, UserID: by.UserID, APIKeyID: by.APIKeyID, Status: Pending, TriggerType: old.TriggerType, StartNode: old.StartNode,
		TriggerData: old.TriggerData, Priority: old.Priority, RetryOf: old.ID, CreatedAt: s.cfg.Now().UTC(),
		DryRun: old.DryRun, Pinned: old.Pinned, Lineage: &Lineage{}, Epoch: 1, Worker: s.cfg.Leased}}
	p, err := s.edited(ctx, was, old, in, e)
	if err != nil {
		return nil, err
	}
	if found := s.programs.Freed(was.Definition, p.Definition); len(in.Config) > 0 && len(found) > 0 {
		if err := by.Need(old.WorkspaceID, access.Bypass); err != nil {
			return nil, fault.Wrap(fault.Forbidden, err, "only administrators of the workspace, signed in, may run this: %s", found[0].Message).WithCode("needs_admin")
		}
	}
	e.TotalNodes = len(p.Steps)
	r := &rerun{program: p, again: map[int]bool{}}
	r.edits(was)
	start, ok := p.StartFor(old.TriggerType, old.StartNode)
	if !ok && in.Until != "" {
		return nil, fault.InvalidInput(fault.Detail{Location: "body.until", Code: "not_reached", Message: "the trigger that this execution started from does not lead to this node", Value: in.Until})
	}
	if !ok {
		return nil, fault.New(fault.Conflict, "version %d has no trigger that this execution could start from: it started from %q", e.WorkflowVersion, old.StartNode)
	}
	if in.TriggerData != nil {
		if err := s.checkTrigger(start, in.TriggerData); err != nil {
			return nil, err
		}
		e.TriggerData, e.Lineage.TriggerData = in.TriggerData, true
		r.mark(start.Index)
	}
	if err := r.from(old, in); err != nil {
		return nil, err
	}
	rows, err := s.allRows(ctx, old)
	if err != nil {
		return nil, err
	}
	if err := s.give(r, rows, in.Outputs, e); err != nil {
		return nil, err
	}
	r.reuse(rows, e)
	if err := checkDry(p, start, &e.Execution); err != nil {
		return nil, err
	}
	if !e.DryRun {
		e.Place, err = PlaceFor(p, e.WorkflowID, e.TriggerData)
	}
	return e, err
}

// edited returns what the new execution runs, and has it keep a definition
// that is no saved version.
func (s *Service) edited(ctx context.Context, was *workflow.Program, old *Execution, in RetryInput, e *New) (*workflow.Program, error) {
	p, own := was, old.Lineage != nil && old.Lineage.Edited
	if in.Until != "" {
		return s.untilOf(ctx, was, old, in, e)
	}
	if in.Version != 0 && (own || in.Version != old.WorkflowVersion) {
		var err error
		if p, err = s.programs.Program(ctx, old.WorkspaceID, old.WorkflowID, in.Version); err != nil {
			return nil, err
		}
		own = false
		if e.WorkflowVersion = in.Version; in.Version != old.WorkflowVersion {
			e.Lineage.Version = old.WorkflowVersion
		}
	}
	if len(in.Config) > 0 {
		var err error
		if p, err = s.withConfig(p.Definition.Clone(), in.Config); err != nil {
			return nil, err
		}
		own, e.Lineage.Config = true, in.Config
	}
	if !own {
		return p, nil
	}
	if old.Lineage != nil && in.Version == 0 {
		e.Lineage.Until = old.Lineage.Until
	}
	e.Lineage.Edited = true
	var err error
	e.Definition, err = json.Marshal(p.Definition)
	return p, err
}

// untilOf is edited for an execution that ends after a node.
func (s *Service) untilOf(ctx context.Context, was *workflow.Program, old *Execution, in RetryInput, e *New) (*workflow.Program, error) {
	d := was.Definition
	if in.Version != 0 {
		var err error
		if d, err = s.programs.Saved(ctx, old.WorkspaceID, old.WorkflowID, in.Version); err != nil {
			return nil, err
		}
		if e.WorkflowVersion = in.Version; in.Version != old.WorkflowVersion {
			e.Lineage.Version = old.WorkflowVersion
		}
	}
	if len(in.Config) > 0 {
		d, e.Lineage.Config = d.Clone(), in.Config
		if err := reconfigure(d, in.Config, nil); err != nil {
			return nil, err
		}
	}
	return s.upTo(d, in.Until, e)
}

// allRows returns every node's run of an execution.
func (s *Service) allRows(ctx context.Context, x *Execution) ([]NodeRun, error) {
	const page = 1_000
	var out []NodeRun
	for offset := 0; ; offset += page {
		rows, total, err := s.store.AllNodeRuns(ctx, x.WorkspaceID, x.ID, page, offset)
		if err != nil {
			return nil, err
		}
		if out = append(out, rows...); offset+page >= total {
			return out, nil
		}
	}
}

// rerun is what must run again: the steps that are marked, beside those that
// did not complete.
type rerun struct {
	program *workflow.Program
	again   map[int]bool
}

// mark has a step and everything that comes after it run again. A node of a
// loop's body runs again with its whole loop.
func (r *rerun) mark(i int) {
	p := r.program
	for s := &p.Steps[i]; s.Scope != 0 && !r.again[p.Scopes[s.Scope].Container]; s = &p.Steps[i] {
		i = p.Scopes[s.Scope].Container
	}
	r.spread(i)
}

func (r *rerun) spread(i int) {
	if r.again[i] {
		return
	}
	r.again[i] = true
	for _, e := range r.program.Steps[i].Out {
		r.spread(r.program.Edges[e].Target)
	}
	if body := r.program.Steps[i].Body; body >= 0 {
		for _, inner := range r.program.Scopes[body].Steps {
			r.spread(inner)
		}
	}
}

// from marks what the point asks for.
func (r *rerun) from(old *Execution, in RetryInput) error {
	switch in.From {
	case "", FromFailed:
		if old.Status == Completed && len(r.again) == 0 && len(in.Outputs) == 0 {
			return fault.New(fault.Conflict, "nothing of this execution failed and nothing is changed: retry it from start or from a node")
		}
		return nil
	case FromStart:
		for i := range r.program.Steps {
			r.again[i] = true
		}
		return nil
	}
	s, ok := r.program.Step(in.From)
	if !ok {
		return fault.InvalidInput(fault.Detail{Location: "body.from", Code: "unknown_node", Message: "from is failed, start, or the id of a node of this workflow", Value: in.From})
	}
	r.mark(s.Index)
	return nil
}

// reuse copies the finished nodes that need not run again.
func (r *rerun) reuse(rows []NodeRun, e *New) {
	failed := map[int]bool{}
	for _, row := range rows {
		if step, ok := r.program.Step(row.NodeID); ok && row.Status == NodeFailed && row.Iteration == "" && step.Scope == 0 {
			failed[step.Index] = true
		}
	}
	sound := map[int]bool{}
	tops := map[int]bool{}
	for _, row := range rows {
		step, ok := r.program.Step(row.NodeID)
		if !ok || r.again[step.Index] || row.Status != NodeCompleted || row.Kind != step.Node.Kind {
			continue
		}
		if !r.sound(&r.program.Steps[r.outermost(step.Index)], failed, sound) {
			continue
		}
		e.Reuse = append(e.Reuse, row)
		if row.Iteration == "" {
			e.CompletedNodes++
			tops[step.Index] = true
		}
	}
	for i := range r.program.Steps {
		if tops[r.outermost(i)] {
			e.Lineage.Reused = append(e.Lineage.Reused, r.program.Steps[i].Node.ID)
		}
	}
}

// outermost returns the step of the workflow itself that holds the step.
func (r *rerun) outermost(i int) int {
	for scope := r.program.Steps[i].Scope; scope != 0; scope = r.program.Steps[i].Scope {
		i = r.program.Scopes[scope].Container
	}
	return i
}

// sound reports whether a completed node stays as it is: unless something
// before it failed, let it go on, and runs again now.
func (r *rerun) sound(s *workflow.Step, failed, known map[int]bool) bool {
	if sound, seen := known[s.Index]; seen {
		return sound
	}
	sound := true
	for _, e := range s.In {
		source := r.program.Edges[e].Source
		sound = sound && !failed[source] && r.sound(&r.program.Steps[source], failed, known)
	}
	known[s.Index] = sound
	return sound
}

// inlineOutput bounds a given output that is kept in its node's row.
const inlineOutput = 64 << 10

// give takes the given outputs for the runs of their nodes.
func (s *Service) give(r *rerun, rows []NodeRun, outputs map[string]json.RawMessage, e *New) error {
	before := map[string]*NodeRun{}
	for i := range rows {
		if rows[i].Iteration == "" && rows[i].Status == NodeCompleted {
			before[rows[i].NodeID] = &rows[i]
		}
	}
	var faults []fault.Detail
	for _, id := range sortedKeys(outputs) {
		step, why := r.giveable(id)
		var handles []string
		if last := before[id]; why == "" && last != nil && last.Kind == step.Node.Kind {
			handles = last.Handles
		} else if why == "" && !onOutput(step) {
			why = "the node has no handle named output, and did not complete before: retry from it instead"
		}
		if why != "" {
			faults = append(faults, fault.Detail{Location: "body.outputs." + id, Code: "output_not_possible", Message: why})
			continue
		}
		r.mark(step.Index)
		now := s.cfg.Now().UTC()
		row := NodeRun{ID: s.cfg.NewID(), NodeID: id, Kind: step.Node.Kind, Title: titleOf(step), Attempt: 1, Status: NodeCompleted, Handles: handles,
			Output: outputs[id], StartedAt: now, CompletedAt: now}
		if len(row.Output) > inlineOutput {
			sum := sha256.Sum256(row.Output)
			row.OutputRef = hex.EncodeToString(sum[:])
			e.Payloads = append(e.Payloads, Payload{Hash: row.OutputRef, Data: row.Output})
			row.Output = nil
		}
		e.Reuse = append(e.Reuse, row)
		e.CompletedNodes++
		e.Lineage.Outputs = append(e.Lineage.Outputs, id)
	}
	if len(faults) > 0 {
		return fault.InvalidInput(faults...)
	}
	return nil
}

// giveable returns the step whose output is given, or why it cannot be.
func (r *rerun) giveable(id string) (*workflow.Step, string) {
	step, ok := r.program.Step(id)
	switch {
	case !ok:
		return nil, "the workflow has no such node"
	case step.Scope != 0:
		return nil, "the node runs once per round of its loop: give the output of the loop"
	case step.Kind.NoInput:
		return nil, "the output of a trigger is the trigger data: give trigger_data"
	case !step.Enabled:
		return nil, "the node is disabled: its input passes through"
	}
	return step, ""
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
