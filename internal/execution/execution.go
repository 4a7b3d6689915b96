// Package execution holds runs of workflows: their states, the pure planning
// of what may start next, and the use cases of starting, watching and
// stopping them.
package execution

import (
	"encoding/json"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

// Status is where an execution stands.
type Status string

// The statuses: pending → running ⇄ waiting/paused → completed | failed | cancelled.
const (
	Pending   Status = "pending"
	Running   Status = "running"
	Waiting   Status = "waiting"
	Paused    Status = "paused"
	Completed Status = "completed"
	Failed    Status = "failed"
	Cancelled Status = "cancelled"
)

// Over reports whether the status is final.
func (s Status) Over() bool { return s == Completed || s == Failed || s == Cancelled }

// ParseStatus reads a status.
func ParseStatus(s string) (Status, error) {
	switch st := Status(s); st {
	case Pending, Running, Waiting, Paused, Completed, Failed, Cancelled:
		return st, nil
	}
	return "", fault.New(fault.Invalid, "status %q is not one of pending, running, waiting, paused, completed, failed, cancelled", s)
}

// NodeStatus is where one node of an execution stands.
type NodeStatus string

// The statuses of nodes.
const (
	NodePending   NodeStatus = "pending"
	NodeRunning   NodeStatus = "running"
	NodeWaiting   NodeStatus = "waiting"
	NodeCompleted NodeStatus = "completed"
	NodeFailed    NodeStatus = "failed"
	NodeSkipped   NodeStatus = "skipped"
	NodeCancelled NodeStatus = "cancelled"
)

// Over reports whether the status is final.
func (s NodeStatus) Over() bool {
	return s == NodeCompleted || s == NodeFailed || s == NodeSkipped || s == NodeCancelled
}

// TriggerTypes are the ways an execution can be started.
func TriggerTypes() []string {
	return []string{"manual", "webhook", "schedule", "api", "event", "workflow", "mcp", "chat", "file"}
}

// Error is why an execution or node failed, for people and programs.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	NodeID  string `json:"node_id,omitempty"`
}

// ErrorOf puts a failure into words that may be shown. Failures without a
// fault keep their text out of sight.
func ErrorOf(err error, nodeID string) *Error {
	out := &Error{Code: string(fault.KindOf(err)), Message: fault.Message(err), NodeID: nodeID}
	f := fault.As(err)
	if f == nil {
		return out
	}
	if f.Code != "" {
		out.Code = f.Code
	}
	for i, d := range f.Details {
		if i == 5 {
			break
		}
		out.Message += "; " + d.Location + ": " + d.Message
	}
	return out
}

// Execution is one run of one version of a workflow.
type Execution struct {
	ID              string
	WorkspaceID     string
	WorkflowID      string
	WorkflowName    string
	WorkflowVersion int
	UserID          string // empty when a trigger started it
	APIKeyID        string // of the key that started it, if one did
	Status          Status
	TriggerType     string
	StartNode       string // id of the trigger node it starts from
	TriggerData     json.RawMessage
	Output          json.RawMessage // nil until it has completed
	Response        *node.Response  // what answers the webhook call; nil when nothing said
	Error           *Error
	Priority        int
	TotalNodes      int
	CompletedNodes  int
	FailedNodes     int
	SkippedNodes    int
	Usage           node.Usage
	RetryOf         string
	ParentID        string // the execution whose node started this one
	ParentNode      string
	ParentIteration string
	Depth           int
	ScheduledAt     time.Time // zero: at once
	CreatedAt       time.Time
	StartedAt       time.Time
	CompletedAt     time.Time
	WakeAt          time.Time // zero: nothing to wake for
	CancelRequested bool
	PauseRequested  bool
	LastSeq         int64
	Worker          string
	// ConcurrencyKey is that of the executions it shares places with while it is
	// open; "" when it shares none. ConcurrencyLimit is how many there are.
	ConcurrencyKey   string
	ConcurrencyLimit int
	Hold             Hold
	// DryRun reaches nothing outside: Pinned, by node id, stands in for nodes
	// that would, beside what their workflow pins.
	DryRun  bool
	Pinned  map[string]json.RawMessage
	Lineage *Lineage // what was changed for it; nil when nothing was
	Epoch   int64    // of the lease; commits of an older one are refused
}

// Progress returns how much of the execution is done, in percent.
func (e *Execution) Progress() int {
	if e.Status == Completed {
		return 100
	}
	if e.TotalNodes == 0 {
		return 0
	}
	return min(99, (e.CompletedNodes+e.FailedNodes+e.SkippedNodes)*100/e.TotalNodes)
}

// Duration returns how long it ran, or has run until now; 0 before its start.
func (e *Execution) Duration(now time.Time) time.Duration {
	if e.StartedAt.IsZero() {
		return 0
	}
	if !e.CompletedAt.IsZero() {
		// In whole milliseconds, as rows have them: memory says the same.
		return e.CompletedAt.Truncate(time.Millisecond).Sub(e.StartedAt.Truncate(time.Millisecond))
	}
	return now.Sub(e.StartedAt)
}

// Lineage is how an execution came from the one it retries.
type Lineage struct {
	// Edited says that it runs a definition of its own, which differs from the
	// saved version.
	Edited bool `json:"edited,omitempty"`
	// Config is what replaced the configurations of nodes, by node id.
	Config map[string]json.RawMessage `json:"config,omitempty"`
	// Until is the node after which it ends, by id; empty: it runs to its end.
	Until string `json:"until,omitempty"`
	// TriggerData says that it has other trigger data.
	TriggerData bool `json:"trigger_data,omitempty"`
	// Outputs are the nodes whose outputs were given, by id.
	Outputs []string `json:"outputs,omitempty"`
	// Version is the workflow's version that the retried execution ran, when
	// this one runs another; else 0.
	Version int `json:"version,omitempty"`
	// Reused are the nodes whose finished runs were taken over, by id.
	Reused []string `json:"reused,omitempty"`
}

// NodeRun is what is known of one node in one iteration of an execution.
// Beside the body's own nodes, a container has one NodeRun per finished round:
// its id with the round's iteration.
type NodeRun struct {
	ID        string
	NodeID    string
	Kind      string
	Title     string
	Iteration string
	Attempt   int
	Status    NodeStatus
	Handles   []string        // the outputs delivered on; nil means "output"
	Output    json.RawMessage // nil when OutputRef is set
	OutputRef string          // hash of the payload, when the output is large; of a split that waits: of its items
	Error     *Error
	Usage     node.Usage
	// Wait says what a waiting node waits for.
	Wait        *Wait
	Item        json.RawMessage // of a round: the item it ran for
	StartedAt   time.Time
	CompletedAt time.Time
}

// Wait is what a waiting node waits for.
type Wait struct {
	Reason string    `json:"reason"` // timer, retry, child, loop, split, or the kind of what it asks for
	Until  time.Time `json:"until,omitzero"`
	Child  string    `json:"child,omitempty"`
	Name   string    `json:"name,omitempty"`   // of the child, when its node has given it one
	Asks   []string  `json:"asks,omitempty"`   // the names of what it has asked for
	Shares *Shares   `json:"shares,omitempty"` // how far its split is
}

// LogEntry is a line of an execution's log.
type LogEntry struct {
	Seq       int64
	NodeID    string
	Iteration string
	Level     string
	Message   string
	Data      json.RawMessage
	At        time.Time
}

// StepRecord is a durable part of a node's run: a model turn, a tool call.
type StepRecord struct {
	NodeID    string
	Iteration string
	Name      string
	Kind      string
	Title     string
	Input     json.RawMessage
	Output    json.RawMessage
	Failed    bool
	Usage     node.Usage
	StartedAt time.Time
	EndedAt   time.Time
}
