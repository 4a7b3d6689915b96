package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/execution"
)

// shownNodes bounds the nodes shown with an execution; the rest is one list away.
const shownNodes = 200

func (s *Server) executionRoutes() {
	register(s, op{Method: "POST", Path: "/executions", ID: "start-execution", Tag: "executions", Status: 202, Also: []int{200}, Summary: "Run a workflow",
		Notes: "People run the newest version, triggers the published one, unless version says otherwise. With wait, an execution that ends in time is answered with 200."}, s.startExecution)
	register(s, op{Method: "POST", Path: "/executions/bulk", ID: "start-executions", Tag: "executions", Status: 202, Creates: true, Summary: "Run many workflows at once",
		Notes: "At most 1,000, of one workspace, in one transaction: all of them are started or none, and every fault is named by the index of its item."}, s.startExecutions)
	register(s, op{Method: "GET", Path: "/executions", ID: "list-executions", Tag: "executions", Summary: "Executions of a workspace, newest first",
		Notes: "Items leave out trigger_data, input, output and lineage."}, s.listExecutions)
	register(s, op{Method: "GET", Path: "/executions/{id}", ID: "get-execution", Tag: "executions", Summary: "One execution with its nodes",
		Notes: "At most 200 nodes; further ones are at /executions/{id}/nodes. Large outputs are left out: output_url leads to them."}, s.getExecution)
	register(s, op{Method: "DELETE", Path: "/executions/{id}", ID: "delete-execution", Tag: "executions", Status: 204, Summary: "Delete a finished execution"}, s.deleteExecution)
	register(s, op{Method: "GET", Path: "/executions/{id}/nodes", ID: "list-node-executions", Tag: "executions", Summary: "The nodes that ran, in the order they started"}, s.listNodes)
	register(s, op{Method: "GET", Path: "/executions/{id}/nodes/{node_execution_id}", ID: "get-node-execution", Tag: "executions", Summary: "One node's run with its input, whole output and steps"}, s.getNode)
	register(s, op{Method: "POST", Path: "/executions/{id}/cancel", ID: "cancel-execution", Tag: "executions", Summary: "Stop an execution within a second"}, s.cancelExecution)
	register(s, op{Method: "POST", Path: "/executions/{id}/pause", ID: "pause-execution", Tag: "executions", Summary: "Start no further node; what runs finishes"}, s.pauseExecution)
	register(s, op{Method: "POST", Path: "/executions/{id}/resume", ID: "resume-execution", Tag: "executions", Summary: "Go on after a pause"}, s.resumeExecution)
	register(s, op{Method: "POST", Path: "/executions/{id}/retry", ID: "retry-execution", Tag: "executions", Status: 202, Creates: true, Summary: "Run again, fixed where needed, reusing what is done",
		Notes: "What is changed, and everything after it, runs again; what is done before it is reused and listed in lineage.reused. A changed configuration runs from a definition of the execution's own."}, s.retryExecution)
}

type startInput struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"The same key and request within 24 hours answer the first execution"`
	Body           struct {
		WorkflowID     string                     `json:"workflow_id" format:"uuid"`
		Version        int                        `json:"version,omitempty" minimum:"1" maximum:"2147483647"`
		TriggerType    string                     `json:"trigger_type,omitempty" enum:"manual,webhook,schedule,api,event,workflow,mcp,chat,file" doc:"Default manual"`
		StartNode      string                     `json:"start_node,omitempty" maxLength:"128" doc:"Id of the trigger to start from; left out: the one that fits trigger_type"`
		TriggerData    Object                     `json:"trigger_data,omitempty" doc:"What expressions read as trigger"`
		Priority       int                        `json:"priority,omitempty" minimum:"0" maximum:"10"`
		ScheduledAt    *time.Time                 `json:"scheduled_at,omitempty"`
		IdempotencyKey string                     `json:"idempotency_key,omitempty" maxLength:"255" doc:"As the header"`
		DryRun         bool                       `json:"dry_run,omitempty" doc:"Call nothing that reaches outside: such nodes use their pinned outputs"`
		PinnedOutputs  map[string]json.RawMessage `json:"pinned_outputs,omitempty" maxProperties:"2000" doc:"For a dry run: outputs of the nodes of these ids"`
		Until          string                     `json:"until,omitempty" maxLength:"128" doc:"Id of the node after which it ends: that node and what leads to it run. A node of a loop's body ends with its loop"`
		Wait           float64                    `json:"wait,omitempty" minimum:"0" maximum:"60" doc:"Seconds to wait for the end"`
	}
}

type oneExecution struct {
	Status   int
	Location string `header:"Location"`
	Body     Execution
}

func (s *Server) answerExecution(status int, x *execution.Execution, err error) (*oneExecution, error) {
	if err != nil {
		return nil, err
	}
	out := &oneExecution{Status: status, Body: s.viewExecution(x)}
	if status == http.StatusAccepted {
		out.Location = base + "/executions/" + x.ID
	}
	return out, nil
}

func (s *Server) startExecution(ctx context.Context, by access.Actor, in *startInput) (*oneExecution, error) {
	b := in.Body
	key := in.IdempotencyKey
	if key == "" {
		key = b.IdempotencyKey
	}
	if key != "" {
		if err := checkKey(key); err != nil {
			return nil, err
		}
	}
	workspaceID, err := s.Workflows.WorkspaceOf(ctx, by, b.WorkflowID)
	if err != nil {
		return nil, err
	}
	start := execution.StartInput{WorkspaceID: workspaceID, WorkflowID: b.WorkflowID, Version: b.Version, TriggerType: b.TriggerType, StartNode: b.StartNode,
		TriggerData: json.RawMessage(b.TriggerData), Priority: b.Priority, IdempotencyKey: key,
		DryRun: b.DryRun, PinnedOutputs: b.PinnedOutputs, Until: b.Until}
	if b.ScheduledAt != nil {
		start.ScheduledAt = b.ScheduledAt.UTC()
	}
	if b.Wait == 0 {
		x, _, err := s.Executions.Start(ctx, by, start)
		return s.answerExecution(http.StatusAccepted, x, err)
	}
	x, err := s.Executions.Run(ctx, by, start, false, time.Duration(b.Wait*float64(time.Second)))
	status := http.StatusAccepted
	if err == nil && x.Status.Over() {
		status = http.StatusOK
	}
	return s.answerExecution(status, x, err)
}

type listExecutionsInput struct {
	Paging
	InWorkspace
	WorkflowID  string    `query:"workflow_id" format:"uuid"`
	Status      string    `query:"status" enum:"pending,running,waiting,paused,completed,failed,cancelled"`
	TriggerType string    `query:"trigger_type" maxLength:"50" doc:"Also split: the shares of splits, which are left out otherwise"`
	ParentID    string    `query:"parent_id" format:"uuid" doc:"Those that a node of this execution has started, shares of its splits included"`
	From        time.Time `query:"from" doc:"Made at this moment or later"`
	To          time.Time `query:"to" doc:"Made before this moment"`
	Query       string    `query:"query" maxLength:"255" doc:"In the workflow's name, or the id"`
	Cursor      string    `query:"cursor" maxLength:"200" doc:"The next_cursor of the page before; replaces offset"`
}

func (s *Server) listExecutions(ctx context.Context, by access.Actor, in *listExecutionsInput) (*Body[CursorPage[Execution]], error) {
	f := execution.Filter{WorkflowID: in.WorkflowID, Status: execution.Status(in.Status), TriggerType: in.TriggerType, ParentID: in.ParentID, From: in.From, To: in.To, Query: in.Query,
		Limit: in.Limit, Offset: in.Offset, Cursor: in.Cursor}
	p, err := s.Executions.List(ctx, by, workspaceOr(by, in.WorkspaceID), f)
	if err != nil {
		return nil, err
	}
	return &Body[CursorPage[Execution]]{CursorPage[Execution]{Items: views(p.Items, s.viewListed), Total: p.Total, Limit: in.Limit, Offset: in.Offset, NextCursor: p.NextCursor}}, nil
}

func (s *Server) getExecution(ctx context.Context, by access.Actor, in *IDPath) (*Body[ExecutionDetail], error) {
	x, nodes, total, err := s.Executions.WithNodes(ctx, by, in.ID, shownNodes, 0)
	if err != nil {
		return nil, err
	}
	out := ExecutionDetail{Execution: s.viewExecution(x), Nodes: views(nodes, viewNodeOf(in.ID)), NodesTotal: total}
	markReused(x, out.Nodes)
	return &Body[ExecutionDetail]{out}, s.viewWaiting(ctx, by, in.ID, pointers(out.Nodes)...)
}

func (s *Server) deleteExecution(ctx context.Context, by access.Actor, in *IDPath) (*none, error) {
	return nil, s.Executions.Delete(ctx, by, in.ID)
}

type listNodesInput struct {
	IDPath
	Paging
}

func (s *Server) listNodes(ctx context.Context, by access.Actor, in *listNodesInput) (*Body[Page[NodeExecution]], error) {
	x, items, total, err := s.Executions.WithNodes(ctx, by, in.ID, in.Limit, in.Offset)
	if err != nil {
		return nil, err
	}
	out := pageOf(items, total, in.Paging, viewNodeOf(in.ID))
	markReused(x, out.Body.Items)
	return out, s.viewWaiting(ctx, by, in.ID, pointers(out.Body.Items)...)
}

type nodePath struct {
	IDPath
	NodeExecutionID string `path:"node_execution_id" format:"uuid"`
}

func (s *Server) getNode(ctx context.Context, by access.Actor, in *nodePath) (*Body[NodeDetail], error) {
	n, err := s.Executions.Node(ctx, by, in.ID, in.NodeExecutionID)
	if err != nil {
		return nil, err
	}
	out := NodeDetail{NodeExecution: viewNode(n.NodeRun), Input: n.Input, Steps: views(n.Steps, viewStep)}
	err = s.viewWaiting(ctx, by, in.ID, &out.NodeExecution)
	return &Body[NodeDetail]{out}, err
}

func (s *Server) cancelExecution(ctx context.Context, by access.Actor, in *IDPath) (*oneExecution, error) {
	x, err := s.Executions.Cancel(ctx, by, in.ID)
	return s.answerExecution(http.StatusOK, x, err)
}

func (s *Server) pauseExecution(ctx context.Context, by access.Actor, in *IDPath) (*oneExecution, error) {
	x, err := s.Executions.Pause(ctx, by, in.ID)
	return s.answerExecution(http.StatusOK, x, err)
}

func (s *Server) resumeExecution(ctx context.Context, by access.Actor, in *IDPath) (*oneExecution, error) {
	x, err := s.Executions.Resume(ctx, by, in.ID)
	return s.answerExecution(http.StatusOK, x, err)
}

type retryInput struct {
	IDPath
	Body *retryBody
}

type retryBody struct {
	From        string                     `json:"from,omitempty" maxLength:"128" doc:"failed (the default), start, or the id of a node"`
	Version     int                        `json:"version,omitempty" minimum:"1" maximum:"2147483647" doc:"Another saved version of the workflow; what differs runs again"`
	Config      map[string]Object          `json:"config,omitempty" maxProperties:"2000" doc:"Configurations in place of those of the nodes of these ids; the workflow stays as it is. Needs the right to edit workflows"`
	TriggerData Object                     `json:"trigger_data,omitempty" doc:"In place of the trigger data"`
	Until       string                     `json:"until,omitempty" maxLength:"128" doc:"Id of the node after which it ends. With from set to the same node it runs alone, on what was done before it"`
	Outputs     map[string]json.RawMessage `json:"outputs,omitempty" maxProperties:"2000" doc:"Outputs in place of running the nodes of these ids. Needs the right to edit workflows"`
}

func (b *retryBody) input() execution.RetryInput {
	if b == nil {
		return execution.RetryInput{}
	}
	out := execution.RetryInput{From: b.From, Version: b.Version, TriggerData: json.RawMessage(b.TriggerData), Outputs: b.Outputs, Until: b.Until}
	if len(b.Config) > 0 {
		out.Config = make(map[string]json.RawMessage, len(b.Config))
	}
	for id, config := range b.Config {
		out.Config[id] = json.RawMessage(config)
	}
	return out
}

func (s *Server) retryExecution(ctx context.Context, by access.Actor, in *retryInput) (*oneExecution, error) {
	x, err := s.Executions.Retry(ctx, by, in.ID, in.Body.input())
	return s.answerExecution(http.StatusAccepted, x, err)
}
