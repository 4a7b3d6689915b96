package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

// calling says that a workflow is to be run before the agent goes on.
type calling struct{ start node.ChildStart }

func (c *calling) Error() string { return "an agent waits for a workflow" }

// viaWorkflow answers the call of a tool that a workflow answers: with the
// outcome of the workflow when it has ended, else by having it started, which
// is an error of type *calling. answered is false for every other call. One
// workflow runs at a time for a node; no goroutine waits for it.
func (r *run) viaWorkflow(ctx context.Context, name string, c llm.Block) (o outcome, answered bool, err error) {
	t, listed := r.tools[c.Name]
	args := c.Arguments
	if len(bytes.TrimSpace(args)) == 0 {
		args = json.RawMessage("{}")
	}
	fits := listed && r.fits(c.Name, args) == nil // else the tool says what is wrong
	if !fits || t.Child == nil || r.call.ExecutionID == "" {
		return outcome{}, false, nil
	}
	call := tool.Call{AgentID: r.settings.AgentID, Above: r.above(), APIKeyID: r.call.APIKeyID, WorkspaceID: r.call.WorkspaceID, WorkflowID: r.call.WorkflowID,
		UserID: r.call.UserID, ExecutionID: r.call.ExecutionID, NodeID: r.call.NodeID, Key: r.call.Key + "/" + name, Args: args}
	if ended := r.call.Resume; ended != nil && ended.Name == name {
		return r.told(ctx, t, call, ended), true, nil
	}
	start, runs, err := r.runner.gate.Child(ctx, t, call)
	if tool.Limited(err) {
		return outcome{Text: words(err), Failed: true}, true, nil
	}
	if err != nil || !runs {
		return outcome{}, false, nil //nolint:nilerr // the tool says the same when it is called
	}
	start.Name, start.Wait = name, true
	return outcome{}, false, &calling{start}
}

// told is what the model reads of a workflow that has ended. The call enters
// the ledger then; what the workflow used is in its own execution.
func (r *run) told(ctx context.Context, t tool.Tool, call tool.Call, ended *node.Resume) outcome {
	result, err := r.runner.gate.Ended(ctx, t, call, ended)
	if err != nil {
		return outcome{Text: words(err), Failed: true}
	}
	text, err := json.Marshal(result.Value)
	if err != nil {
		return outcome{Text: "the output of the workflow cannot be written as JSON", Failed: true}
	}
	return outcome{Text: string(text), Value: result.Value}
}

// parked is a run that goes on when a workflow has ended.
func parked(out *Output, err error) (*Output, error) {
	var child *calling
	if errors.As(err, &child) && fault.As(err) == nil {
		return &Output{Child: &child.start}, nil
	}
	return out, err
}
