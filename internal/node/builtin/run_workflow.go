package builtin

import (
	"context"
	"fmt"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

const deepestWorkflow = 10

type runWorkflowConfig struct {
	WorkflowID string `json:"workflow_id" jsonschema:"required,title=Workflow" jsonschema_extras:"widget=workflow"`
	Input      any    `json:"input,omitempty" jsonschema:"title=Input" jsonschema_description:"The data it is started with; what arrived, when left out."`
	Wait       bool   `json:"wait,omitempty" jsonschema:"title=Wait for its end,default=true"`
}

// WorkflowIDs returns the workflow it calls.
func (c runWorkflowConfig) WorkflowIDs() []string {
	if c.WorkflowID == "" {
		return nil
	}
	return []string{c.WorkflowID}
}

func runWorkflow() node.Type {
	return node.Define(node.Spec{
		Kind: "run-workflow", Title: "Run workflow", Group: node.Action, Category: "flow", Icon: "workflow",
		Description: "Starts another workflow, and waits for its output.",
		Effect:      true, Risk: node.RiskMedium,
		Docs: `Starts the published version of another workflow. With wait its output is that workflow's output, and its failure
fails this node; without, it answers ` + "`{execution_id}`" + ` at once.

` + "```yaml" + `
config: {workflow_id: "0198…", input: {city: "{{ item }}"}}
` + "```",
	}, func(_ context.Context, c node.Call, cfg runWorkflowConfig) (node.Result, error) {
		if c.Resume != nil {
			return node.Output("", c.Resume.Data), c.Resume.Err
		}
		if c.Depth >= deepestWorkflow {
			return node.Result{}, fault.New(fault.Invalid, "workflows call each other more than %d deep", deepestWorkflow).WithCode("too_deep")
		}
		input := cfg.Input
		if input == nil {
			input = c.Input
		}
		started := node.Child(cfg.WorkflowID, input, cfg.Wait)
		if cfg.Wait { // a process that dies before this has used the answer finds it again, under the name
			started.Child.Name = fmt.Sprintf("attempt-%d", c.Attempt)
		}
		return started, nil
	})
}
