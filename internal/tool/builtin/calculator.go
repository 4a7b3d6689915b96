package builtin

import (
	"context"
	"fmt"
	"math"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"

	"github.com/expr-lang/expr"
)

type calculatorArgs struct {
	Expression string `json:"expression" jsonschema:"required,minLength=1,maxLength=1000" jsonschema_description:"Arithmetic such as (1 + 2) * 3 ** 2, with sqrt, sin, cos, tan, log, exp, abs, round, floor, ceil, min, max, sum, mean, pi and e."`
}

func calculator() tool.Tool {
	return tool.Define(tool.Spec{Name: "calculator", Title: "Calculator", Category: "basics", Risk: node.RiskLow, Restrictions: []string{"No network, no disk."},
		Description: "Works out an arithmetic expression exactly, where a model would guess."},
		func(_ context.Context, _ tool.Call, a calculatorArgs) (tool.Result, error) {
			v, err := calculate(a.Expression)
			if err != nil {
				return tool.Result{}, err
			}
			return tool.Result{Text: fmt.Sprint(v), Value: map[string]any{"value": v}}, nil
		})
}

func calculate(expression string) (v any, err error) {
	env := map[string]any{"pi": math.Pi, "e": math.E, "sqrt": math.Sqrt, "sin": math.Sin, "cos": math.Cos, "tan": math.Tan,
		"log": math.Log, "log10": math.Log10, "log2": math.Log2, "exp": math.Exp}
	program, err := expr.Compile(expression, expr.Env(env), expr.MaxNodes(500))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%q is no arithmetic: %s", expression, err)
	}
	v, err = expr.Run(program, env)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%q has no value: %s", expression, err)
	}
	switch n := v.(type) {
	case int:
		return n, nil
	case float64:
		if math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, fault.New(fault.Invalid, "%q has no finite value", expression)
		}
		return n, nil
	}
	return nil, fault.New(fault.Invalid, "%q is not a number", expression)
}
