package api

import (
	"encoding/json"
	"maps"
	"slices"

	"agentstudio/internal/execution"
	"agentstudio/internal/node"
)

// TokenCount counts the tokens of models that were used.
type TokenCount struct {
	Input      int64 `json:"input"`
	Output     int64 `json:"output"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
}

func viewTokens(u node.Usage) TokenCount {
	return TokenCount{Input: u.Input, Output: u.Output, CacheRead: u.CacheRead, CacheWrite: u.CacheWrite}
}

func dollars(micros int64) float64 { return float64(micros) / 1e6 }

// Execution is one run of one version of a workflow.
type Execution struct {
	ID                string           `json:"id"`
	WorkspaceID       string           `json:"workspace_id"`
	WorkflowID        string           `json:"workflow_id"`
	WorkflowName      string           `json:"workflow_name"`
	WorkflowVersion   int              `json:"workflow_version"`
	UserID            *string          `json:"user_id" doc:"Who started it; null for triggers"`
	Status            execution.Status `json:"status" enum:"pending,running,waiting,paused,completed,failed,cancelled"`
	TriggerType       string           `json:"trigger_type"`
	StartNode         string           `json:"start_node"`
	TriggerData       json.RawMessage  `json:"trigger_data,omitempty"`
	Input             json.RawMessage  `json:"input,omitempty" doc:"The same as trigger_data"`
	Output            json.RawMessage  `json:"output,omitempty"`
	Error             *execution.Error `json:"error"`
	Priority          int              `json:"priority"`
	Progress          int              `json:"progress" minimum:"0" maximum:"100"`
	TotalNodes        int              `json:"total_nodes"`
	CompletedNodes    int              `json:"completed_nodes"`
	FailedNodes       int              `json:"failed_nodes"`
	SkippedNodes      int              `json:"skipped_nodes"`
	Tokens            TokenCount       `json:"tokens"`
	CostUSD           float64          `json:"cost_usd"`
	CostIncomplete    bool             `json:"cost_incomplete,omitempty" doc:"Some part had no price"`
	RetryOf           *string          `json:"retry_of"`
	ParentExecutionID *string          `json:"parent_execution_id"`
	Lineage           *Lineage         `json:"lineage,omitempty" doc:"How it differs from the execution it retries"`
	DryRun            bool             `json:"dry_run,omitempty" doc:"It reached nothing outside"`
	CancelRequested   bool             `json:"cancel_requested,omitempty"`
	Held              bool             `json:"held,omitempty" doc:"It waits for a place among those of its workflow's concurrency"`
	WaitingFor        string           `json:"waiting_for,omitempty" doc:"What a held execution waits for"`
	ScheduledAt       *Time            `json:"scheduled_at"`
	CreatedAt         Time             `json:"created_at"`
	StartedAt         *Time            `json:"started_at"`
	CompletedAt       *Time            `json:"completed_at"`
	DurationMS        int64            `json:"duration_ms"`
}

// Lineage says how an execution came from the one it retries.
type Lineage struct {
	Config      []string `json:"config" doc:"Nodes with another configuration"`
	Outputs     []string `json:"outputs" doc:"Nodes whose outputs were given"`
	TriggerData bool     `json:"trigger_data" doc:"It has other trigger data"`
	Version     int      `json:"version,omitempty" doc:"The workflow's version that the retried execution ran, when this one runs another"`
	Edited      bool     `json:"edited" doc:"It runs a definition of its own, not a saved version"`
	Until       string   `json:"until,omitempty" doc:"The node after which it ends"`
	Reused      []string `json:"reused" doc:"Nodes whose finished runs were taken over"`
}

func viewLineage(l *execution.Lineage) *Lineage {
	if l == nil {
		return nil
	}
	return &Lineage{Config: listed(slices.Sorted(maps.Keys(l.Config))), Outputs: listed(l.Outputs), TriggerData: l.TriggerData, Version: l.Version, Edited: l.Edited, Until: l.Until, Reused: listed(l.Reused)}
}

// markReused shows which nodes ran in the execution that this one retries.
func markReused(x *execution.Execution, nodes []NodeExecution) {
	if x.Lineage == nil {
		return
	}
	for i := range nodes {
		nodes[i].Reused = slices.Contains(x.Lineage.Reused, nodes[i].NodeID)
	}
}

// ExecutionDetail is an execution with what became of its nodes.
type ExecutionDetail struct {
	Execution
	Nodes      []NodeExecution `json:"nodes"`
	NodesTotal int             `json:"nodes_total" doc:"How many there are; nodes shows the first 200"`
}

// viewListed shows an execution without its data.
func (s *Server) viewListed(x *execution.Execution) Execution {
	return Execution{ID: x.ID, WorkspaceID: x.WorkspaceID, WorkflowID: x.WorkflowID, WorkflowName: x.WorkflowName, WorkflowVersion: x.WorkflowVersion,
		UserID: optional(x.UserID), Status: x.Status, TriggerType: x.TriggerType, StartNode: x.StartNode, Error: x.Error, Priority: x.Priority, Progress: x.Progress(),
		TotalNodes: x.TotalNodes, CompletedNodes: x.CompletedNodes, FailedNodes: x.FailedNodes, SkippedNodes: x.SkippedNodes, Tokens: viewTokens(x.Usage),
		CostUSD: dollars(x.Usage.CostMicros), CostIncomplete: x.Usage.CostUnknown, RetryOf: optional(x.RetryOf), ParentExecutionID: optional(x.ParentID), DryRun: x.DryRun,
		CancelRequested: x.CancelRequested, Held: x.Hold == execution.Queued, WaitingFor: x.WaitingFor(), ScheduledAt: when(x.ScheduledAt), CreatedAt: Time(x.CreatedAt), StartedAt: when(x.StartedAt), CompletedAt: when(x.CompletedAt),
		DurationMS: x.Duration(s.cfg.Now()).Milliseconds()}
}

func (s *Server) viewExecution(x *execution.Execution) Execution {
	out := s.viewListed(x)
	out.TriggerData, out.Input, out.Output, out.Lineage = x.TriggerData, x.TriggerData, x.Output, viewLineage(x.Lineage)
	return out
}

// NodeExecution is what became of a node in one round of its loops.
type NodeExecution struct {
	ID          string               `json:"id"`
	NodeID      string               `json:"node_id"`
	NodeName    string               `json:"node_name"`
	Kind        string               `json:"kind"`
	Iteration   string               `json:"iteration" doc:"Which rounds of its loops it stands in: 3, 3.0; empty outside of any"`
	Attempt     int                  `json:"attempt"`
	Status      execution.NodeStatus `json:"status" enum:"pending,running,waiting,completed,failed,skipped,cancelled"`
	Handles     []string             `json:"handles,omitempty" doc:"The outputs it answered on, when not just output"`
	Output      json.RawMessage      `json:"output,omitempty"`
	OutputURL   string               `json:"output_url,omitempty" doc:"Where a large output can be read"`
	Error       *execution.Error     `json:"error"`
	Wait        *execution.Wait      `json:"wait,omitempty" doc:"What it waits for"`
	CallbackURL string               `json:"callback_url,omitempty" doc:"The address it waits to be called on, once; shown to those who may execute"`
	Approvals   []Approval           `json:"approvals,omitempty" doc:"What it asks people"`
	Reused      bool                 `json:"reused,omitempty" doc:"It ran in the execution that this one retries"`
	Model       string               `json:"model,omitempty"`
	Tokens      TokenCount           `json:"tokens"`
	CostUSD     float64              `json:"cost_usd"`
	StartedAt   *Time                `json:"started_at"`
	CompletedAt *Time                `json:"completed_at"`
	DurationMS  int64                `json:"duration_ms"`
}

// NodeDetail is everything known of one node's run.
type NodeDetail struct {
	NodeExecution
	Input json.RawMessage `json:"input,omitempty"`
	Steps []Step          `json:"steps" doc:"Model turns and tool calls, in order"`
}

// Step is a durable part of a node's run.
type Step struct {
	Name        string          `json:"name"`
	Kind        string          `json:"kind" example:"turn"`
	Title       string          `json:"title" doc:"The model's or the tool's name"`
	Input       json.RawMessage `json:"input,omitempty"`
	Output      json.RawMessage `json:"output,omitempty"`
	Failed      bool            `json:"failed"`
	Tokens      TokenCount      `json:"tokens"`
	CostUSD     float64         `json:"cost_usd"`
	StartedAt   *Time           `json:"started_at"`
	CompletedAt *Time           `json:"completed_at"`
}

func viewNode(n execution.NodeRun) NodeExecution {
	out := NodeExecution{ID: n.ID, NodeID: n.NodeID, NodeName: n.Title, Kind: n.Kind, Iteration: n.Iteration, Attempt: n.Attempt, Status: n.Status, Handles: n.Handles,
		Output: n.Output, Error: n.Error, Wait: n.Wait, Model: n.Usage.Model, Tokens: viewTokens(n.Usage), CostUSD: dollars(n.Usage.CostMicros),
		StartedAt: when(n.StartedAt), CompletedAt: when(n.CompletedAt)}
	if !n.StartedAt.IsZero() && !n.CompletedAt.IsZero() {
		out.DurationMS = n.CompletedAt.Sub(n.StartedAt).Milliseconds()
	}
	return out
}

// viewNodeOf shows a node in a list of its execution's.
func viewNodeOf(executionID string) func(execution.NodeRun) NodeExecution {
	return func(n execution.NodeRun) NodeExecution {
		out := viewNode(n)
		if n.Output == nil && n.OutputRef != "" && n.Status.Over() {
			out.OutputURL = base + "/executions/" + executionID + "/nodes/" + n.ID
		}
		return out
	}
}

func viewStep(r execution.StepRecord) Step {
	return Step{Name: r.Name, Kind: r.Kind, Title: r.Title, Input: r.Input, Output: r.Output, Failed: r.Failed, Tokens: viewTokens(r.Usage),
		CostUSD: dollars(r.Usage.CostMicros), StartedAt: when(r.StartedAt), CompletedAt: when(r.EndedAt)}
}
