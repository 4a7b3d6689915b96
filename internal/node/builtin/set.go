package builtin

import (
	"context"
	"maps"

	"agentstudio/internal/node"
)

type setConfig struct {
	Values    map[string]any `json:"values,omitempty" jsonschema:"title=Values" jsonschema_description:"The fields of the object; a value that is one expression keeps its type." jsonschema_extras:"widget=key-value"`
	KeepInput bool           `json:"keep_input,omitempty" jsonschema:"title=Keep input" jsonschema_description:"Start from the fields that arrived, when they are an object."`
}

func set() node.Type {
	return node.Define(node.Spec{
		Kind: "set", Title: "Set", Group: node.Action, Category: "data", Icon: "pencil",
		Description: "Builds an object from values and expressions.",
		Instant:     true, Risk: node.RiskLow,
		Docs: `Answers the object made of its values. Types are kept: ` + "`\"{{ trigger.count + 1 }}\"`" + ` stays a number.

` + "```yaml" + `
config: {values: {title: "{{ trigger.topic | upper }}", count: 3}, keep_input: true}
` + "```",
	}, func(_ context.Context, c node.Call, cfg setConfig) (node.Result, error) {
		out := make(map[string]any, len(cfg.Values))
		if in, isObject := c.Input.(map[string]any); cfg.KeepInput && isObject {
			maps.Copy(out, in)
		}
		maps.Copy(out, cfg.Values)
		return node.Output("", out), nil
	})
}
