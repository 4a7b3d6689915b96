package execution

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"
)

// Hold says how an execution stands to the executions of its key.
type Hold int

// The holds.
const (
	Free   Hold = iota // it has its place, or needs none
	Queued             // it waits for a place
	Later              // it asks for a place when its time comes
)

// Place is one of the limited places that executions of a key share.
type Place struct {
	Key      string
	Limit    int
	Strategy string // what happens when there is none: queue, cancel_running, reject
	// Record keeps an execution that is refused, as cancelled: nobody waits for
	// the answer.
	Record bool
}

// PlaceFor returns the place that an execution of the program needs with the
// trigger data; nil when its workflow bounds nothing.
func PlaceFor(p *workflow.Program, workflowID string, data json.RawMessage) (*Place, error) {
	c := p.Definition.Settings.Concurrency
	if c == nil {
		return nil, nil //nolint:nilnil // most workflows bound nothing
	}
	var trigger any
	if len(data) > 0 {
		if err := json.Unmarshal(data, &trigger); err != nil {
			return nil, fault.InvalidInput(fault.Detail{Location: "body.trigger_data", Code: "not_json", Message: "the trigger data is not JSON"})
		}
	}
	key, err := p.ConcurrencyKey(trigger)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the concurrency key of the workflow cannot be read from this trigger data: %s", fault.Message(err)).WithCode("concurrency_key")
	}
	return &Place{Key: workflowID + " " + key, Limit: c.Limit, Strategy: c.Strategy}, nil
}

// Refused is why an execution is not started: every place is taken.
func (p *Place) Refused() error {
	return fault.New(fault.Conflict, "%s: wait until one ends", bound(p.Key, p.Limit)).WithCode("concurrency_limit")
}

// bound says what the places of a key allow.
func bound(key string, limit int) string {
	of := "executions of this workflow run"
	if limit == 1 {
		of = "execution of this workflow runs"
	}
	if _, name, _ := strings.Cut(key, " "); name != "" {
		return fmt.Sprintf("at most %d %s at a time with the key %q", limit, of, name)
	}
	return fmt.Sprintf("at most %d %s at a time", limit, of)
}

// WaitingFor says what a held execution waits for; "" when it is not held.
func (e *Execution) WaitingFor() string {
	if e.Hold != Queued {
		return ""
	}
	return "a place: " + bound(e.ConcurrencyKey, e.ConcurrencyLimit)
}

// HeldEvent tells that an execution waits for a place; its seq is the next.
func HeldEvent(x *Execution, now time.Time) event.Event {
	data, _ := json.Marshal(map[string]any{"execution_id": x.ID, "workflow_id": x.WorkflowID, "status": x.Status, "held": true, "message": "waits for " + x.WaitingFor(),
		"progress_percentage": 0, "completed_nodes": x.CompletedNodes, "total_nodes": x.TotalNodes}) // strings and numbers: always written
	return event.Event{Room: event.ExecutionRoom(x.ID), Seq: x.LastSeq + 1, Type: event.ExecutionUpdate, Name: "status_changed", At: now, Data: data}
}
