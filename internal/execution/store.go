package execution

import (
	"context"
	"encoding/json"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/node"
)

// New is an execution to be created.
type New struct {
	Execution
	// IdempotencyKey, when set, makes a second create with the same key and
	// RequestHash in the workspace answer the first execution.
	IdempotencyKey string
	RequestHash    string
	// Hosted says that the process that Worker names runs it, without a
	// dispatch entry. Create then fails with Stale when that process does not
	// hold its lease: nothing was written.
	Hosted bool
	// Reuse are the finished nodes of the execution this one retries.
	Reuse []NodeRun
	// ReuseSteps are the durable steps that go with them.
	ReuseSteps []StepRecord
	Events     []event.Event
	// Definition is what the execution runs when that is no saved version.
	Definition json.RawMessage
	Payloads   []Payload // large outputs among Reuse
	// Place is what the execution needs before it runs; nil when nothing
	// bounds it.
	Place *Place
	// For is the worker that is to take it while it lives; "": whoever comes first.
	For string
}

// Head is the part of an execution's row that changes while it runs.
type Head struct {
	Status         Status
	Output         json.RawMessage
	OutputRef      string
	Response       *node.Response
	Error          *Error
	CompletedNodes int
	FailedNodes    int
	SkippedNodes   int
	Usage          node.Usage
	StartedAt      time.Time
	CompletedAt    time.Time
	WakeAt         time.Time
	LastSeq        int64
	// Release gives the lease back: nobody runs it until somebody claims it.
	Release bool
}

// Commit is what an engine writes of an execution in one transaction: all of
// it or nothing. Its parts do not change until Journal.Commit has returned.
type Commit struct {
	WorkspaceID string
	ExecutionID string
	Epoch       int64
	Parent      string // the execution to be told, when this commit ends its child
	Quiet       bool   // its end starts nothing else
	Place       string // the key whose place this commit gives back; "" for none
	Head        *Head  // nil leaves the row as it is
	Nodes       []*NodeRun
	Events      []event.Event
	Logs        []LogEntry
	Steps       []StepRecord
	Children    []New
	Payloads    []Payload
	Asks        []Ask     // asked now; those asked before under their names stay as they are
	Taken       []NodeRef // nodes that go on with what was answered
	Closed      []NodeRef // nodes that need no answers any more
	// CloseAsks says that nothing of the execution needs an answer any more.
	CloseAsks bool
	// ErrorWorkflow is the workflow that the failure which this commit ends the
	// execution with is to start; "" starts none.
	ErrorWorkflow string
}

// Payload is a large value, stored once under the hash of its content.
type Payload struct {
	Hash string // SHA-256, hex
	Data []byte
}

// PayloadKey names a payload; the zero key stands before the first.
type PayloadKey struct{ WorkspaceID, Hash string }

// Journal is what an engine needs of the store. Every method is one
// transaction and safe for concurrent use.
type Journal interface {
	// Create stores an execution and its dispatch entry. With an idempotency
	// key already used for the same request it returns the first execution's
	// id and false; for another request a fault of kind Invalid. One that needs a
	// Place gets it, waits for it as held, or is refused with a Conflict; the
	// store announces it by itself once it may run.
	Create(ctx context.Context, e New) (id string, created bool, err error)
	// Commit writes what happened, durably, and returns when it is on disk. It
	// fails with a fault of kind Stale when the lease is of a newer epoch: then
	// nothing was written and the caller must stop touching the execution.
	// Commits of one execution become visible in the order of the calls.
	Commit(ctx context.Context, c Commit) error
	// Claim takes the lease of an execution that is not over for the worker
	// and returns it with the new epoch. Conflict: it is over, or another live
	// worker runs it, which is then told to look at its row again.
	Claim(ctx context.Context, id, worker string) (*Execution, error)
	// NodeRuns returns the stored nodes of one iteration ("" for the top).
	NodeRuns(ctx context.Context, workspaceID, id, iteration string) ([]NodeRun, error)
	// Rounds returns finished rounds of a container, at most limit, in no
	// order, and from where to go on; "" when there are no more.
	Rounds(ctx context.Context, workspaceID, id, nodeID, iteration, after string, limit int) (rounds []NodeRun, next string, err error)
	// Steps returns the durable steps of one node in one iteration.
	Steps(ctx context.Context, workspaceID, id, nodeID, iteration string) ([]StepRecord, error)
	// Payload returns a large value.
	Payload(ctx context.Context, workspaceID, hash string) ([]byte, error)
	// Asks returns what a node has asked for; what nobody has answered by now
	// has expired from then on, for everybody.
	Asks(ctx context.Context, workspaceID, id, nodeID, iteration string, now time.Time) ([]Ask, error)
	// Untaken returns the answers that no node has gone on with yet.
	Untaken(ctx context.Context, workspaceID, id string) ([]Ask, error)
	// Enter takes the place of an execution that was started for later, now that
	// its time has come. false: it waits for one, and its lease is given up.
	// Conflict: there is none, and it is not to wait.
	Enter(ctx context.Context, x *Execution, p Place) (entered bool, err error)
	// Child returns an execution's row as it is now.
	Child(ctx context.Context, workspaceID, id string) (*Execution, error)
	// Waiting returns the stored nodes that wait for something, in all iterations.
	Waiting(ctx context.Context, workspaceID, id string) ([]NodeRun, error)
	// Workers returns the processes that take executions now; none where one
	// process does without a list.
	Workers(ctx context.Context) ([]string, error)
	// Statuses returns where executions stand; those that are gone are left out.
	Statuses(ctx context.Context, workspaceID string, ids []string) (map[string]Status, error)
}

// Filter narrows a list of executions. Zero fields do not narrow.
type Filter struct {
	WorkflowID  string
	Status      Status
	TriggerType string // shares of splits are listed when this or ParentID asks for them
	ParentID    string
	From, To    time.Time // of created_at, From inclusive, To exclusive
	Query       string    // in the workflow's name and the id
	Limit       int
	Offset      int
	Cursor      string // from the page before; replaces Offset
}

// Page is one page of executions, newest first. Its items are read only.
type Page struct {
	Items      []*Execution
	Total      int
	NextCursor string // "" on the last page
}

// LogFilter narrows an execution's log.
type LogFilter struct {
	Level  string
	NodeID string
	After  int64 // seq
	Limit  int
}

// Store is what the use cases need beside the Journal. Workspace tells which
// workspace owns an execution; every other method takes it first.
type Store interface {
	Journal
	Asks
	// CreateAll creates executions as Create does, all of them or none, and
	// returns their ids in order. Faults name the items as body.items[i].
	CreateAll(ctx context.Context, news []New) (ids []string, created []bool, err error)
	Workspace(ctx context.Context, id string) (string, error)
	Find(ctx context.Context, workspaceID, id string) (*Execution, error)
	List(ctx context.Context, workspaceID string, f Filter) (Page, error)
	AllNodeRuns(ctx context.Context, workspaceID, id string, limit, offset int) ([]NodeRun, int, error)
	// NodeRunsOf is AllNodeRuns of an execution that was found just now.
	NodeRunsOf(ctx context.Context, x *Execution, limit, offset int) ([]NodeRun, int, error)
	NodeRun(ctx context.Context, workspaceID, id, nodeRunID string) (*NodeRun, error)
	AllSteps(ctx context.Context, workspaceID, id string) ([]StepRecord, error)
	Events(ctx context.Context, workspaceID, id string, afterSeq int64, limit int) ([]event.Event, error)
	Logs(ctx context.Context, workspaceID, id string, f LogFilter) ([]LogEntry, error)
	// RequestCancel and RequestPause mark what is wanted; the engine does it.
	// They return the execution as it was, and Conflict when it is over.
	RequestCancel(ctx context.Context, workspaceID, id string) (*Execution, error)
	RequestPause(ctx context.Context, workspaceID, id string, paused bool) (*Execution, error)
	Delete(ctx context.Context, workspaceID, id string) error
}

// Ticket says that an execution wants an engine.
type Ticket struct {
	ID          string
	WorkspaceID string
	Priority    int
	At          time.Time  // not before; zero: now
	Fresh       *Execution // just created, when the caller has it at hand; may be nil
	Hosted      bool       // it was created as New.Hosted, for the dispatcher that hears of it
	For         string     // the worker that is to take it while it lives; "": any
}

// Announcer hands tickets to whoever runs executions, after their rows are
// committed. It never blocks. For an execution that runs already it means:
// look at your row again.
type Announcer interface {
	Announce(tickets ...Ticket)
}
