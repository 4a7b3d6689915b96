// Package event holds what the studio tells the people who watch: facts that
// are committed (they carry a sequence number and can be read again) and
// deltas that only pass by (streamed model text).
package event

import (
	"context"
	"encoding/json"
	"time"
)

// The types of events, as they appear on the wire ("execution_update").
const (
	ExecutionUpdate = "execution_update"
	NodeUpdate      = "node_update"
	NodeOutput      = "node_output"
	Log             = "log"
	WorkflowUpdate  = "workflow_update"
	Activity        = "activity"
	Budget          = "budget"
	Presence        = "presence"
	// Session asks whoever follows for a user to look whether the session is
	// still alive. It goes to no client.
	Session = "session"
	// MCPCancelled tells of a request of an MCP session that was cancelled. It
	// goes to no client.
	MCPCancelled = "mcp_cancelled"
)

// Event is one thing that happened in a room.
type Event struct {
	Room string `json:"room_id"`
	// Seq orders the stored events of a room from 1 without gaps; 0 marks a
	// delta that was never stored.
	Seq  int64           `json:"seq,omitempty"`
	Type string          `json:"type"`
	Name string          `json:"event"`
	At   time.Time       `json:"timestamp"`
	Data json.RawMessage `json:"data,omitempty"`
}

// ExecutionRoom is the room of one execution.
func ExecutionRoom(id string) string { return "execution:" + id }

// WorkflowRoom is the room of one workflow.
func WorkflowRoom(id string) string { return "workflow:" + id }

// WorkspaceRoom is the room of one workspace.
func WorkspaceRoom(id string) string { return "workspace:" + id }

// MCPRoom is the room of a user's session with the studio's MCP server.
func MCPRoom(userID, session string) string { return "mcp:" + userID + ":" + session }

// UserRoom is the room of one user.
func UserRoom(id string) string { return "user:" + id }

// Bus carries events to whoever listens now. The table is the truth: a bus
// may lose events, and says so through Lagged.
type Bus interface {
	// Publish hands events to the subscribers of their rooms, which keep them: the
	// caller changes nothing of them afterwards. It never blocks on a slow one.
	Publish(ctx context.Context, events ...Event)
	// Subscribe listens to rooms until Close. Events of one room arrive in the
	// order they were published.
	Subscribe(rooms ...string) Subscription
	// SubscribeFunc is Subscribe for a listener that does not wait at C: woken is
	// called whenever something was put in it. It only takes note: it calls nothing
	// of the bus and waits for nothing.
	SubscribeFunc(woken func(), rooms ...string) Subscription
}

// Subscription is one listener's bounded queue.
type Subscription interface {
	// C delivers events, which all listeners share: they are read, never changed.
	// It is closed by Close. An event without a type is none: it only wakes the
	// listener, so that it asks Lagged, or looks at what it was woken for.
	C() <-chan *Event
	// Wake makes C deliver an event without a type, unless so many wait in it that
	// the listener is awake for long enough. It may be called at any time.
	Wake()
	// Lagged reports, once per loss, that events may have been dropped, since
	// the queue overflowed or another process was out of reach: read the table
	// from the last seq seen.
	Lagged() bool
	// Add listens to one more room; Remove stops listening to one.
	Add(room string)
	Remove(room string)
	Close()
}
