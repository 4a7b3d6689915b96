package engine

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

// finish ends the execution: what runs is cut, what waits is cancelled. The
// caller commits.
func (r *run) finish(status execution.Status, failure *execution.Error, output value) {
	if r.over {
		return
	}
	r.over = true
	r.cancel()
	if status != execution.Completed && r.root != nil {
		r.cancelFrame(r.root)
	}
	r.x.Status, r.x.Error, r.output = status, failure, output
	r.x.CompletedAt = r.now()
	if r.x.StartedAt.IsZero() {
		r.x.StartedAt = r.x.CompletedAt
	}
	r.x.WakeAt = time.Time{}
	r.batch.outcome = true
	r.ready, r.waiting = nil, map[task]time.Time{}
	message := ""
	if failure != nil {
		message = failure.Message
	}
	r.emitExecution("", message)
}

// afterEnd tells those who wait for this execution, and ends its children when
// it did not complete.
func (r *run) afterEnd(ctx context.Context) error {
	if r.x.ParentID != "" {
		r.engine.announce.Announce(execution.Ticket{ID: r.x.ParentID, WorkspaceID: r.x.WorkspaceID})
	}
	if r.x.Status == execution.Completed || !r.recovered {
		return nil
	}
	// Nodes of rounds that were not in memory again.
	waiting, err := r.engine.journal.Waiting(ctx, r.x.WorkspaceID, r.x.ID)
	if err != nil {
		return err
	}
	for i := range waiting {
		r.drop(&nodeState{run: waiting[i]})
	}
	return r.cancelDropped(ctx)
}

// drop notes the executions a node waits for as wanted no longer.
func (r *run) drop(n *nodeState) {
	wait := n.run.Wait
	switch {
	case wait == nil || n.run.Status != execution.NodeWaiting:
	case wait.Reason == waitChild:
		r.dropped = append(r.dropped, wait.Child)
	case wait.Reason == waitSplit && wait.Shares != nil:
		r.dropped = append(r.dropped, r.openShareIDs(&n.run)...)
	}
}

// cancelDropped asks for the end of what nobody waits for any more.
func (r *run) cancelDropped(ctx context.Context) error {
	var errs []error
	dropped := r.dropped
	r.dropped = nil
	for _, id := range dropped {
		if _, err := r.engine.control.RequestCancel(ctx, r.x.WorkspaceID, id); err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
			errs = append(errs, err)
			continue
		}
		r.engine.announce.Announce(execution.Ticket{ID: id, WorkspaceID: r.x.WorkspaceID})
	}
	return errors.Join(errs...)
}

// outputOf returns what a round is worth: the output of its one sink that ran,
// an object by node id when there are several, null when there is none.
func (r *run) outputOf(f *frame) value {
	var ended []int
	for _, i := range r.program.Scopes[f.scope].Sinks {
		if n := f.nodes[i]; n != nil && n.value.present() && n.run.Status != execution.NodeSkipped {
			ended = append(ended, i)
		}
	}
	switch len(ended) {
	case 0:
		return value{raw: json.RawMessage("null")}
	case 1:
		return f.nodes[ended[0]].value
	}
	object := map[string]any{}
	for _, i := range ended {
		data, err := r.read(r.ctx, f.nodes[i].value)
		if err != nil {
			r.engine.cfg.Log.Error("output cannot be read", "execution_id", r.x.ID, "error", err)
			continue
		}
		object[r.program.Steps[i].Node.ID] = data
	}
	v, err := r.keep(object)
	if err != nil {
		return value{raw: json.RawMessage("null")}
	}
	return v
}
