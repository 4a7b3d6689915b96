package engine

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/jsonvalue"
	"agentstudio/internal/node"
)

// What watchers learn. The two events every node causes are written field by
// field, since every execution pays for them; the rest is written by its tags.

func (r *run) emit(kind, name string, data json.RawMessage) {
	r.x.LastSeq++
	r.batch.events = append(r.batch.events, event.Event{Room: r.room, Seq: r.x.LastSeq, Type: kind, Name: name, At: r.now(), Data: data})
}

func (r *run) emitValue(kind, name string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		r.engine.cfg.Log.Error("event cannot be written", "execution_id", r.x.ID, "error", err)
		return
	}
	r.emit(kind, name, text)
}

// emitNode tells of a node's change: execution_id, node_execution_id, node_id,
// node_name, kind and status, and where they say something iteration, attempt,
// message and duration_ms.
func (r *run) emitNode(n *execution.NodeRun, message string) {
	o := r.object()
	o.text("execution_id", r.x.ID)
	o.text("node_execution_id", n.ID)
	o.text("node_id", n.NodeID)
	o.text("node_name", n.Title)
	o.text("kind", n.Kind)
	if n.Iteration != "" {
		o.text("iteration", n.Iteration)
	}
	o.text("status", string(n.Status))
	if n.Attempt != 0 {
		o.number("attempt", int64(n.Attempt))
	}
	if message != "" {
		o.text("message", message)
	}
	if !n.CompletedAt.IsZero() && !n.StartedAt.IsZero() {
		if took := n.CompletedAt.Sub(n.StartedAt).Milliseconds(); took != 0 {
			o.number("duration_ms", took)
		}
	}
	r.emit(event.NodeUpdate, "status_changed", r.end(o))
}

// emitExecution tells of the execution's change: execution_id, workflow_id,
// status, progress_percentage, completed_nodes and total_nodes, and where they
// say something current_node and message.
func (r *run) emitExecution(current, message string) {
	r.batch.head = true
	o := r.object()
	o.text("execution_id", r.x.ID)
	o.text("workflow_id", r.x.WorkflowID)
	o.text("status", string(r.x.Status))
	o.number("progress_percentage", int64(r.x.Progress()))
	o.number("completed_nodes", int64(r.x.CompletedNodes))
	o.number("total_nodes", int64(r.x.TotalNodes))
	if current != "" {
		o.text("current_node", current)
	}
	if message != "" {
		o.text("message", message)
	}
	r.emit(event.ExecutionUpdate, "status_changed", r.end(o))
}

// object is a JSON object being written.
type object struct{ buf []byte }

func (o *object) key(name string) {
	if len(o.buf) > 1 {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(append(append(o.buf, '"'), name...), '"', ':')
}

func (o *object) text(name, value string) {
	o.key(name)
	o.buf = jsonvalue.AppendString(o.buf, value)
}

func (o *object) number(name string, value int64) {
	o.key(name)
	o.buf = strconv.AppendInt(o.buf, value, 10)
}

// object starts one in the run's scratch memory.
func (r *run) object() object { return object{append(r.scratch[:0], '{')} }

// end closes the object and returns it in memory of its own.
func (r *run) end(o object) json.RawMessage {
	r.scratch = append(o.buf, '}')
	return bytes.Clone(r.scratch)
}

type logEvent struct {
	NodeID    string          `json:"node_id,omitempty"`
	Iteration string          `json:"iteration,omitempty"`
	Level     string          `json:"level"`
	Message   string          `json:"message"`
	Data      json.RawMessage `json:"data,omitempty"`
	At        time.Time       `json:"at"`
}

type stepEvent struct {
	ExecutionID string     `json:"execution_id"`
	NodeID      string     `json:"node_id"`
	Iteration   string     `json:"iteration,omitempty"`
	Name        string     `json:"name"`
	Kind        string     `json:"kind"`
	Title       string     `json:"title"`
	Failed      bool       `json:"failed,omitempty"`
	Usage       node.Usage `json:"usage"`
	DurationMS  int64      `json:"duration_ms"`
}

type deltaEvent struct {
	ExecutionID string `json:"execution_id"`
	NodeID      string `json:"node_id"`
	Iteration   string `json:"iteration,omitempty"`
	node.Delta
}
