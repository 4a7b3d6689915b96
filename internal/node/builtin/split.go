package builtin

import (
	"context"

	"agentstudio/internal/node"
)

type splitConfig struct {
	Items       any    `json:"items" jsonschema:"required,title=Items" jsonschema_description:"The list to spread; each branch sees its own as item."`
	Parallel    int    `json:"parallel,omitempty" jsonschema:"title=At the same time,default=10,minimum=1,maximum=1000"`
	OnItemError string `json:"on_item_error,omitempty" jsonschema:"title=When an item fails,enum=stop,enum=continue,default=stop"`
}

func split() node.Type {
	return node.Define(node.Spec{
		Kind: "split", Title: "Split", Group: node.Logic, Category: "repeat", Icon: "network",
		Description: "Runs the nodes inside it for all items of a list at the same time.",
		Container:   true, Instant: true, Risk: node.RiskLow,
		Docs: `One branch per item, side by side: for fan-outs where the order of work does not matter. Answers
` + "`{items, errors}`" + ` in the items' order, like a loop. Where several workers share a database, a list of 100 items or more
is divided between all of them.

` + "```yaml" + `
- {id: each, kind: split, config: {items: "{{ trigger.customers }}", parallel: 50}}
- {id: mail, kind: send-email, parent_id: each, config: {to: ["{{ item.email }}"], subject: Hello, text: Hi}}
` + "```",
	}, func(_ context.Context, _ node.Call, cfg splitConfig) (node.Result, error) {
		items, err := asList("items", cfg.Items)
		if err != nil {
			return node.Result{}, err
		}
		return node.Each(node.Iteration{Items: items, Parallel: max(1, cfg.Parallel), ContinueOnError: cfg.OnItemError == "continue", Spread: true}), nil
	})
}
