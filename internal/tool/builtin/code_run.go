package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"agentstudio/internal/node"
	"agentstudio/internal/sandbox"
	"agentstudio/internal/tool"
)

type codeRunArgs struct {
	Code  string `json:"code" jsonschema:"required,minLength=1,maxLength=100000" jsonschema_description:"The body of an async JavaScript function; return the result. There is no network, no disk and no timer."`
	Input any    `json:"input,omitempty" jsonschema_description:"A value the code sees as input."`
}

// Code runs JavaScript that is not trusted.
type Code interface {
	Run(ctx context.Context, code string, scope map[string]any, limits sandbox.Limits) (sandbox.Outcome, error)
}

func codeRun(in Code) tool.Tool {
	if in == nil {
		in = sandbox.Local{}
	}
	bounds := sandbox.Limits{}.Filled()
	return tool.Define(tool.Spec{Name: "code_run", Title: "Run code", Category: "code", Risk: node.RiskLow, Limit: perMinute(120),
		Restrictions: []string{fmt.Sprintf("No network, no disk, no timers; %d MiB of memory, %s, an answer of at most %d MiB.", bounds.Memory>>20, bounds.Timeout, bounds.Output>>20)},
		Description:  "Runs JavaScript in a sandbox and answers what it returns and prints. Use it to calculate, parse or transform."},
		func(ctx context.Context, _ tool.Call, a codeRunArgs) (tool.Result, error) {
			out, err := in.Run(ctx, a.Code, map[string]any{"input": a.Input}, bounds)
			if err != nil {
				return tool.Result{}, err
			}
			text, err := json.Marshal(out.Value)
			if err != nil {
				return tool.Result{}, err
			}
			said := string(text)
			if len(out.Console) > 0 {
				said += "\n\nPrinted:\n" + strings.Join(out.Console, "\n")
			}
			return tool.Result{Text: clip(said, readable), Value: map[string]any{"value": out.Value, "console": out.Console}}, nil
		})
}
