package builtin

import (
	"context"
	"fmt"
	"slices"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

type transformStep struct {
	Map       node.Expression            `json:"map,omitempty" jsonschema:"title=Map" jsonschema_description:"Replaces each item by the value."`
	Filter    node.Expression            `json:"filter,omitempty" jsonschema:"title=Filter" jsonschema_description:"Keeps the items for which it is true."`
	Sort      node.Expression            `json:"sort,omitempty" jsonschema:"title=Sort by"`
	Order     string                     `json:"order,omitempty" jsonschema:"title=Order,enum=asc,enum=desc" jsonschema_description:"With sort; asc when left out."`
	Group     node.Expression            `json:"group,omitempty" jsonschema:"title=Group by" jsonschema_description:"Makes items of the form {key, items}."`
	Aggregate map[string]node.Expression `json:"aggregate,omitempty" jsonschema:"title=Aggregate" jsonschema_description:"Named values over items; after group, once per group."`
	Limit     *int                       `json:"limit,omitempty" jsonschema:"title=Limit,minimum=0"`
	Unique    node.Expression            `json:"unique,omitempty" jsonschema:"title=Unique by" jsonschema_description:"Keeps the first item of each value."`
}

type transformConfig struct {
	Items any             `json:"items,omitempty" jsonschema:"title=Items" jsonschema_description:"The list to work on; what arrived, when left out."`
	Steps []transformStep `json:"steps" jsonschema:"required,title=Steps,minItems=1,maxItems=50"`
}

func (s transformStep) operations() []string {
	var named []string
	for name, present := range map[string]bool{
		"map": s.Map != "", "filter": s.Filter != "", "sort": s.Sort != "", "group": s.Group != "",
		"aggregate": len(s.Aggregate) > 0, "limit": s.Limit != nil, "unique": s.Unique != "",
	} {
		if present {
			named = append(named, name)
		}
	}
	slices.Sort(named)
	return named
}

// Check finds steps that say nothing, or more than one thing.
func (c transformConfig) Check() []fault.Detail {
	var found []fault.Detail
	for i, s := range c.Steps {
		if n := len(s.operations()); n != 1 {
			found = append(found, fault.Detail{
				Location: fmt.Sprintf("steps[%d]", i), Code: "bad_step",
				Message: fmt.Sprintf("a step does one thing of map, filter, sort, group, aggregate, limit and unique; this one does %d", n),
			})
		}
	}
	return found
}

func transform() node.Type {
	return node.Define(node.Spec{
		Kind: "transform", Title: "Transform", Group: node.Logic, Category: "data", Icon: "shuffle",
		Description: "Maps, filters, sorts, groups and sums up a list.",
		Instant:     true, Risk: node.RiskLow,
		Docs: `Takes a list through its steps; each expression sees ` + "`item`" + ` and ` + "`index`" + `. Answers the list.
Aggregate expressions see ` + "`items`" + ` and answer one object; after group they see each group's items and answer
` + "`{key, …}`" + ` per group.

` + "```yaml" + `
config:
  items: "{{ nodes.orders.output.body }}"
  steps:
    - filter: "{{ item.paid }}"
    - group: "{{ item.customer }}"
    - aggregate: {total: "{{ sum(items, .amount) }}", orders: "{{ len(items) }}"}
    - {sort: "{{ item.total }}", order: desc}
    - limit: 10
` + "```",
	}, runTransform)
}

func runTransform(ctx context.Context, c node.Call, cfg transformConfig) (node.Result, error) {
	items, err := itemsOf(cfg.Items, c.Input)
	if err != nil {
		return node.Result{}, err
	}
	grouped := false
	var value any = items
	for i, step := range cfg.Steps {
		if items, err = asList(fmt.Sprintf("what steps[%d] works on", i), value); err != nil {
			return node.Result{}, err
		}
		if value, err = applyStep(ctx, c, i, step, items, grouped); err != nil {
			return node.Result{}, err
		}
		grouped = step.Group != ""
	}
	return node.Output("", value), nil
}

func applyStep(ctx context.Context, c node.Call, at int, s transformStep, items []any, grouped bool) (any, error) {
	switch {
	case s.Map != "":
		return mapItems(ctx, c, s.Map, items)
	case s.Filter != "":
		return keepItems(ctx, c, fmt.Sprintf("steps[%d].filter", at), s.Filter, items)
	case s.Sort != "":
		return sortItems(ctx, c, s.Sort, s.Order == "desc", items)
	case s.Group != "":
		return groupItems(ctx, c, s.Group, items)
	case s.Unique != "":
		return uniqueItems(ctx, c, s.Unique, items)
	case s.Limit != nil:
		return items[:max(0, min(*s.Limit, len(items)))], nil
	case len(s.Aggregate) > 0 && grouped:
		return aggregateGroups(ctx, c, s.Aggregate, items)
	case len(s.Aggregate) > 0:
		return aggregate(ctx, c, s.Aggregate, map[string]any{"items": items})
	}
	return nil, fault.New(fault.Invalid, "steps[%d] does nothing: give it one of map, filter, sort, group, aggregate, limit and unique", at)
}
