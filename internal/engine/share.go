package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/workflow"
)

// watchShare is how often a share makes sure that its split still waits for it.
// The split tells it when it does not; this is for a split that died before.
const watchShare = 5 * time.Second

// share is what makes a run the share of a split: it runs the rounds of one
// container for some of its items, inside rounds that stand elsewhere.
type share struct {
	execution.Share
	task task
	look time.Time // when to look at the split next
}

// isShare reports whether the task is the container whose rounds this share runs.
func (r *run) isShare(t task) bool { return r.share != nil && r.share.task == t }

// loadShare brings a share into memory: the rounds around its split, as they
// were when it began, and what its own rounds left behind.
func (r *run) loadShare(ctx context.Context) error {
	s := &share{look: r.now()}
	if !r.recovered {
		s.look = s.look.Add(watchShare)
	}
	if err := json.Unmarshal(r.x.TriggerData, &s.Share); err != nil {
		return fault.Wrap(fault.Invalid, err, "the data of the share cannot be read")
	}
	step, ok := r.program.Step(r.x.ParentNode)
	if !ok || step.Body < 0 {
		return fault.New(fault.Invalid, "the workflow has no split %q", r.x.ParentNode)
	}
	r.x.TotalNodes = len(s.Items)
	if over, err := r.asWanted(ctx); over || err != nil {
		return err
	}
	if err := r.loadOrigin(ctx, s.Origin); err != nil {
		return err
	}
	if r.x.StartedAt.IsZero() {
		r.x.StartedAt = r.now()
	}
	if limit := r.program.Definition.Settings.TimeoutSeconds; limit > 0 {
		r.deadline = r.origin.StartedAt.Add(time.Duration(limit * float64(time.Second)))
	}
	if !r.paused && r.x.Status != execution.Running {
		r.x.Status = execution.Running
		r.emitExecution(step.Node.ID, "")
	}
	f, err := r.outerFrames(ctx, step, s.Outer)
	if err != nil {
		return err
	}
	items := make([]any, len(s.Items))
	for i, text := range s.Items {
		items[i] = decodeJSON(text)
	}
	s.Items = nil
	r.root, s.task, r.share = f, task{f, step.Index}, s
	return r.beginShare(step, items)
}

// loadOrigin reads what the author of the body knows as the execution.
func (r *run) loadOrigin(ctx context.Context, id string) error {
	x, err := r.engine.journal.Child(ctx, r.x.WorkspaceID, id)
	if err != nil {
		return err
	}
	r.origin = x
	if len(x.TriggerData) > 0 {
		if err := json.Unmarshal(x.TriggerData, &r.trigger); err != nil {
			return fault.Wrap(fault.Invalid, err, "the trigger data is not JSON")
		}
	}
	return nil
}

// outerFrames returns the round in which a split stands, with those around it.
// Nothing runs in them.
func (r *run) outerFrames(ctx context.Context, split *workflow.Step, outer []execution.Outer) (*frame, error) {
	scopes := []int{split.Scope}
	for at := r.program.Scopes[split.Scope].Container; at >= 0; at = r.program.Scopes[r.program.Steps[at].Scope].Container {
		scopes = append(scopes, r.program.Steps[at].Scope)
	}
	slices.Reverse(scopes)
	if len(scopes) != len(outer) {
		return nil, fault.New(fault.Invalid, "the share does not fit the split %q", split.Node.ID)
	}
	var f *frame
	for i, o := range outer {
		f = &frame{parent: f, scope: scopes[i], iteration: o.Iteration, last: -1, nodes: map[int]*nodeState{}, home: o.ExecutionID}
		if len(o.Nodes) == 0 {
			continue
		}
		rows, err := r.engine.journal.NodeRuns(ctx, r.x.WorkspaceID, o.ExecutionID, o.Iteration)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			s, ok := r.program.Step(row.NodeID)
			if ok && s.Scope == f.scope && slices.Contains(o.Nodes, row.NodeID) {
				f.nodes[s.Index] = &nodeState{run: row, value: stored(row)}
			}
		}
	}
	return f, nil
}

// beginShare starts the rounds, or goes on with them.
func (r *run) beginShare(step *workflow.Step, items []any) error {
	s := r.share
	n := r.describe(s.task.frame, step.Index)
	l := &loop{task: s.task, it: &node.Iteration{Items: items, Parallel: max(s.Parallel, 1), ContinueOnError: s.Continue}, body: step.Body,
		base: s.From, next: s.From, open: map[int]*frame{}, ends: newRoundEnds(false)}
	n.loop = l
	n.run.Status, n.run.Attempt, n.run.StartedAt = execution.NodeRunning, 1, r.x.StartedAt
	n.run.Wait = &execution.Wait{Reason: waitLoop}
	if r.recovered {
		if err := r.restoreRounds(l); err != nil {
			return err
		}
	}
	r.record(n, "")
	r.pump(l)
	r.wakeDue()
	return nil
}

// countItem keeps a share's counters: they count items, not nodes.
func (r *run) countItem(status execution.NodeStatus) {
	if status == execution.NodeFailed {
		r.x.FailedNodes++
		return
	}
	r.x.CompletedNodes++
}

// endShare ends the execution with its container.
func (r *run) endShare(failure *execution.Error, out value) {
	n := r.share.task.state()
	n.run.Status, n.run.Error, n.run.Wait, n.run.CompletedAt = execution.NodeCompleted, failure, nil, r.now()
	status, message := execution.Completed, ""
	if failure != nil {
		status, n.run.Status, message = execution.Failed, execution.NodeFailed, failure.Message
	}
	r.record(n, message)
	r.finish(status, failure, out)
}

// stopped is the output of a share whose body ended the whole execution.
type stopped struct {
	Failed  bool   `json:"failed"`
	Message string `json:"message"`
	NodeID  string `json:"node_id"`
	Output  any    `json:"output"`
}

// stopOrigin ends a share because its body ended the whole execution, which
// its split then does.
func (r *run) stopOrigin(order stopped, out value) {
	data, err := r.read(r.ctx, out)
	if err != nil {
		r.broken = err
		return
	}
	order.Output = data
	r.stopAs(order)
}

// stopAs ends the execution as a node of one of its shares, or of its own
// when it is a share, has told.
func (r *run) stopAs(order stopped) {
	output := order.Output
	if r.share != nil {
		output = map[string]any{"stopped": order}
	}
	out, err := r.keep(output)
	if err != nil {
		r.broken = err
		return
	}
	r.cancelFrame(r.root)
	if order.Failed {
		r.finish(execution.Failed, &execution.Error{Code: "stopped", Message: order.Message, NodeID: order.NodeID}, out)
		return
	}
	r.finish(execution.Completed, nil, out)
}

// stoppedBy reads the output of a share whose body ended the whole execution;
// nil of any other.
func stoppedBy(output []byte) *stopped {
	if !bytes.HasPrefix(output, []byte(`{"stopped":`)) {
		return nil
	}
	var out struct{ Stopped *stopped }
	if json.Unmarshal(output, &out) != nil {
		return nil
	}
	return out.Stopped
}

// watches reports whether it is time for a share to look at its split.
func (r *run) watches() bool {
	return r.share != nil && !r.over && !r.now().Before(r.share.look)
}

// orphaned ends a share that no split waits for any more.
func (r *run) orphaned(ctx context.Context) (bool, error) {
	if r.share == nil || r.now().Before(r.share.look) {
		return false, nil
	}
	r.share.look = r.now().Add(watchShare)
	statuses, err := r.engine.journal.Statuses(ctx, r.x.WorkspaceID, []string{r.x.ParentID})
	if err != nil {
		return false, err
	}
	if status, there := statuses[r.x.ParentID]; there && !status.Over() {
		rows, err := r.engine.journal.NodeRuns(ctx, r.x.WorkspaceID, r.x.ParentID, r.x.ParentIteration)
		if err != nil {
			return false, err
		}
		waits := func(row execution.NodeRun) bool {
			return row.NodeID == r.x.ParentNode && row.Status == execution.NodeWaiting
		}
		if slices.ContainsFunc(rows, waits) {
			return false, nil
		}
	}
	r.finish(execution.Cancelled, &execution.Error{Code: "cancelled", Message: "the split this belongs to has ended"}, value{})
	return true, nil
}
