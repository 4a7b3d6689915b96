package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

// loop is a container at work: it starts rounds, at most Parallel at a time.
// Only rounds under way hold a frame; what they came to is kept in rounds.go.
type loop struct {
	task     task
	it       *node.Iteration
	body     int
	base     int // index of the first item; 0 unless this is a share of a split
	next     int // index of the round to start next
	ended    bool
	open     map[int]*frame
	ends     roundEnds
	previous any
	pumping  bool
}

// beginLoop starts, or after a crash goes on with, the rounds of a container.
func (r *run) beginLoop(t task, it *node.Iteration) {
	s := &r.program.Steps[t.step]
	n := t.state()
	limit := it.MaxItems
	if limit <= 0 || limit > r.engine.cfg.MaxItems {
		limit = r.engine.cfg.MaxItems
	}
	it.MaxItems = limit
	if len(it.Items) > limit {
		r.settleFailure(t, fault.New(fault.Invalid, "the loop has %d items, but at most %d are allowed", len(it.Items), limit).WithCode("too_many_items"))
		return
	}
	it.Parallel = max(it.Parallel, 1)
	switch spread, err := r.spreads(t, it); {
	case err != nil:
		r.broken = err
		return
	case spread:
		if err := r.beginSplit(t, it); err != nil {
			r.settleFailure(t, err)
		}
		return
	}
	l := &loop{task: t, it: it, body: s.Body, open: map[int]*frame{}, ends: newRoundEnds(s.Body < 0 || len(r.program.Scopes[s.Body].Steps) == 0)}
	n.loop = l
	n.run.Status = execution.NodeRunning
	n.run.Wait = &execution.Wait{Reason: waitLoop}
	if r.recovered {
		if err := r.restoreRounds(l); err != nil {
			r.broken = err
			return
		}
	}
	r.record(n, "")
	r.pump(l)
}

func lastIndex(iteration string) int {
	i, unit := 0, 1
	for at := len(iteration) - 1; at >= 0 && iteration[at] != '.'; at-- {
		i += int(iteration[at]-'0') * unit
		unit *= 10
	}
	return i
}

// pump starts rounds while there are items and room, and ends the loop when
// all are done. It is not re-entered: rounds that end at once are taken up by
// the call under way.
func (r *run) pump(l *loop) {
	if l.pumping {
		return
	}
	l.pumping = true
	defer func() { l.pumping = false }()
	for len(l.open) < l.it.Parallel && !l.ended && !r.over && r.broken == nil {
		item, more, err := r.nextItem(l)
		if err != nil && r.ctx.Err() != nil {
			return
		}
		if err != nil {
			r.closeRounds(l)
			r.settleFailure(l.task, err)
			return
		}
		if !more {
			l.ended = true
			break
		}
		i := l.next
		l.next++
		if l.ends.earlier(i) {
			if l.it.Next != nil {
				if l.previous, err = r.earlierOutput(l, i); err != nil {
					r.broken = err
					return
				}
			}
			continue
		}
		r.startRound(l, i, item)
	}
	if l.ended && len(l.open) == 0 && !r.over && r.broken == nil && !l.task.state().run.Status.Over() {
		r.endLoop(l)
	}
}

func (r *run) nextItem(l *loop) (item any, more bool, err error) {
	if l.it.Next == nil {
		if l.next-l.base >= len(l.it.Items) {
			return nil, false, nil
		}
		return l.it.Items[l.next-l.base], true, nil
	}
	if len(l.open) > 0 {
		return nil, false, nil
	}
	item, more, err = l.it.Next(r.ctx, l.next, l.previous)
	if err == nil && more && l.next >= l.it.MaxItems {
		err = fault.New(fault.Invalid, "the loop was still going after %d rounds", l.it.MaxItems).WithCode("loop_limit")
	}
	return item, more, err
}

func (r *run) startRound(l *loop, i int, item any) {
	if l.body < 0 || len(r.program.Scopes[l.body].Steps) == 0 {
		v, err := r.keep(item)
		if err != nil {
			v, _ = r.keep(nil)
		}
		l.ends.add(i, v, nil)
		return
	}
	f := newFrame(r.program, l.task.frame, l, l.body, -1, roundIteration(l.task.frame.iteration, i))
	f.item, f.index = item, i
	l.open[i] = f
	if err := r.enterFrame(r.ctx, f); err != nil {
		r.broken = err
		return
	}
	if !f.closed && f.progress.Over() {
		r.endRound(f)
	}
}

// endRound keeps what a finished round came to and frees its memory.
func (r *run) endRound(f *frame) {
	l := f.loop
	out := r.outputOf(f)
	f.closed = true
	delete(l.open, f.index)
	l.ends.add(f.index, out, nil)
	if l.it.Next != nil {
		l.previous, _ = r.read(r.ctx, out)
	}
	r.recordRound(f, execution.NodeCompleted, out, nil)
	f.nodes = nil
	r.pump(l)
}

// failRound keeps a failed round's error, or fails the loop with it.
func (r *run) failRound(f *frame, failure *execution.Error) {
	l := f.loop
	f.closed = true
	delete(l.open, f.index)
	if !l.it.ContinueOnError {
		r.closeRounds(l)
		r.settleFailure(l.task, fault.New(fault.Kind(failure.Code), "round %d failed at %s: %s", f.index, failure.NodeID, failure.Message).WithCode(failure.Code))
		return
	}
	null, _ := r.keep(nil)
	l.ends.add(f.index, null, failure)
	r.recordRound(f, execution.NodeFailed, null, failure)
	f.nodes = nil
	r.pump(l)
}

func (r *run) recordRound(f *frame, status execution.NodeStatus, out value, failure *execution.Error) {
	s := &r.program.Steps[f.loop.task.step]
	if r.share != nil && f.loop.task == r.share.task {
		r.countItem(status)
	}
	r.batch.rounds = append(r.batch.rounds, &execution.NodeRun{ID: nodeRunID(r.uid, s.Node.ID, f.iteration), NodeID: s.Node.ID, Kind: s.Node.Kind,
		Title: s.Node.Title, Iteration: f.iteration, Attempt: 1, Status: status, Output: out.raw, OutputRef: out.ref, Error: failure, CompletedAt: r.now()})
	r.batch.head = true
}

// closeRounds cuts every round under way.
func (r *run) closeRounds(l *loop) {
	for i, f := range l.open {
		f.closed = true
		r.cancelFrame(f)
		delete(l.open, i)
	}
	l.ended = true
}

// beginChild starts another workflow for a node, or waits for the one that an
// earlier life of it has started under the same name.
func (r *run) beginChild(v *visit, c *node.ChildStart) {
	t := v.task
	known, err := r.knownChild(v, c)
	if err != nil {
		r.broken = err
		return
	}
	if known != "" && c.Wait {
		r.awaitChild(t, known, c.Name)
		r.unseen = true // it may be over
		return
	}
	if r.x.Depth+1 > r.engine.cfg.MaxDepth {
		r.refuseChild(t, c, fault.New(fault.Conflict, "workflows call each other more than %d deep", r.engine.cfg.MaxDepth).WithCode("too_deep"))
		return
	}
	child, err := r.newChild(t, c)
	if fault.KindOf(err) == fault.Internal || fault.Is(err, fault.Unavailable) {
		r.broken = err
		return
	}
	if err != nil && c.Name != "" {
		r.refuseChild(t, c, err)
		return
	}
	if err != nil {
		r.failed(t, &r.program.Steps[t.step], err)
		return
	}
	r.batch.children = append(r.batch.children, *child)
	if !c.Wait {
		out, _ := r.keep(map[string]any{"execution_id": child.ID})
		r.complete(t, out, nil, "")
		return
	}
	r.unseen = r.unseen || child.Place != nil // it may be over before it began
	r.awaitChild(t, child.ID, c.Name)
}

func (r *run) awaitChild(t task, id, name string) {
	n := t.state()
	n.run.Status = execution.NodeWaiting
	n.run.Wait = &execution.Wait{Reason: waitChild, Child: id, Name: name}
	r.waiting[t] = n.run.Wait.Until
	r.heard = r.now()
	r.record(n, "")
}

// refuseChild tells a node that knows its children by name why one does not
// start; any other node fails.
func (r *run) refuseChild(t task, c *node.ChildStart, err error) {
	if c.Name == "" {
		r.settleFailure(t, err)
		return
	}
	t.state().resume = &resume{Resume: node.Resume{Reason: waitChild, Name: c.Name, Err: err}}
	r.ready = append(r.ready, t)
}

// childID is the id of a node's child: made of its name, where it has one.
func (r *run) childID(t task, c *node.ChildStart) string {
	if c.Name == "" {
		return r.engine.cfg.NewID()
	}
	return nodeRunID(r.uid, t.state().run.NodeID+"\x00"+c.Name, t.frame.iteration)
}

// knownChild returns the child that an earlier life of the node has started
// under the name; "" for none.
func (r *run) knownChild(v *visit, c *node.ChildStart) (string, error) {
	if c.Name == "" || !r.mayKnow(v) {
		return "", nil
	}
	id := r.childID(v.task, c)
	_, err := r.engine.journal.Child(r.ctx, r.x.WorkspaceID, id)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	return id, err
}

func (r *run) newChild(t task, c *node.ChildStart) (*execution.New, error) {
	version, err := r.engine.programs.Live(r.ctx, r.x.WorkspaceID, c.WorkflowID)
	if err != nil {
		return nil, err
	}
	p, err := r.engine.programs.Program(r.ctx, r.x.WorkspaceID, c.WorkflowID, version)
	if err != nil {
		return nil, err
	}
	start, ok := p.StartFor("workflow", "")
	if !ok {
		return nil, fault.New(fault.Invalid, "the workflow %s has no trigger", c.WorkflowID)
	}
	input, err := r.keep(c.Input)
	if err != nil {
		return nil, err
	}
	x := &execution.New{}
	x.Execution = execution.Execution{ID: r.childID(t, c), WorkspaceID: r.x.WorkspaceID, WorkflowID: c.WorkflowID, WorkflowName: p.Definition.Name,
		WorkflowVersion: version, UserID: r.x.UserID, APIKeyID: r.x.APIKeyID, Status: execution.Pending, TriggerType: "workflow", StartNode: start.Node.ID,
		Priority: r.x.Priority, TotalNodes: len(p.Steps), ParentID: r.x.ID, ParentNode: r.program.Steps[t.step].Node.ID,
		ParentIteration: t.frame.iteration, Depth: r.x.Depth + 1, CreatedAt: r.now(), Epoch: 1, Worker: r.engine.cfg.Worker}
	x.TriggerData = input.raw
	if input.raw == nil {
		return nil, fault.New(fault.TooLarge, "the input of a workflow is at most %d KiB: pass a file on instead", r.engine.cfg.InlineBytes>>10)
	}
	if x.Place, err = execution.PlaceFor(p, c.WorkflowID, x.TriggerData); x.Place != nil {
		x.Place.Record = true
	}
	return x, err
}

// lookAtChildren puts back to work the nodes whose child has ended.
func (r *run) lookAtChildren(ctx context.Context) error {
	waiting := map[string]task{}
	for t := range r.waiting {
		if wait := t.state().run.Wait; wait != nil && wait.Reason == waitChild {
			waiting[wait.Child] = t
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	statuses, err := r.engine.journal.Statuses(ctx, r.x.WorkspaceID, slices.Collect(maps.Keys(waiting)))
	if err != nil {
		return err
	}
	for id, t := range waiting {
		if status, there := statuses[id]; there && !status.Over() {
			continue
		}
		x, err := r.engine.journal.Child(ctx, r.x.WorkspaceID, id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		delete(r.waiting, t)
		outcome := childOutcome(x, err)
		outcome.Name = t.state().run.Wait.Name
		t.state().resume = &resume{Resume: outcome}
		r.ready = append(r.ready, t)
		r.heard = r.now()
	}
	return nil
}

// lingers returns until when the execution stays in memory for children that
// keep coming back: restoring it for each of them costs more than keeping it.
func (r *run) lingers() time.Time {
	for t := range r.waiting {
		if wait := t.state().run.Wait; wait != nil && (wait.Reason == waitChild || wait.Reason == waitSplit) {
			return r.heard.Add(r.engine.cfg.StayAwake)
		}
	}
	return time.Time{}
}

func childOutcome(x *execution.Execution, err error) node.Resume {
	out := node.Resume{Reason: waitChild}
	switch {
	case err != nil:
		out.Err = err
	case x.Status == execution.Completed:
		out.Data = decodeJSON(x.Output)
	default:
		message := "it was cancelled"
		if x.Error != nil {
			message = x.Error.Message
		}
		out.Err = fault.New(fault.Conflict, "the workflow %q ended as %s: %s", x.WorkflowName, x.Status, message).WithCode("child_" + string(x.Status))
	}
	return out
}
