package engine

import (
	"context"
	"encoding/json"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"

	"github.com/google/uuid"
)

// batch gathers what the next commit writes.
type batch struct {
	nodes    []execution.NodeRun
	events   []event.Event
	logs     []execution.LogEntry
	steps    []execution.StepRecord
	children []execution.New
	payloads []execution.Payload
	head     bool     // something in the head changed
	replies  []func() // called after the commit
	spilled  []*spilled
}

func (b *batch) empty() bool {
	return !b.head && len(b.nodes) == 0 && len(b.events) == 0 && len(b.steps) == 0 && len(b.logs) == 0
}

func (b *batch) rows() int { return len(b.nodes) + len(b.steps) + len(b.logs) }

// nodeRunID is the stable id of a node's run in an iteration, so that a row
// written again is the same row. It is a name-based UUID (version 5, RFC 9562)
// in the execution's own namespace.
func nodeRunID(execution uuid.UUID, nodeID, iteration string) string {
	return uuid.NewSHA1(execution, []byte(nodeID+"\x00"+iteration)).String()
}

// nodeEvent is what watchers learn of a node's change.
type nodeEvent struct {
	ExecutionID string               `json:"execution_id"`
	NodeRunID   string               `json:"node_execution_id"`
	NodeID      string               `json:"node_id"`
	NodeName    string               `json:"node_name"`
	Kind        string               `json:"kind"`
	Iteration   string               `json:"iteration,omitempty"`
	Status      execution.NodeStatus `json:"status"`
	Attempt     int                  `json:"attempt,omitempty"`
	Message     string               `json:"message,omitempty"`
	DurationMS  int64                `json:"duration_ms,omitempty"`
}

// executionEvent is what watchers learn of the execution's change.
type executionEvent struct {
	ExecutionID    string           `json:"execution_id"`
	WorkflowID     string           `json:"workflow_id"`
	Status         execution.Status `json:"status"`
	Progress       int              `json:"progress_percentage"`
	CompletedNodes int              `json:"completed_nodes"`
	TotalNodes     int              `json:"total_nodes"`
	CurrentNode    string           `json:"current_node,omitempty"`
	Message        string           `json:"message,omitempty"`
}

func (r *run) emit(kind, name string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		r.engine.cfg.Log.Error("event cannot be written", "execution_id", r.x.ID, "error", err)
		return
	}
	r.x.LastSeq++
	r.batch.events = append(r.batch.events, event.Event{Room: r.room, Seq: r.x.LastSeq, Type: kind, Name: name, At: r.now(), Data: text})
}

func (r *run) emitNode(n *execution.NodeRun, message string) {
	e := nodeEvent{ExecutionID: r.x.ID, NodeRunID: n.ID, NodeID: n.NodeID, NodeName: n.Title, Kind: n.Kind,
		Iteration: n.Iteration, Status: n.Status, Attempt: n.Attempt, Message: message}
	if !n.CompletedAt.IsZero() && !n.StartedAt.IsZero() {
		e.DurationMS = n.CompletedAt.Sub(n.StartedAt).Milliseconds()
	}
	r.emit(event.NodeUpdate, "status_changed", e)
}

func (r *run) emitExecution(current, message string) {
	r.batch.head = true
	r.emit(event.ExecutionUpdate, "status_changed", executionEvent{ExecutionID: r.x.ID, WorkflowID: r.x.WorkflowID, Status: r.x.Status,
		Progress: r.x.Progress(), CompletedNodes: r.x.CompletedNodes, TotalNodes: r.x.TotalNodes, CurrentNode: current, Message: message})
}

// record puts a node's row and event into the batch.
func (r *run) record(n *execution.NodeRun, message string) {
	r.batch.nodes = append(r.batch.nodes, *n)
	r.batch.head = true
	r.emitNode(n, message)
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
	c := execution.Commit{WorkspaceID: r.x.WorkspaceID, ExecutionID: r.x.ID, Epoch: r.x.Epoch, Nodes: lastOfEach(b.nodes),
		Events: b.events, Logs: b.logs, Steps: b.steps, Children: b.children, Payloads: b.payloads}
	c.Head = &execution.Head{Status: r.x.Status, Output: r.output.raw, OutputRef: r.output.ref, Response: r.x.Response, Error: r.x.Error,
		CompletedNodes: r.x.CompletedNodes, FailedNodes: r.x.FailedNodes, SkippedNodes: r.x.SkippedNodes, Usage: r.x.Usage,
		StartedAt: r.x.StartedAt, CompletedAt: r.x.CompletedAt, WakeAt: r.x.WakeAt, LastSeq: r.x.LastSeq, Release: release}
	if r.over && r.x.Status == execution.Failed && r.program != nil {
		c.ErrorWorkflow = r.program.Definition.Settings.ErrorWorkflow
	}
	if err := r.engine.journal.Commit(ctx, c); err != nil {
		return err
	}
	r.publish(ctx, b.events)
	for _, s := range b.spilled {
		s.raw.Store(nil) // from now on it can be fetched
	}
	for _, reply := range b.replies {
		reply()
	}
	for i := range b.children {
		r.announceChild(&b.children[i].Execution)
	}
	return nil
}

func (r *run) announceChild(x *execution.Execution) {
	r.engine.announce.Announce(execution.Ticket{ID: x.ID, WorkspaceID: x.WorkspaceID, Priority: x.Priority, Fresh: x})
}

// publish announces committed events in the execution's room, and its changes
// of status in the rooms of its workflow and workspace (without seq there:
// those rooms keep no history of executions).
func (r *run) publish(ctx context.Context, events []event.Event) {
	out := events
	for _, e := range events {
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

// lastOfEach keeps the newest row of each node, so that one commit writes each
// row once.
func lastOfEach(rows []execution.NodeRun) []execution.NodeRun {
	if len(rows) < 2 {
		return rows
	}
	at := make(map[string]int, len(rows))
	out := rows[:0:0]
	for _, row := range rows {
		if i, seen := at[row.ID]; seen {
			out[i] = row
			continue
		}
		at[row.ID] = len(out)
		out = append(out, row)
	}
	return out
}

func (r *run) takeLogs() {
	r.logMu.Lock()
	logs := r.logs
	r.logs = nil
	r.logMu.Unlock()
	for _, l := range logs {
		r.emit(event.Log, "appended", logEvent{NodeID: l.NodeID, Iteration: l.Iteration, Level: l.Level, Message: l.Message, Data: l.Data, At: l.At})
		l.Seq = r.x.LastSeq
		r.batch.logs = append(r.batch.logs, l)
	}
}

type logEvent struct {
	NodeID    string          `json:"node_id,omitempty"`
	Iteration string          `json:"iteration,omitempty"`
	Level     string          `json:"level"`
	Message   string          `json:"message"`
	Data      json.RawMessage `json:"data,omitempty"`
	At        time.Time       `json:"at"`
}
