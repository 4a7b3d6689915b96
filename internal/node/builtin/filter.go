package builtin

import (
	"context"

	"agentstudio/internal/node"
)

type filterConfig struct {
	Items     any             `json:"items,omitempty" jsonschema:"title=Items" jsonschema_description:"The list to filter; what arrived, when left out."`
	Condition node.Expression `json:"condition" jsonschema:"required,title=Keep when" jsonschema_description:"An expression over item and index."`
}

func filter() node.Type {
	return node.Define(node.Spec{
		Kind: "filter", Title: "Filter", Group: node.Logic, Category: "data", Icon: "filter",
		Description: "Keeps the items of a list that fulfil a condition.",
		Instant:     true, Risk: node.RiskLow,
		Docs: `Answers ` + "`{items, dropped}`" + `: the items for which the condition holds, in their order, and how many were dropped.

` + "```yaml" + `
config: {items: "{{ nodes.search.output.results }}", condition: "{{ item.score > 0.5 }}"}
` + "```",
	}, func(ctx context.Context, c node.Call, cfg filterConfig) (node.Result, error) {
		items, err := itemsOf(cfg.Items, c.Input)
		if err != nil {
			return node.Result{}, err
		}
		kept, err := keepItems(ctx, c, "condition", cfg.Condition, items)
		if err != nil {
			return node.Result{}, err
		}
		return node.Output("", map[string]any{"items": kept, "dropped": len(items) - len(kept)}), nil
	})
}

func keepItems(ctx context.Context, c node.Call, field string, e node.Expression, items []any) ([]any, error) {
	kept := make([]any, 0, len(items))
	for i, item := range items {
		yes, err := isTrue(ctx, c, field, e, itemNames(item, i))
		if err != nil {
			return nil, err
		}
		if yes {
			kept = append(kept, item)
		}
	}
	return kept, nil
}
