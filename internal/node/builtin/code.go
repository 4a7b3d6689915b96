package builtin

import (
	"context"
	"time"

	"agentstudio/internal/node"
	"agentstudio/internal/sandbox"
)

type codeConfig struct {
	Code      string `json:"code" jsonschema:"required,title=Code,minLength=1,maxLength=200000" jsonschema_description:"The body of a function; what it returns is the output. input, nodes, trigger, item, index and vars are at hand." jsonschema_extras:"widget=code,literal=true"`
	TimeoutMS int    `json:"timeout_ms,omitempty" jsonschema:"title=Time limit in ms,minimum=10,maximum=60000,default=5000"`
}

// Code runs JavaScript that is not trusted.
type Code interface {
	Run(ctx context.Context, code string, scope map[string]any, limits sandbox.Limits) (sandbox.Outcome, error)
}

func code(in Code) node.Type {
	if in == nil {
		in = sandbox.Local{}
	}
	return node.Define(node.Spec{
		Kind: "code", Title: "Code", Group: node.Action, Category: "data", Icon: "braces",
		Description: "Runs JavaScript in a sandbox without network or disk.",
		SeesAll:     true, Risk: node.RiskLow, Timeout: 70 * time.Second,
		Docs: `Runs its code as the body of an async function and answers what it returns. Lines of ` + "`console.log`" + ` go to the execution's log. There is no network, no disk and no timer; memory is bounded to 32 MiB and the result to 1 MiB.

` + "```yaml" + `
config:
  code: |
    const total = input.lines.reduce((sum, l) => sum + l.amount, 0);
    return {total, big: total > 1000};
` + "```",
	}, func(ctx context.Context, c node.Call, cfg codeConfig) (node.Result, error) {
		seen, err := c.Scope(ctx)
		if err != nil {
			return node.Result{}, err
		}
		scope := map[string]any{}
		for _, name := range []string{"input", "nodes", "trigger", "item", "index", "vars"} {
			scope[name] = seen[name]
		}
		out, err := in.Run(ctx, cfg.Code, scope, sandbox.Limits{Timeout: time.Duration(cfg.TimeoutMS) * time.Millisecond})
		for _, line := range out.Console {
			c.Log("info", line, nil)
		}
		return node.Output("", out.Value), err
	})
}
