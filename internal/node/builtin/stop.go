package builtin

import (
	"context"

	"agentstudio/internal/node"
)

type stopConfig struct {
	Status  string `json:"status,omitempty" jsonschema:"title=End as,enum=completed,enum=failed,default=completed"`
	Message string `json:"message,omitempty" jsonschema:"title=Message" jsonschema_description:"With failed: what went wrong, for people."`
	Output  any    `json:"output,omitempty" jsonschema:"title=Output" jsonschema_description:"The execution's output; what arrived, when left out."`
}

func stop() node.Type {
	return node.Define(node.Spec{
		Kind: "stop", Title: "Stop", Group: node.Logic, Category: "flow", Icon: "octagon-x",
		Description: "Ends the whole execution, well or with an error.",
		Instant:     true, Risk: node.RiskLow,
		Docs: `Ends the execution at once; other branches that still run are cancelled.

` + "```yaml" + `
config: {status: failed, message: "no results for {{ trigger.topic }}"}
` + "```",
	}, func(_ context.Context, c node.Call, cfg stopConfig) (node.Result, error) {
		output := cfg.Output
		if output == nil {
			output = c.Input
		}
		if cfg.Status == "failed" {
			return node.StopFailed(orDefault(cfg.Message, "the workflow stopped itself"), output), nil
		}
		return node.Stop(output), nil
	})
}
