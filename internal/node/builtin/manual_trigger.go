package builtin

import (
	"context"

	"agentstudio/internal/node"
)

type manualTriggerConfig struct {
	Schema map[string]any `json:"input_schema,omitempty" jsonschema:"title=Input schema" jsonschema_description:"JSON Schema of the data an execution is started with; it becomes the form of the Run button." jsonschema_extras:"widget=schema"`
}

// InputSchema returns the schema of the trigger data, nil for anything.
func (c manualTriggerConfig) InputSchema() map[string]any { return c.Schema }

func manualTrigger() node.Type {
	return node.Define(node.Spec{
		Kind: "manual-trigger", Title: "Manual trigger", Group: node.Trigger, Category: "start", Icon: "play",
		Description: "Starts the workflow when somebody runs it or the API asks for it.",
		NoInput:     true, Starts: []string{"manual", "api"}, Instant: true, Risk: node.RiskLow,
		Docs: `Starts an execution by hand or through the API. Its output is the data the execution was started with,
which every node also sees as ` + "`trigger`" + `.

With an input schema the data is checked before anything runs:

` + "```yaml" + `
config: {input_schema: {type: object, required: [topic], properties: {topic: {type: string}}}}
` + "```",
	}, func(_ context.Context, c node.Call, _ manualTriggerConfig) (node.Result, error) {
		return node.Output("", c.Trigger), nil
	})
}
