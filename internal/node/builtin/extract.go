package builtin

import (
	"context"
	"encoding/json"
	"fmt"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/schema"
)

type extractConfig struct {
	Content      any            `json:"content" jsonschema:"required,title=What is looked at" jsonschema_extras:"widget=textarea"`
	Schema       map[string]any `json:"schema" jsonschema:"required,title=What is wanted" jsonschema_description:"A JSON Schema that the data will fit." jsonschema_extras:"widget=schema,literal=true"`
	Instructions string         `json:"instructions,omitempty" jsonschema:"title=What to go by" jsonschema_extras:"widget=textarea"`
	judgeConfig
}

// Check finds schemas that cannot be used.
func (c extractConfig) Check() []fault.Detail {
	text, err := json.Marshal(c.Schema)
	if err == nil {
		_, err = schema.Compile(text)
	}
	if err != nil {
		return []fault.Detail{{Location: "schema", Code: "bad_schema", Message: fmt.Sprintf("this is no JSON Schema: %s", err)}}
	}
	return nil
}

func extract(runner Agent) node.Type {
	return node.Define(judgeSpec(node.Spec{
		Kind: "extract", Title: "Extract", Icon: "scan-text",
		Description: "A model turns text or pictures into data of a given shape.",
		Docs: `Shows a model the content and answers ` + "`{data, model, usage, cost_usd}`" + `, where ` + "`data`" + ` fits the schema. An answer that does not is shown its
faults once; then the node fails with ` + "`invalid_output`" + `.

` + "```yaml" + `
config:
  content: "{{ nodes.letter.output.content }}"
  schema:
    type: object
    required: [number, total]
    properties:
      number: {type: string}
      total: {type: number}
` + "```",
	}), func(ctx context.Context, c node.Call, cfg extractConfig) (node.Result, error) {
		if err := nothingToLookAt("content", cfg.Content, cfg.Images); err != nil {
			return node.Result{}, err
		}
		content, err := shown(cfg.Content)
		if err != nil {
			return node.Result{}, err
		}
		system := "You take data out of what you are shown. Take what stands there, word by word where it is a name or a number; make up nothing."
		if cfg.Instructions != "" {
			system += "\n\n" + cfg.Instructions
		}
		out, err := judge(ctx, runner, c, cfg.judgeConfig, system, content, cfg.Schema)
		if err != nil {
			return node.Result{}, err
		}
		return node.Output("", noted(out, map[string]any{"data": out.Data})), nil
	})
}
