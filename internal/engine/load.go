package engine

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/workflow"
)

// load brings an execution into memory: its program, and when it was under way
// before, what its nodes left behind.
func (r *run) load(ctx context.Context, fresh bool) error {
	p, err := execution.ProgramOf(ctx, r.engine.programs, r.x)
	if err != nil {
		return err
	}
	r.program, r.recovered = p, !fresh
	if r.x.IsShare() {
		return r.loadShare(ctx)
	}
	if len(r.x.TriggerData) > 0 {
		if err := json.Unmarshal(r.x.TriggerData, &r.trigger); err != nil {
			return fault.Wrap(fault.Invalid, err, "the trigger data is not JSON")
		}
	}
	start, ok := p.StartFor(r.x.TriggerType, r.x.StartNode)
	if !ok {
		return fault.New(fault.Invalid, "the workflow has no trigger this execution could start from")
	}
	r.start = start.Index
	r.x.TotalNodes = len(p.Steps)
	if done, err := r.asWanted(ctx); done || err != nil {
		return err
	}
	if err := r.enterPlace(ctx); err != nil {
		return err
	}
	if r.x.StartedAt.IsZero() {
		r.x.StartedAt = r.now()
		if o := r.engine.cfg.Observer; o != nil {
			due := r.x.CreatedAt
			if r.x.ScheduledAt.After(due) {
				due = r.x.ScheduledAt
			}
			o.Began(r.x.StartedAt.Sub(due))
		}
	}
	if limit := p.Definition.Settings.TimeoutSeconds; limit > 0 {
		r.deadline = r.x.StartedAt.Add(time.Duration(limit * float64(time.Second)))
	}
	if !r.paused && r.x.Status != execution.Running {
		r.x.Status = execution.Running
		r.emitExecution(start.Node.ID, "")
	}
	r.root = newFrame(p, nil, nil, 0, r.start, "")
	if err := r.enterFrame(ctx, r.root); err != nil {
		return err
	}
	r.wakeDue()
	return nil
}

// errHeld says that the execution waits for a place.
var errHeld = errors.New("the execution waits for a place")

// enterPlace takes the place that an execution started for later needs.
func (r *run) enterPlace(ctx context.Context) error {
	if r.x.Hold != execution.Later {
		return nil
	}
	place, err := execution.PlaceFor(r.program, r.x.WorkflowID, r.x.TriggerData)
	if err != nil || place == nil {
		return err
	}
	place.Key, place.Limit = r.x.ConcurrencyKey, r.x.ConcurrencyLimit
	entered, err := r.engine.journal.Enter(ctx, r.x, *place)
	if err == nil && !entered {
		return errHeld
	}
	return err
}

// asWanted takes in what was asked of the execution while it was not in memory.
// It reports whether the execution is over with that.
func (r *run) asWanted(ctx context.Context) (over bool, err error) {
	if r.x.CancelRequested {
		r.finish(execution.Cancelled, &execution.Error{Code: "cancelled", Message: "the execution was cancelled"}, value{})
		return true, nil
	}
	if r.recovered && (r.paused || r.x.Status == execution.Paused) {
		return false, r.pauseShares(ctx, r.paused)
	}
	return false, nil
}

// enterFrame restores what is stored of a round and puts its ready nodes to work.
func (r *run) enterFrame(ctx context.Context, f *frame) error {
	var rows []execution.NodeRun
	if r.recovered {
		var err error
		if rows, err = r.engine.journal.NodeRuns(ctx, r.x.WorkspaceID, r.x.ID, f.iteration); err != nil {
			return err
		}
	}
	for _, row := range rows {
		s, ok := r.program.Step(row.NodeID)
		if !ok || s.Scope != f.scope {
			continue // a round of a container, or a node of another scope
		}
		n := f.node(s.Index)
		n.run = row
		if !row.Status.Over() {
			n.asked = row.Status == execution.NodeRunning || row.Wait != nil && len(row.Wait.Asks) > 0
			continue
		}
		n.value = stored(row)
		f.progress.Settle(execution.Settled{Step: s.Index, Handles: row.Handles, Dead: isDead(row, s)})
	}
	r.take(f)
	return nil
}

func stored(row execution.NodeRun) value {
	v := value{raw: row.Output, ref: row.OutputRef}
	if row.Output != nil {
		// What we stored is JSON we wrote: it reads back.
		_ = json.Unmarshal(row.Output, &v.data)
	}
	return v
}

func isDead(row execution.NodeRun, s *workflow.Step) bool {
	switch row.Status {
	case execution.NodeSkipped:
		return s.Enabled
	case execution.NodeCancelled:
		return true
	case execution.NodeFailed:
		return s.OnError == workflow.OnErrorStop
	}
	return false
}

// take moves what a frame's progress found out into the run: skipped nodes
// into the batch, ready ones into the queue, and waiting ones back to waiting.
func (r *run) take(f *frame) {
	for _, i := range f.progress.Skipped() {
		n := f.node(i)
		if n.run.Status.Over() {
			continue
		}
		r.describe(f, i)
		n.run.Status = execution.NodeSkipped
		r.count(f, i, execution.NodeSkipped)
		r.record(n, "")
	}
	for _, i := range f.progress.Ready() {
		t := task{f, i}
		n := f.node(i)
		s := &r.program.Steps[i]
		switch {
		case n.run.Status == execution.NodeWaiting && n.run.Wait != nil:
			r.waiting[t] = n.run.Wait.Until
			r.unseen = r.unseen || n.run.Wait.Reason == waitChild || n.run.Wait.Reason == waitSplit || len(n.run.Wait.Asks) > 0
			continue
		case n.run.Status == execution.NodeRunning && s.Kind.OnCrash != node.CrashRerun && !s.Kind.Container:
			r.settleFailure(t, fault.New(fault.Internal, "the process died while this node ran, and it may not be repeated").WithCode("crashed"))
			continue
		}
		r.ready = append(r.ready, t)
	}
}

// describe fills what a node's row says whatever happens.
func (r *run) describe(f *frame, step int) *nodeState {
	n := f.node(step)
	if n.run.ID == "" {
		s := &r.program.Steps[step]
		title := s.Node.Title
		if title == "" {
			title = s.Kind.Title
		}
		n.run.ID = nodeRunID(r.uid, s.Node.ID, f.iteration)
		n.run.NodeID, n.run.Kind, n.run.Title, n.run.Iteration = s.Node.ID, s.Node.Kind, title, f.iteration
	}
	return n
}

// count keeps the execution's counters: nodes of rounds count once, with
// their container.
func (r *run) count(f *frame, step int, status execution.NodeStatus) {
	if f.loop != nil || r.share != nil {
		return
	}
	nodes := 1 + r.bodySize(step)
	switch status {
	case execution.NodeCompleted:
		r.x.CompletedNodes += nodes
	case execution.NodeFailed:
		r.x.FailedNodes++
		r.x.SkippedNodes += nodes - 1
	case execution.NodeSkipped, execution.NodeCancelled:
		r.x.SkippedNodes += nodes
	}
}

func (r *run) bodySize(step int) int {
	body := r.program.Steps[step].Body
	if body < 0 {
		return 0
	}
	size := 0
	for _, i := range r.program.Scopes[body].Steps {
		size += 1 + r.bodySize(i)
	}
	return size
}
