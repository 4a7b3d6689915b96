package builtin

import (
	"context"

	"agentstudio/internal/node"
)

type workflowTriggerConfig struct {
	Schema      map[string]any `json:"input_schema,omitempty" jsonschema:"title=Input schema" jsonschema_description:"JSON Schema of the data callers must give." jsonschema_extras:"widget=schema"`
	Description string         `json:"description,omitempty" jsonschema:"title=Description" jsonschema_description:"What the workflow does, for callers and models that choose it as a tool."`
}

// InputSchema returns the schema of the callers' data, nil for anything.
func (c workflowTriggerConfig) InputSchema() map[string]any { return c.Schema }

// Purpose returns what the workflow does, for who calls it as a tool.
func (c workflowTriggerConfig) Purpose() string { return c.Description }

func workflowTrigger() node.Type {
	return node.Define(node.Spec{
		Kind: "workflow-trigger", Title: "Called by a workflow", Group: node.Trigger, Category: "start", Icon: "workflow",
		Description: "Starts the workflow when another workflow or an agent calls it.",
		NoInput:     true, Starts: []string{"workflow", "mcp"}, Instant: true, Risk: node.RiskLow,
		Docs: `Makes the workflow callable: by a run-workflow node of another workflow, or as a tool.
Its output is the caller's input. What the last node answers goes back to the caller.

` + "```yaml" + `
config: {input_schema: {type: object, properties: {city: {type: string}}}}
` + "```",
	}, func(_ context.Context, c node.Call, _ workflowTriggerConfig) (node.Result, error) {
		return node.Output("", c.Trigger), nil
	})
}
