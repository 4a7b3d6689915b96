package engine

import (
	"context"
	"crypto/sha1" //nolint:gosec // name-based ids are made of it

	"agentstudio/internal/event"
	"agentstudio/internal/execution"

	"github.com/google/uuid"
)

// batch gathers what the next commit writes.
type batch struct {
	nodes    []*nodeState
	rounds   []*execution.NodeRun
	events   []event.Event
	logs     []execution.LogEntry
	steps    []execution.StepRecord
	children []execution.New
	payloads []execution.Payload
	asks     []execution.Ask
	taken    []execution.NodeRef
	closed   []execution.NodeRef
	outcome  bool     // the end, or the response to who waits for it
	head     bool     // something in the head changed
	replies  []func() // called after the commit
	spilled  []*spilled
}

func (b *batch) empty() bool {
	return !b.head && b.rows() == 0 && len(b.events) == 0
}

func (b *batch) rows() int { return len(b.nodes) + len(b.rounds) + len(b.steps) + len(b.logs) }

// takeRows returns the rows the batch writes; nodes that change from now on
// belong to the next one.
func (b *batch) takeRows() []*execution.NodeRun {
	if len(b.nodes) == 0 {
		return b.rounds
	}
	rows := make([]*execution.NodeRun, 0, len(b.nodes)+len(b.rounds))
	for _, n := range b.nodes {
		n.queued = false
		rows = append(rows, &n.run)
	}
	return append(rows, b.rounds...)
}

// nodeRunID is the stable id of a node's run in an iteration, so that a row
// written again is the same row. It is a name-based UUID (version 5, RFC 9562)
// in the execution's own namespace.
func nodeRunID(execution uuid.UUID, nodeID, iteration string) string {
	var room [128]byte
	name := append(append(append(append(room[:0], execution[:]...), nodeID...), 0), iteration...)
	sum := sha1.Sum(name) //nolint:gosec // what RFC 9562 says, not a secret
	id := uuid.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80
	return id.String()
}

// record puts a node's row and event into the batch.
func (r *run) record(n *nodeState, message string) {
	r.keepRow(n)
	if n.asked && n.run.Status.Over() {
		n.asked = false
		r.batch.closed = append(r.batch.closed, execution.NodeRef{NodeID: n.run.NodeID, Iteration: n.run.Iteration})
	}
	r.batch.head = true
	r.emitNode(&n.run, message)
}

// keepRow has the next commit write the node's row, as it is by then.
func (r *run) keepRow(n *nodeState) {
	if !n.queued {
		n.queued = true
		r.batch.nodes = append(r.batch.nodes, n)
	}
}

// commit writes the batch and, when it is on disk, announces it. The batch is
// empty afterwards.
func (r *run) commit(ctx context.Context, release bool) error {
	r.takeLogs()
	b := r.batch
	if b.empty() && !release {
		return nil
	}
	r.batch = batch{}
	c := execution.Commit{WorkspaceID: r.x.WorkspaceID, ExecutionID: r.x.ID, Epoch: r.x.Epoch, Nodes: b.takeRows(),
		Events: b.events, Logs: b.logs, Steps: b.steps, Children: b.children, Payloads: b.payloads,
		Asks: b.asks, Taken: b.taken, Closed: b.closed, CloseAsks: r.over && (r.asking || r.recovered)}
	c.Head = &execution.Head{Status: r.x.Status, Output: r.output.raw, OutputRef: r.output.ref, Response: r.x.Response, Error: r.x.Error,
		CompletedNodes: r.x.CompletedNodes, FailedNodes: r.x.FailedNodes, SkippedNodes: r.x.SkippedNodes, Usage: r.x.Usage,
		StartedAt: r.x.StartedAt, CompletedAt: r.x.CompletedAt, WakeAt: r.x.WakeAt, LastSeq: r.x.LastSeq, Release: release}
	if r.over {
		c.Quiet = r.x.DryRun
		c.Parent, c.Place = r.x.ParentID, r.x.ConcurrencyKey
	}
	if r.over && r.x.Status == execution.Failed && r.program != nil && !r.x.DryRun && !r.x.IsShare() {
		c.ErrorWorkflow = r.program.Definition.Settings.ErrorWorkflow
	}
	if err := r.engine.journal.Commit(ctx, c); err != nil {
		return err
	}
	if o := r.engine.cfg.Observer; o != nil {
		r.observe(o, &c, b.outcome)
	}
	if b.outcome && r.engine.cfg.Outcome != nil && r.output.ref == "" {
		x := *r.x
		x.Output = r.output.raw
		r.engine.cfg.Outcome(&x)
	}
	r.publish(ctx, b.events)
	for _, s := range b.spilled {
		s.raw.Store(nil) // from now on it can be fetched
	}
	for _, reply := range b.replies {
		reply()
	}
	for i := range b.children {
		if b.children[i].Place == nil { // else the store does, once it has one
			r.announceChild(&b.children[i].Execution)
		}
	}
	return nil
}

// observe tells of what a commit has settled.
func (r *run) observe(o Observer, c *execution.Commit, outcome bool) {
	for _, n := range c.Nodes {
		if n.Status.Over() {
			o.Node(n.Kind, n.Status)
		}
	}
	if outcome && r.over {
		o.Ended(r.x.Status, r.x.CompletedAt.Sub(r.x.StartedAt))
	}
}

func (r *run) announceChild(x *execution.Execution) {
	r.engine.announce.Announce(execution.Ticket{ID: x.ID, WorkspaceID: x.WorkspaceID, Priority: x.Priority, Fresh: x})
}

// publish announces committed events in the execution's room, and its changes
// of status in the rooms of its workflow and workspace (without seq there:
// those rooms keep no history of executions). Shares are told of by their split.
func (r *run) publish(ctx context.Context, events []event.Event) {
	out := events
	for _, e := range events {
		if r.x.IsShare() {
			break
		}
		if e.Type == event.ExecutionUpdate {
			e.Seq = 0
			e.Room = event.WorkspaceRoom(r.x.WorkspaceID)
			out = append(out, e)
			e.Room = event.WorkflowRoom(r.x.WorkflowID)
			out = append(out, e)
		}
	}
	r.engine.bus.Publish(ctx, out...)
}

func (r *run) takeLogs() {
	r.logMu.Lock()
	logs := r.logs
	r.logs = nil
	r.logMu.Unlock()
	for _, l := range logs {
		r.emitValue(event.Log, "appended", logEvent{NodeID: l.NodeID, Iteration: l.Iteration, Level: l.Level, Message: l.Message, Data: l.Data, At: l.At})
		l.Seq = r.x.LastSeq
		r.batch.logs = append(r.batch.logs, l)
	}
}
