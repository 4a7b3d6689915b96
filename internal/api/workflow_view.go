package api

import (
	"context"

	"agentstudio/internal/node"
	"agentstudio/internal/workflow"
)

// Workflow is a stored workflow with its newest definition.
type Workflow struct {
	ID               string                `json:"id"`
	WorkspaceID      string                `json:"workspace_id"`
	UserID           string                `json:"user_id" doc:"Who made it"`
	Name             string                `json:"name"`
	Description      string                `json:"description"`
	Status           workflow.Status       `json:"status"`
	Tags             []string              `json:"tags"`
	Settings         workflow.Settings     `json:"settings"`
	Nodes            []WorkflowNode        `json:"nodes"`
	Connections      []workflow.Connection `json:"connections"`
	Tests            []workflow.TestCase   `json:"tests"`
	Version          int                   `json:"version" doc:"The newest"`
	PublishedVersion *int                  `json:"published_version" doc:"The live one, or null"`
	ParentWorkflowID *string               `json:"parent_workflow_id" doc:"What it is a copy of"`
	WebhookURL       string                `json:"webhook_url,omitempty" doc:"Where it can be called; while published"`
	CreatedAt        Time                  `json:"created_at"`
	UpdatedAt        Time                  `json:"updated_at"`
}

// WorkflowNode is a node with what follows from its kind.
type WorkflowNode struct {
	workflow.Node
	Type       node.Group `json:"type,omitempty" doc:"Derived from the kind"`
	WebhookURL string     `json:"webhook_url,omitempty" doc:"While published"`
}

// WorkflowSummary is a workflow in a list.
type WorkflowSummary struct {
	ID               string          `json:"id"`
	WorkspaceID      string          `json:"workspace_id"`
	UserID           string          `json:"user_id"`
	Name             string          `json:"name"`
	Description      string          `json:"description"`
	Status           workflow.Status `json:"status"`
	Tags             []string        `json:"tags"`
	Version          int             `json:"version"`
	PublishedVersion *int            `json:"published_version"`
	ParentWorkflowID *string         `json:"parent_workflow_id"`
	NodeCount        int             `json:"node_count"`
	TriggerKinds     []string        `json:"trigger_kinds"`
	LastExecution    *LastExecution  `json:"last_execution"`
	CreatedAt        Time            `json:"created_at"`
	UpdatedAt        Time            `json:"updated_at"`
}

// LastExecution is how a workflow's newest execution stands.
type LastExecution struct {
	_         struct{} `nullable:"true"`
	ID        string   `json:"id"`
	Status    string   `json:"status"`
	CreatedAt Time     `json:"created_at"`
}

type oneWorkflow struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     Workflow
}

// answerWorkflow shows what a use case returned.
func (s *Server) answerWorkflow(ctx context.Context) func(*workflow.Workflow, error) (*oneWorkflow, error) {
	return func(w *workflow.Workflow, err error) (*oneWorkflow, error) {
		if err != nil {
			return nil, err
		}
		return &oneWorkflow{ETag: quoted(w.ETag()), Body: s.viewWorkflow(ctx, w)}, nil
	}
}

// newWorkflow is answerWorkflow for one that was just made.
func (s *Server) newWorkflow(ctx context.Context) func(*workflow.Workflow, error) (*oneWorkflow, error) {
	return func(w *workflow.Workflow, err error) (*oneWorkflow, error) {
		out, err := s.answerWorkflow(ctx)(w, err)
		if err == nil {
			out.Location = base + "/workflows/" + w.ID
		}
		return out, err
	}
}

func (s *Server) viewWorkflow(ctx context.Context, w *workflow.Workflow) Workflow {
	d := &w.Definition
	out := Workflow{ID: w.ID, WorkspaceID: w.WorkspaceID, UserID: w.UserID, Name: d.Name, Description: d.Description, Status: w.Status, Tags: listed(d.Tags),
		Settings: d.Settings, Connections: listed(d.Connections), Tests: listed(d.Tests), Version: w.Version, PublishedVersion: optionalNumber(w.PublishedVersion),
		ParentWorkflowID: optional(w.ParentWorkflowID), CreatedAt: Time(w.CreatedAt), UpdatedAt: Time(w.UpdatedAt), Nodes: s.viewNodes(d.Nodes)}
	for _, h := range w.Webhooks {
		address := s.origin(ctx) + "/hooks/" + h.WorkspaceSlug + "/" + h.Path
		if out.WebhookURL == "" {
			out.WebhookURL = address
		}
		for i := range out.Nodes {
			if out.Nodes[i].ID == h.NodeID {
				out.Nodes[i].WebhookURL = address
			}
		}
	}
	return out
}

func (s *Server) viewNodes(nodes []workflow.Node) []WorkflowNode {
	return views(nodes, func(n workflow.Node) WorkflowNode {
		out := WorkflowNode{Node: n}
		if t, known := s.Kinds.Find(n.Kind); known {
			out.Type = t.Spec().Group
		}
		return out
	})
}

// origin is what the studio's own addresses begin with.
func (s *Server) origin(ctx context.Context) string {
	if s.cfg.PublicURL != "" {
		return s.cfg.PublicURL
	}
	return callOf(ctx).origin
}

func viewSummary(w workflow.Summary) WorkflowSummary {
	out := WorkflowSummary{ID: w.ID, WorkspaceID: w.WorkspaceID, UserID: w.UserID, Name: w.Name, Description: w.Description, Status: w.Status, Tags: listed(w.Tags),
		Version: w.Version, PublishedVersion: optionalNumber(w.PublishedVersion), ParentWorkflowID: optional(w.ParentWorkflowID), NodeCount: w.NodeCount,
		TriggerKinds: listed(w.TriggerKinds), CreatedAt: Time(w.CreatedAt), UpdatedAt: Time(w.UpdatedAt)}
	if e := w.LastExecution; e != nil {
		out.LastExecution = &LastExecution{ID: e.ID, Status: e.Status, CreatedAt: Time(e.CreatedAt)}
	}
	return out
}

// listed returns the list, empty instead of missing.
func listed[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

func optionalNumber(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}
