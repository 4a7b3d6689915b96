// Package tool is the contract of a tool: one implementation serves an agent,
// a workflow node, the tools API and the playground.
package tool

import (
	"context"
	"encoding/json"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/limit"
	"agentstudio/internal/node"
	"agentstudio/internal/schema"
)

// Spec describes a tool to models and people.
type Spec struct {
	Name        string          `json:"name"` // [a-z0-9_]{1,64}; with a slash it is a Source's
	Title       string          `json:"title"`
	Description string          `json:"description"` // for the model: what it does and when to use it
	Category    string          `json:"category"`
	Schema      json.RawMessage `json:"schema"` // JSON Schema of its arguments
	Risk        node.Risk       `json:"risk"`
	Effect      bool            `json:"effect"` // changes something outside
	Needs       []string        `json:"needs,omitempty"`
	// Limit is how often a workspace may use it, held by the Gate. No Requests:
	// as often as it likes.
	Limit limit.Rate `json:"-"`
	// Restrictions say in sentences what it cannot do, whoever calls it.
	Restrictions []string `json:"restrictions,omitempty"`
}

// Call is one use of a tool.
type Call struct {
	WorkspaceID string
	UserID      string
	ExecutionID string
	NodeID      string
	WorkflowID  string
	AgentID     string   // of the saved agent that calls; may be empty
	Above       []string // ids of the agents that called it, the outermost first
	APIKeyID    string   // of the key that started it; empty for people and triggers
	// By is who calls by hand; nil within executions and trials of agents.
	By *access.Actor
	// Key is stable over repetitions of this very call; offer it outside as
	// Idempotency-Key. Empty outside of executions.
	Key string
	// ID is what a model calls the call; empty when none made it.
	ID   string
	Args json.RawMessage
	// Progress hears how a long call gets on; may be nil.
	Progress func(message string)
}

// Result is a tool's answer: what the model reads, and the value behind it.
type Result struct {
	Text  string     `json:"text,omitempty"`
	Value any        `json:"value,omitempty"`
	Usage node.Usage `json:"usage"`
	// Entered says that the usage stands in the ledger already, by the calls
	// that the tool made: it is not entered with the call of the tool again.
	Entered bool `json:"-"`
}

// Entry is the usage that the ledger enters with the call.
func (r Result) Entry() node.Usage {
	if r.Entered {
		return node.Usage{}
	}
	return r.Usage
}

// Tool is a value: a spec and a handler. Handlers are safe for concurrent use
// and validate nothing that Spec.Schema already says: callers do that first,
// with Validate. A returned fault is shown to the model as a failed call.
type Tool struct {
	Spec
	// Configured reports whether it can be used here; nil means always.
	Configured func() bool
	Run        func(ctx context.Context, call Call) (Result, error)
	// Child, when not nil, says within executions which workflow is run for the
	// call: whoever calls parks until it has ended, and its output is the result.
	// false: Run answers.
	Child func(ctx context.Context, call Call) (start node.ChildStart, runs bool, err error)
}

// Define makes a tool from its spec and a handler whose arguments are the
// struct A: its tags are the schema. It panics when A cannot be described: a
// programmer's error at start-up.
func Define[A any](spec Spec, run func(ctx context.Context, call Call, args A) (Result, error)) Tool {
	text, _ := schema.Of[A](spec.Title)
	spec.Schema = text
	return Tool{Spec: spec, Run: func(ctx context.Context, call Call) (Result, error) {
		var args A
		if err := json.Unmarshal(call.Args, &args); err != nil {
			return Result{}, fault.Wrap(fault.Invalid, err, "the arguments do not fit the tool %s: %s", spec.Name, err)
		}
		return run(ctx, call, args)
	}}
}
