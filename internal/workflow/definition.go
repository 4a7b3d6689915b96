// Package workflow holds workflow definitions: their format, their rules,
// their compiled form, and the use cases of storing, versioning and
// publishing them.
package workflow

import (
	"encoding/json"
	"time"
)

// Definition is a workflow as people write it, in files, on the canvas and
// through the API; the same keys everywhere.
type Definition struct {
	Name        string       `json:"name" jsonschema:"required,minLength=1,maxLength=255"`
	Description string       `json:"description,omitempty"`
	Tags        []string     `json:"tags,omitempty" jsonschema:"maxItems=20"`
	Settings    Settings     `json:"settings,omitzero"`
	Nodes       []Node       `json:"nodes" jsonschema:"required,maxItems=2000"`
	Connections []Connection `json:"connections" jsonschema:"maxItems=10000"`
	Tests       []TestCase   `json:"tests,omitempty" jsonschema:"maxItems=200"`
}

// Settings bound an execution as a whole.
type Settings struct {
	TimeoutSeconds float64        `json:"timeout_seconds,omitempty" jsonschema:"minimum=0,maximum=31536000" jsonschema_description:"Bound of the whole execution, waiting included; 0 means none"`
	MaxParallel    int            `json:"max_parallel,omitempty" jsonschema:"minimum=0,maximum=256" jsonschema_description:"Nodes of one execution at a time; 0 means 16"`
	Concurrency    *Concurrency   `json:"concurrency,omitempty"`
	Budget         *Budget        `json:"budget,omitempty"`
	ErrorWorkflow  string         `json:"error_workflow,omitempty" jsonschema_description:"Id of the workflow started when an execution of this one fails"`
	RetentionDays  int            `json:"retention_days,omitempty" jsonschema:"minimum=0,maximum=3650" jsonschema_description:"Days that finished executions are kept; 0: as the installation says"`
	Vars           map[string]any `json:"vars,omitempty" jsonschema_description:"Constants that expressions read as vars.<name>"`
}

// Concurrency bounds how many executions of the workflow, or of one key of
// it, run at a time.
type Concurrency struct {
	Limit    int    `json:"limit" jsonschema:"required,minimum=1,maximum=10000"`
	Key      string `json:"key,omitempty"`
	Strategy string `json:"strategy,omitempty" jsonschema:"enum=queue,enum=cancel_running,enum=reject"`
}

// Budget bounds what one execution may consume.
type Budget struct {
	MaxCostUSD float64 `json:"max_cost_usd,omitempty" jsonschema:"minimum=0"`
	MaxTokens  int64   `json:"max_tokens,omitempty" jsonschema:"minimum=0"`
}

// The ways a node's failure can go on.
const (
	OnErrorStop     = "stop"
	OnErrorContinue = "continue"
	OnErrorBranch   = "branch"
)

// Node is one step of a workflow.
type Node struct {
	ID             string          `json:"id" jsonschema:"required,minLength=1,maxLength=128"`
	Kind           string          `json:"kind" jsonschema:"required,minLength=1,maxLength=128"`
	Title          string          `json:"title,omitempty" jsonschema:"maxLength=255"`
	Description    string          `json:"description,omitempty"`
	Enabled        *bool           `json:"enabled,omitempty" jsonschema:"default=true"`
	Position       *Position       `json:"position,omitempty"`
	ParentID       string          `json:"parent_id,omitempty" jsonschema:"maxLength=128"`
	Config         map[string]any  `json:"config,omitempty"`
	Retry          *Retry          `json:"retry,omitempty"`
	TimeoutSeconds float64         `json:"timeout_seconds,omitempty" jsonschema:"minimum=0,maximum=86400"`
	OnError        string          `json:"on_error,omitempty" jsonschema:"enum=stop,enum=continue,enum=branch"`
	PinnedOutput   json.RawMessage `json:"pinned_output,omitempty"`
	Notes          string          `json:"notes,omitempty"`
}

// IsEnabled reports whether the node runs; a disabled one passes its input on.
func (n Node) IsEnabled() bool { return n.Enabled == nil || *n.Enabled }

// Position is where the node stands on the canvas, in pixels.
type Position struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// Retry says how often a node is tried; max_attempts counts the first try,
// delays are seconds before each further one, the last repeating.
type Retry struct {
	MaxAttempts int       `json:"max_attempts" jsonschema:"minimum=1,maximum=20"`
	Delays      []float64 `json:"delays,omitempty" jsonschema:"maxItems=20"`
}

func (r Retry) durations() []time.Duration {
	out := make([]time.Duration, len(r.Delays))
	for i, s := range r.Delays {
		out[i] = time.Duration(s * float64(time.Second))
	}
	return out
}

// Connection leads from one node's output handle to another's input handle.
type Connection struct {
	ID           string `json:"id,omitempty" jsonschema:"maxLength=128"`
	Source       string `json:"source" jsonschema:"required,maxLength=128"`
	Target       string `json:"target" jsonschema:"required,maxLength=128"`
	SourceHandle string `json:"source_handle,omitempty" jsonschema:"maxLength=128,default=output"`
	TargetHandle string `json:"target_handle,omitempty" jsonschema:"maxLength=128,default=input"`
}

// TestCase is a run of the workflow without the outside world.
type TestCase struct {
	Name    string                     `json:"name" jsonschema:"required"`
	Input   map[string]any             `json:"input,omitempty"`
	Outputs map[string]json.RawMessage `json:"outputs,omitempty" jsonschema_description:"Outputs used in place of running the nodes of these ids"`
	Expect  []string                   `json:"expect,omitempty" jsonschema_description:"Expressions that must be true of the finished run"`
}
