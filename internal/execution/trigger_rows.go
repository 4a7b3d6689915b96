package execution

import (
	"encoding/json"
	"time"

	"agentstudio/internal/node"
)

// MaxChain is how deep executions may start one another through events.
const MaxChain = 10

// Scheduled is an armed schedule as somebody has seen it.
type Scheduled struct {
	ID          string
	WorkspaceID string
	WorkflowID  string
	Version     int
	NodeID      string
	Schedule    node.Schedule
	NextAt      time.Time // the oldest tick not dealt with; zero: not looked at yet
	ArmedAt     time.Time // intervals count from here
	// The execution of the tick that fired last; "" when none has.
	LastExecution string
	LastStatus    Status // "" when it is gone
	LastEnded     time.Time
}

// Firing moves a schedule on from where it was seen.
type Firing struct {
	Seen       Scheduled
	Tick       time.Time // the newest tick that fires; zero: none does
	Next       time.Time // the tick to come; zero: none
	DueAt      time.Time // when to look at it
	CancelLast bool      // ask for the end of the last execution
	Executions []New
}

// FollowUp is an execution that an event has called for.
type FollowUp struct {
	ID          string
	WorkspaceID string
	SourceID    string // the execution in which it happened; "" when it was in none
	WorkflowID  string // what is to start
	Version     int    // 0: the newest
	NodeID      string // the trigger; "" for an error workflow
	// Data is what the event hands over, an object; nil for the end of the source,
	// which is told anew.
	Data json.RawMessage
	At   time.Time // of an event with data
}

// Listening is a workflow that waits for an event.
type Listening struct {
	ID         string
	WorkflowID string
	Version    int
	NodeID     string
	Subject    string
}
