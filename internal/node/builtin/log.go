package builtin

import (
	"context"

	"agentstudio/internal/node"
)

type logConfig struct {
	Message any    `json:"message" jsonschema:"required,title=Message"`
	Level   string `json:"level,omitempty" jsonschema:"title=Level,enum=debug,enum=info,enum=warn,enum=error,default=info"`
}

func logKind() node.Type {
	return node.Define(node.Spec{
		Kind: "log", Title: "Log", Group: node.Action, Category: "flow", Icon: "scroll-text",
		Description: "Writes a line to the execution's log.",
		Instant:     true, Risk: node.RiskLow,
		Docs: `Writes its message to the execution's log and passes on what arrived. A message that is not text is also kept as data.

` + "```yaml" + `
config: {message: "got {{ len(nodes.search.output.results) }} results", level: info}
` + "```",
	}, func(_ context.Context, c node.Call, cfg logConfig) (node.Result, error) {
		var data any
		if _, isText := cfg.Message.(string); !isText {
			data = cfg.Message
		}
		c.Log(orDefault(cfg.Level, "info"), textOf(cfg.Message), data)
		return node.Output("", c.Input), nil
	})
}
