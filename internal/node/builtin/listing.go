package builtin

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"agentstudio/internal/node"
)

func mapItems(ctx context.Context, c node.Call, e node.Expression, items []any) ([]any, error) {
	out := make([]any, len(items))
	for i, item := range items {
		v, err := c.Eval(ctx, e, itemNames(item, i))
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// sortItems is stable, so equal keys keep their order in both directions.
func sortItems(ctx context.Context, c node.Call, e node.Expression, descending bool, items []any) ([]any, error) {
	keys, err := mapItems(ctx, c, e, items)
	if err != nil {
		return nil, err
	}
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if descending {
			a, b = b, a
		}
		return compare(keys[a], keys[b])
	})
	out := make([]any, len(items))
	for i, from := range order {
		out[i] = items[from]
	}
	return out, nil
}

func groupItems(ctx context.Context, c node.Call, e node.Expression, items []any) ([]any, error) {
	keys, err := mapItems(ctx, c, e, items)
	if err != nil {
		return nil, err
	}
	var order []string
	groups := map[string][]any{}
	values := map[string]any{}
	for i, item := range items {
		id := keyText(keys[i])
		if _, seen := groups[id]; !seen {
			order = append(order, id)
			values[id] = keys[i]
		}
		groups[id] = append(groups[id], item)
	}
	out := make([]any, len(order))
	for i, id := range order {
		out[i] = map[string]any{"key": values[id], "items": groups[id]}
	}
	return out, nil
}

func uniqueItems(ctx context.Context, c node.Call, e node.Expression, items []any) ([]any, error) {
	keys, err := mapItems(ctx, c, e, items)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(items))
	out := make([]any, 0, len(items))
	for i, item := range items {
		if id := keyText(keys[i]); !seen[id] {
			seen[id] = true
			out = append(out, item)
		}
	}
	return out, nil
}

func aggregate(ctx context.Context, c node.Call, named map[string]node.Expression, names map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(named)+1)
	for name, e := range named {
		v, err := c.Eval(ctx, e, names)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

func aggregateGroups(ctx context.Context, c node.Call, named map[string]node.Expression, groups []any) ([]any, error) {
	out := make([]any, len(groups))
	for i, g := range groups {
		group := g.(map[string]any) // made by groupItems
		sums, err := aggregate(ctx, c, named, map[string]any{"items": group["items"], "item": group, "index": i})
		if err != nil {
			return nil, err
		}
		if _, taken := sums["key"]; !taken {
			sums["key"] = group["key"]
		}
		out[i] = sums
	}
	return out, nil
}

// keyText tells values apart: 1 and 1.0 are the same key, 1 and "1" are not.
func keyText(v any) string {
	if n, ok := number(v); ok {
		return textOf(n)
	}
	if s, ok := v.(string); ok {
		return `"` + s
	}
	return textOf(v)
}

// compare orders JSON values: null, booleans, numbers, texts, then the rest by
// their JSON.
func compare(a, b any) int {
	if byType := cmp.Compare(rank(a), rank(b)); byType != 0 {
		return byType
	}
	switch x := a.(type) {
	case bool:
		y, _ := b.(bool)
		return cmp.Compare(bit(x), bit(y))
	case string:
		y, _ := b.(string)
		return strings.Compare(x, y)
	}
	if x, ok := number(a); ok {
		y, _ := number(b)
		return cmp.Compare(x, y)
	}
	return strings.Compare(textOf(a), textOf(b))
}

func rank(v any) int {
	switch v.(type) {
	case nil:
		return 0
	case bool:
		return 1
	case string:
		return 3
	}
	if _, ok := number(v); ok {
		return 2
	}
	return 4
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
