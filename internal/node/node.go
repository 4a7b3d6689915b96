// Package node is the contract of a node kind: what it is called, which
// handles and settings it has, and the function that runs it. A kind is a
// value made by Define; nothing else in the studio knows kinds by name.
package node

import (
	"context"
	"encoding/json"
	"time"
)

// Group is the shelf of the palette a kind stands on; it is also the derived
// type of a node that uses it.
type Group string

// The groups.
const (
	Trigger     Group = "trigger"
	Agent       Group = "agent"
	Action      Group = "action"
	Logic       Group = "logic"
	Integration Group = "integration"
	MCP         Group = "mcp"
)

// CrashPolicy says what happens to a node that was in flight when its process
// died and whose result was never committed.
type CrashPolicy string

// The policies. The zero value runs the node again with the same idempotency key.
const (
	CrashRerun CrashPolicy = ""
	CrashFail  CrashPolicy = "fail"
	CrashAsk   CrashPolicy = "ask"
)

// Risk tells how much harm a kind or tool can do.
type Risk string

// The risks, mildest first.
const (
	RiskLow      Risk = "low"
	RiskMedium   Risk = "medium"
	RiskHigh     Risk = "high"
	RiskCritical Risk = "critical"
)

// The handles every kind may have.
const (
	DefaultOutput = "output"
	DefaultInput  = "input"
	ErrorHandle   = "error" // taken with on_error: branch
)

// Handle is a point a connection can be attached to.
type Handle struct {
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`
}

// Spec describes a kind to people and to the engine.
type Spec struct {
	Kind        string
	Title       string
	Description string // one sentence for the palette
	Docs        string // markdown for the node's help; may be empty
	Group       Group
	Category    string // heading inside the group, e.g. "network"
	Icon        string // a lucide icon name
	// Outputs are the handles it may answer on; empty means one, "output".
	Outputs []Handle
	// Starts are the trigger types a trigger is meant for: "manual", "webhook".
	Starts []string
	// NoInput marks kinds that nothing can be connected to: triggers.
	NoInput bool
	// Container marks kinds whose node holds a body: nodes with its id as
	// parent_id. The body runs once per item the kind returns with Each.
	Container bool
	// AnyInput marks kinds that decide themselves, through Ready, when enough
	// of their inputs have arrived: merges.
	AnyInput bool
	// Instant marks kinds that only compute for a moment: no I/O, no waiting,
	// no effect outside. The engine runs them in place and commits their
	// result together with their neighbours'.
	Instant bool
	// SeesAll marks kinds whose Host.Scope holds every node that ended before
	// them, not only those their config names: code.
	SeesAll bool
	// Effect marks kinds whose run changes something outside.
	Effect bool
	// Outside marks kinds whose run reaches outside without changing anything
	// there: it reads the web, or asks people.
	Outside bool
	OnCrash CrashPolicy
	Risk    Risk
	// Timeout bounds one attempt when the node sets none; 0 means the engine's
	// default of 5 minutes.
	Timeout time.Duration
	// Retry is used when the node sets none.
	Retry Retry
	// OutputSchema is the JSON Schema of its output; nil when anything goes.
	OutputSchema json.RawMessage
	// Needs names what an operator must configure for it to work, e.g. "JINA_API_KEY".
	Needs []string
	// Presets are ways to begin with a node of the kind, offered beside it.
	Presets []Preset
}

// Preset is a node of a kind with settings to begin with; once it is placed, it
// is like any other of its kind.
type Preset struct {
	Name        string         `json:"name" doc:"Of its own among the kind's"`
	Title       string         `json:"title"`
	Description string         `json:"description"`
	Icon        string         `json:"icon" doc:"Name of a Lucide icon"`
	Config      map[string]any `json:"config"`
}

// ReachesOutside reports whether a run of the kind does more than compute: what
// a dry run leaves out.
func (s Spec) ReachesOutside() bool { return s.Effect || s.Outside }

// Retry says how often and how long apart a node is tried again after a
// transient failure. Attempts counts the first try.
type Retry struct {
	Attempts int
	Delays   []time.Duration
}

// Expression is a config field that the kind evaluates itself, once per item
// or round, instead of getting its value: a condition, a mapping. It may be
// written with or without its {{ }}.
type Expression string

// Host is what the engine lends a running node.
type Host interface {
	// Eval evaluates an expression of the node's config with extra names
	// (item, index) added to the node's scope.
	Eval(ctx context.Context, e Expression, names map[string]any) (any, error)
	// Scope returns the values a code node sees: input, nodes, trigger, item,
	// index, vars. The caller may not change them.
	Scope(ctx context.Context) (map[string]any, error)
	// Log appends to the execution's log. Levels: debug, info, warn, error.
	Log(level, message string, data any)
	// Delta passes a piece of streamed output to whoever watches. It is never
	// stored and may be lost.
	Delta(d Delta)
	// Step runs do once and commits what it returned under the name; when the
	// name was committed before (the process died since), it returns the
	// recorded outcome without running do. Names are unique within a node and
	// iteration. An error of do is not recorded.
	Step(ctx context.Context, step Step, do func(context.Context) (StepResult, error)) (json.RawMessage, error)
	// Past returns the steps that earlier lives of this node and iteration have
	// committed, by name. Those of this life are not among them.
	Past(ctx context.Context) (map[string]PastStep, error)
	// Answer returns what came of an ask of this node and iteration; nil when
	// it is not answered yet, or was not asked. An outcome never changes.
	Answer(ctx context.Context, name string) (*Answer, error)
}

// Delta is a piece of streamed output.
type Delta struct {
	Kind string `json:"kind"` // text, thinking, tool_call, tool_result
	Text string `json:"text,omitempty"`
	Data any    `json:"data,omitempty"`
	// Agent and Step say which agent it comes from, when that is one that the
	// node's own agent called: its name, and the step it runs in.
	Agent string `json:"agent,omitempty"`
	Step  string `json:"step,omitempty"`
}

// PastStep is a step that was committed before this life of a node.
type PastStep struct {
	Kind  string
	Usage Usage
}

// Step names a durable part of a node's run, such as a model turn.
type Step struct {
	Name  string // unique within the node and iteration: "turn-3", "turn-3/tool-1"
	Kind  string // turn, tool, compaction
	Title string // what people read: the model's or tool's name
	Input any    // kept for the trace; may be nil
}

// StepResult is what a step leaves in the record.
type StepResult struct {
	Output any
	Usage  Usage
	// Failed marks a step whose outcome is an error that must not be repeated
	// (a tool that refused); the error text is in Output.
	Failed bool
}

// Usage counts what a node or step consumed.
type Usage struct {
	Model       string `json:"model,omitempty"`
	Input       int64  `json:"input"`
	Output      int64  `json:"output"`
	CacheRead   int64  `json:"cache_read"`
	CacheWrite  int64  `json:"cache_write"`
	CostMicros  int64  `json:"cost_micros"`            // micro-dollars
	CostUnknown bool   `json:"cost_unknown,omitempty"` // some part had no price
}

// Add returns the sum of both; the model of u is kept when it has one.
func (u Usage) Add(v Usage) Usage {
	if u.Model == "" {
		u.Model = v.Model
	}
	u.Input += v.Input
	u.Output += v.Output
	u.CacheRead += v.CacheRead
	u.CacheWrite += v.CacheWrite
	u.CostMicros += v.CostMicros
	u.CostUnknown = u.CostUnknown || v.CostUnknown
	return u
}

// Call is one attempt to run a node.
type Call struct {
	Host

	WorkspaceID   string
	WorkspaceSlug string
	UserID        string // who started the execution; empty for triggers
	APIKeyID      string // of the key that started it, if one did
	WorkflowID    string
	WorkflowName  string
	ExecutionID   string
	NodeID        string
	NodeTitle     string
	// Iteration is where in its loops the node stands: "" outside of any,
	// "3" in a loop's fourth round, "3.0" in a loop within it.
	Iteration string
	Attempt   int // 1 for the first
	// Key is the same for every attempt at this node in this iteration:
	// "execution/node/iteration". Offer it to the outside as Idempotency-Key.
	Key string
	// Input is what arrived: nil, the output of the one connection, or an
	// object by source id when there are several.
	Input any
	// Arrived lists the sources whose outputs arrived, in the order they did.
	Arrived []Arrival
	// Trigger is the data the execution was started with.
	Trigger any
	// Depth counts the executions above this one: 0 for one nobody's workflow started.
	Depth int
	// Resume is set when the node goes on after it parked itself.
	Resume *Resume
}

// Arrival is an output that reached the node.
type Arrival struct {
	Source       string
	SourceHandle string
	TargetHandle string
	Value        any
}

// Resume tells a node that had parked itself why it goes on.
type Resume struct {
	Reason string // timer, answer, child
	Name   string // of the child, when it has one
	Data   any    // the child's output
	Err    error  // the child's failure
}
