package builtin

import (
	"context"
	"slices"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

const whileBound = 1000

type loopConfig struct {
	Items       any             `json:"items,omitempty" jsonschema:"title=Items" jsonschema_description:"The list to go through; the body sees each as item."`
	While       node.Expression `json:"while,omitempty" jsonschema:"title=While" jsonschema_description:"Instead of items: go on as long as it is true. item is the output of the round before, and what arrived in the first."`
	Parallel    int             `json:"parallel,omitempty" jsonschema:"title=At the same time,default=1,minimum=1,maximum=1000"`
	BatchSize   int             `json:"batch_size,omitempty" jsonschema:"title=Batch size,default=1,minimum=1" jsonschema_description:"Above 1 the body runs per batch, and item is a list."`
	MaxItems    int             `json:"max_items,omitempty" jsonschema:"title=At most,minimum=1,maximum=100000" jsonschema_description:"Fails above so many rounds: 100000 when left out, 1000 with while."`
	OnItemError string          `json:"on_item_error,omitempty" jsonschema:"title=When an item fails,enum=stop,enum=continue,default=stop"`
}

// Check finds loops that have no end, or two.
func (c loopConfig) Check() []fault.Detail {
	switch {
	case c.Items == nil && c.While == "":
		return []fault.Detail{{Location: "items", Code: "missing_items", Message: "say what to go through: give items, or while"}}
	case c.Items != nil && c.While != "":
		return []fault.Detail{{Location: "while", Code: "two_loops", Message: "give either items or while, not both"}}
	case c.While != "" && c.Parallel > 1:
		return []fault.Detail{{Location: "parallel", Code: "not_parallel", Message: "the rounds of a while loop come one after the other: parallel must be 1"}}
	}
	return nil
}

func loop() node.Type {
	return node.Define(node.Spec{
		Kind: "loop", Title: "Loop", Group: node.Logic, Category: "repeat", Icon: "repeat",
		Description: "Runs the nodes inside it for each item of a list, or while something is true.",
		Container:   true, Instant: true, Risk: node.RiskLow,
		Docs: `The nodes with this one as their parent are its body; they see ` + "`item`" + ` and ` + "`index`" + `.
Answers ` + "`{items, errors}`" + `: the rounds' outputs in the items' order, and ` + "`{index, error}`" + ` of the rounds that failed
(with on_item_error: continue).

` + "```yaml" + `
- {id: pages, kind: loop, config: {items: "{{ nodes.search.output.results }}", parallel: 3, on_item_error: continue}}
- {id: page, kind: web-read, parent_id: pages, config: {url: "{{ item.url }}"}}
` + "```",
	}, func(_ context.Context, c node.Call, cfg loopConfig) (node.Result, error) {
		it := node.Iteration{Parallel: max(1, cfg.Parallel), ContinueOnError: cfg.OnItemError == "continue", MaxItems: cfg.MaxItems}
		if cfg.While != "" {
			it.Parallel = 1
			it.MaxItems = orBound(cfg.MaxItems)
			it.Next = while(c, cfg.While)
			return node.Each(it), nil
		}
		items, err := asList("items", cfg.Items)
		if err != nil {
			return node.Result{}, err
		}
		it.Items = batches(items, cfg.BatchSize)
		return node.Each(it), nil
	})
}

func orBound(n int) int {
	if n == 0 {
		return whileBound
	}
	return n
}

// while yields the output of the round before, starting with what arrived, as
// long as the expression holds for it.
func while(c node.Call, e node.Expression) func(context.Context, int, any) (any, bool, error) {
	return func(ctx context.Context, index int, previous any) (any, bool, error) {
		if index == 0 {
			previous = c.Input
		}
		more, err := isTrue(ctx, c, "while", e, itemNames(previous, index))
		return previous, more, err
	}
}

func batches(items []any, size int) []any {
	if size <= 1 {
		return items
	}
	out := make([]any, 0, (len(items)+size-1)/size)
	for batch := range slices.Chunk(items, size) {
		out = append(out, batch)
	}
	return out
}
