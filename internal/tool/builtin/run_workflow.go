package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/schema"
	"agentstudio/internal/tool"
)

// Workflows are the published workflows of workspaces that others may call.
type Workflows interface {
	Callable(ctx context.Context, workspaceID string) ([]Callable, error)
	// Run runs one for a person, and returns its output.
	Run(ctx context.Context, by access.Actor, workspaceID string, c Callable, input json.RawMessage) (any, error)
}

// Callable is a published workflow with a trigger that lets others call it.
type Callable struct {
	ID          string         `json:"id"`
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	InputSchema map[string]any `json:"input_schema,omitempty"`
	Version     int            `json:"-"`
	NodeID      string         `json:"-"` // of the trigger
}

type runWorkflowArgs struct {
	Workflow string `json:"workflow,omitempty" jsonschema:"maxLength=200" jsonschema_description:"Id or name. Left out, the tool answers which workflows there are and what they take."`
	Input    any    `json:"input,omitempty" jsonschema_description:"What the workflow is started with, after its input_schema."`
}

func runWorkflow(workflows Workflows) tool.Tool {
	t := tool.Define(tool.Spec{Name: "run_workflow", Title: "Run a workflow", Category: "workflows", Risk: node.RiskMedium, Effect: true, Restrictions: []string{"Only published workflows of its workspace with a workflow trigger."},
		Description: "Runs a published workflow of the workspace that has a workflow trigger, and answers its output."},
		func(ctx context.Context, call tool.Call, a runWorkflowArgs) (tool.Result, error) {
			all, err := workflows.Callable(ctx, call.WorkspaceID)
			if err != nil {
				return tool.Result{}, err
			}
			if a.Workflow == "" {
				return tool.Result{Text: listed(all), Value: map[string]any{"workflows": all}}, nil
			}
			c, input, err := choose(all, a)
			if err != nil {
				return tool.Result{}, err
			}
			if call.By == nil {
				return tool.Result{}, fault.New(fault.Conflict, "a workflow is run for an agent or a node within an execution, or for a person by hand; a trial of an agent runs none").WithCode("needs_execution")
			}
			out, err := workflows.Run(ctx, *call.By, call.WorkspaceID, c, input)
			return tool.Result{Value: out}, err
		})
	if workflows == nil {
		return needs(t, false, "workflows")
	}
	t.Child = func(ctx context.Context, call tool.Call) (node.ChildStart, bool, error) {
		var a runWorkflowArgs
		if err := json.Unmarshal(call.Args, &a); err != nil || a.Workflow == "" {
			return node.ChildStart{}, false, nil //nolint:nilerr // Run says so
		}
		all, err := workflows.Callable(ctx, call.WorkspaceID)
		if err != nil {
			return node.ChildStart{}, false, err
		}
		c, _, err := choose(all, a)
		if err != nil {
			return node.ChildStart{}, false, err
		}
		if a.Input == nil {
			a.Input = map[string]any{}
		}
		return node.ChildStart{WorkflowID: c.ID, Input: a.Input, Wait: true}, true, nil
	}
	return t
}

func listed(all []Callable) string {
	if len(all) == 0 {
		return "There are no workflows to run: one needs to be published, with a workflow trigger."
	}
	text, err := json.Marshal(all)
	if err != nil {
		return ""
	}
	return clip(string(text), readable)
}

// choose finds a workflow by its id or name, and checks the input against what
// it takes.
func choose(all []Callable, a runWorkflowArgs) (Callable, json.RawMessage, error) {
	var names []string
	var found []Callable
	for _, c := range all {
		if names = append(names, c.Name); c.ID == a.Workflow || strings.EqualFold(c.Name, a.Workflow) {
			found = append(found, c)
		}
	}
	switch {
	case len(found) == 0:
		return Callable{}, nil, fault.New(fault.NotFound, "there is no published workflow %q with a workflow trigger%s; there are: %s", a.Workflow, fault.DidYouMean(a.Workflow, names), clip(strings.Join(names, ", "), 2_000)).WithCode("unknown_workflow")
	case len(found) > 1 && found[0].ID != a.Workflow:
		return Callable{}, nil, fault.New(fault.Invalid, "%d workflows are called %q: say which by its id", len(found), a.Workflow).WithCode("unknown_workflow")
	}
	c := found[0]
	if a.Input == nil {
		a.Input = map[string]any{}
	}
	input, err := json.Marshal(a.Input)
	if err != nil {
		return c, nil, err
	}
	if len(c.InputSchema) == 0 {
		return c, input, nil
	}
	text, err := json.Marshal(c.InputSchema)
	if err != nil {
		return c, nil, err
	}
	rules, err := schema.Compile(text)
	if err != nil {
		return c, input, nil //nolint:nilerr // its trigger judges
	}
	var faults []fault.Detail
	for _, f := range rules.Validate(a.Input) {
		at := "input"
		if f.Path != "" {
			at += "." + f.Path
		}
		faults = append(faults, fault.Detail{Location: at, Message: fmt.Sprintf("%s takes this: %s", c.Name, f.Message)})
	}
	if faults != nil {
		return c, nil, fault.InvalidInput(faults...)
	}
	return c, input, nil
}
