package builtin

import (
	"context"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

type conditionConfig struct {
	Condition node.Expression `json:"condition" jsonschema:"required,title=Condition" jsonschema_description:"An expression that is true or false."`
}

func condition() node.Type {
	return node.Define(node.Spec{
		Kind: "condition", Title: "Condition", Group: node.Logic, Category: "branch", Icon: "git-branch",
		Description: "Goes one way when something is true, another when it is not.",
		Outputs:     []node.Handle{{Name: "true", Title: "True"}, {Name: "false", Title: "False"}},
		Instant:     true, Risk: node.RiskLow,
		Docs: `Evaluates a condition and passes what arrived on to the handle ` + "`true`" + ` or ` + "`false`" + `; the other branch is skipped.

` + "```yaml" + `
config: {condition: "{{ nodes.fetch.output.status == 200 }}"}
` + "```",
	}, func(ctx context.Context, c node.Call, cfg conditionConfig) (node.Result, error) {
		yes, err := isTrue(ctx, c, "condition", cfg.Condition, nil)
		if err != nil {
			return node.Result{}, err
		}
		if yes {
			return node.Output("true", c.Input), nil
		}
		return node.Output("false", c.Input), nil
	})
}

// isTrue evaluates an expression that must be true or false; field names it in
// the fault when it is neither.
func isTrue(ctx context.Context, c node.Call, field string, e node.Expression, names map[string]any) (bool, error) {
	v, err := c.Eval(ctx, e, names)
	if err != nil {
		return false, err
	}
	yes, isBool := v.(bool)
	if !isBool {
		return false, fault.New(fault.Invalid, "%s must be true or false, but it is %s; compare it with something", field, describe(v))
	}
	return yes, nil
}
