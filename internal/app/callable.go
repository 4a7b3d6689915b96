package app

import (
	"context"
	"encoding/json"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	tools "agentstudio/internal/tool/builtin"
)

// callable are the workflows that agents, nodes and people may run as a tool.
// The rooms it needs are made after the tools are.
type callable struct{ app *App }

// byTool is the trigger type of workflows that others call.
const byTool = "workflow"

// Callable implements builtin.Workflows.
func (c callable) Callable(ctx context.Context, workspaceID string) ([]tools.Callable, error) {
	offers, err := c.app.Workflows.Offered(ctx, access.SystemActor("run_workflow"), workspaceID, byTool)
	if err != nil {
		return nil, err
	}
	out := make([]tools.Callable, len(offers))
	for i, o := range offers {
		out[i] = tools.Callable{ID: o.WorkflowID, Name: o.Name, Description: o.Description, InputSchema: o.InputSchema, Version: o.Version, NodeID: o.NodeID}
	}
	return out, nil
}

// Run implements builtin.Workflows. When whoever asked has gone, or is out of
// time, the execution is cancelled.
func (c callable) Run(ctx context.Context, by access.Actor, workspaceID string, w tools.Callable, input json.RawMessage) (any, error) {
	id := NewID()
	in := execution.StartInput{ID: id, WorkspaceID: workspaceID, WorkflowID: w.ID, Version: w.Version, TriggerType: byTool, StartNode: w.NodeID, TriggerData: input}
	limit := time.Hour
	if end, bounded := ctx.Deadline(); bounded {
		limit = time.Until(end)
	}
	x, err := c.app.Executions.Run(ctx, by, in, false, limit)
	if err == nil && x.Status == execution.Completed {
		var out any
		if len(x.Output) > 0 {
			err = json.Unmarshal(x.Output, &out)
		}
		return out, err
	}
	if err == nil && x.Status.Over() {
		message := "it was cancelled"
		if x.Error != nil {
			message = x.Error.Message
		}
		return nil, fault.New(fault.Conflict, "the workflow %q ended as %s: %s", w.Name, x.Status, message).WithCode("child_" + string(x.Status))
	}
	if err == nil || ctx.Err() != nil {
		_, cancelled := c.app.Executions.Cancel(context.WithoutCancel(ctx), by, id)
		if cancelled != nil && !fault.Is(cancelled, fault.NotFound) && !fault.Is(cancelled, fault.Conflict) {
			return nil, cancelled
		}
	}
	if err == nil {
		err = fault.New(fault.Timeout, "the workflow %q took longer than %s and was cancelled", w.Name, limit.Round(time.Second))
	}
	return nil, err
}
