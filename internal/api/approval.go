package api

import (
	"context"
	"encoding/json"

	"agentstudio/internal/access"
	"agentstudio/internal/execution"
)

func (s *Server) approvalRoutes() {
	register(s, op{Method: "GET", Path: "/approvals", ID: "list-approvals", Tag: "executions", Summary: "What waits for your decision, oldest first"}, s.listApprovals)
	register(s, op{Method: "POST", Path: "/executions/{id}/approvals/{node_id}", ID: "decide", Tag: "executions", Summary: "Answer what a waiting node asks",
		Notes: "The first answer counts; a later one is a 409 that says what was decided. An agent that asks for leave to use a tool takes data as the arguments to use instead."}, s.decide)
}

// Approval is a question to people that a waiting node has asked.
type Approval struct {
	ID           string              `json:"id"`
	WorkspaceID  string              `json:"workspace_id"`
	WorkflowID   string              `json:"workflow_id"`
	WorkflowName string              `json:"workflow_name"`
	ExecutionID  string              `json:"execution_id"`
	NodeID       string              `json:"node_id"`
	NodeName     string              `json:"node_name"`
	Iteration    string              `json:"iteration"`
	Kind         string              `json:"kind" example:"approval" doc:"approval, or permission: an agent wants to use a tool"`
	Message      string              `json:"message"`
	Subject      json.RawMessage     `json:"subject,omitempty" doc:"What it is about: the tool and its arguments"`
	Form         json.RawMessage     `json:"form,omitempty" doc:"The JSON Schema that data must fit"`
	Approvers    []string            `json:"approvers" doc:"Who may answer; empty: everybody who may execute"`
	Status       execution.AskStatus `json:"status" enum:"open,answered,expired,closed"`
	Decision     string              `json:"decision,omitempty" enum:"approved,rejected"`
	Comment      string              `json:"comment,omitempty"`
	Data         json.RawMessage     `json:"data,omitempty"`
	AnsweredBy   string              `json:"answered_by,omitempty"`
	AnsweredAt   *Time               `json:"answered_at,omitempty"`
	CreatedAt    Time                `json:"created_at"`
	ExpiresAt    *Time               `json:"expires_at"`
}

func viewApproval(a execution.Ask) Approval {
	return Approval{ID: a.ID, WorkspaceID: a.WorkspaceID, WorkflowID: a.WorkflowID, WorkflowName: a.WorkflowName, ExecutionID: a.ExecutionID, NodeID: a.NodeID,
		NodeName: a.NodeTitle, Iteration: a.Iteration, Kind: a.Kind, Message: a.Message, Subject: a.Subject, Form: a.Form, Approvers: listed(a.Approvers),
		Status: a.Status, Decision: a.Decision, Comment: a.Comment, Data: a.Data, AnsweredBy: a.By(), AnsweredAt: when(a.AnsweredAt), CreatedAt: Time(a.CreatedAt), ExpiresAt: when(a.ExpiresAt)}
}

type listApprovalsInput struct {
	Paging
	InWorkspace
}

func (s *Server) listApprovals(ctx context.Context, by access.Actor, in *listApprovalsInput) (*Body[Page[Approval]], error) {
	items, total, err := s.Executions.Approvals(ctx, by, workspaceOr(by, in.WorkspaceID), in.Limit, in.Offset)
	if err != nil {
		return nil, err
	}
	return pageOf(items, total, in.Paging, viewApproval), nil
}

type decideInput struct {
	IDPath
	NodeID string `path:"node_id" maxLength:"128"`
	Body   struct {
		Decision  string          `json:"decision" enum:"approve,reject"`
		Comment   string          `json:"comment,omitempty" maxLength:"4000"`
		Data      json.RawMessage `json:"data,omitempty" doc:"What was filled into the form; of an agent's tool: arguments to use instead"`
		Iteration string          `json:"iteration,omitempty" maxLength:"200" doc:"Which round of its loops, when several wait"`
		AskID     string          `json:"ask_id,omitempty" format:"uuid" doc:"Which question, when the node asks several"`
	}
}

func (s *Server) decide(ctx context.Context, by access.Actor, in *decideInput) (*Body[Approval], error) {
	b := in.Body
	a, err := s.Executions.Decide(ctx, by, execution.Decision{ExecutionID: in.ID, NodeID: in.NodeID, Iteration: b.Iteration, AskID: b.AskID,
		Approve: b.Decision == "approve", Comment: b.Comment, Data: b.Data})
	if err != nil {
		return nil, err
	}
	return &Body[Approval]{viewApproval(*a)}, nil
}

// viewWaiting adds to nodes that wait what they wait for from outside.
func (s *Server) viewWaiting(ctx context.Context, by access.Actor, executionID string, nodes ...*NodeExecution) error {
	asking := false
	for _, n := range nodes {
		asking = asking || n.Wait != nil && len(n.Wait.Asks) > 0
	}
	if !asking {
		return nil
	}
	asks, err := s.Executions.OpenAsks(ctx, by, executionID)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		for _, a := range asks {
			if a.NodeID != n.NodeID || a.Iteration != n.Iteration || n.Status.Over() {
				continue
			}
			switch {
			case !a.Callable:
				n.Approvals = append(n.Approvals, viewApproval(a))
			case a.Key != "":
				n.CallbackURL = s.origin(ctx) + callbackPath + a.Key
			}
		}
	}
	return nil
}

func pointers(nodes []NodeExecution) []*NodeExecution {
	out := make([]*NodeExecution, len(nodes))
	for i := range nodes {
		out[i] = &nodes[i]
	}
	return out
}
