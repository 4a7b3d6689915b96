package builtin

import (
	"context"
	"maps"
	"slices"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

type mergeConfig struct {
	Mode       string `json:"mode,omitempty" jsonschema:"title=Wait for,enum=all,enum=first,enum=any,default=all" jsonschema_description:"All inputs, the first one, or any N of them."`
	Count      int    `json:"count,omitempty" jsonschema:"title=How many,minimum=1" jsonschema_description:"With any: how many inputs are enough; 1 when left out."`
	Combine    string `json:"combine,omitempty" jsonschema:"title=Combine,enum=object,enum=append,enum=by_key,enum=by_position,default=object" jsonschema_description:"How what arrived becomes one value."`
	Key        string `json:"key,omitempty" jsonschema:"title=Key" jsonschema_description:"With by_key: the field that items belonging together share."`
	CancelRest bool   `json:"cancel_rest,omitempty" jsonschema:"title=Cancel the others" jsonschema_description:"With first and any: cancel what still runs only for the inputs that are not needed."`
}

// Join says when the merge may start.
func (c mergeConfig) Join() node.Join {
	switch c.Mode {
	case "first":
		return node.Join{Need: 1, CancelRest: c.CancelRest}
	case "any":
		return node.Join{Need: max(1, c.Count), CancelRest: c.CancelRest}
	}
	return node.Join{}
}

// Check finds a combination by key without one.
func (c mergeConfig) Check() []fault.Detail {
	if c.Combine == "by_key" && c.Key == "" {
		return []fault.Detail{{Location: "key", Code: "missing_key", Message: "combining by key needs the name of the field the items share"}}
	}
	return nil
}

func merge() node.Type {
	return node.Define(node.Spec{
		Kind: "merge", Title: "Merge", Group: node.Logic, Category: "branch", Icon: "git-merge",
		Description: "Brings several branches together.",
		AnyInput:    true, Instant: true, Risk: node.RiskLow,
		Docs: `Waits for its inputs and answers one value. Branches that were not taken are never waited for.

- **mode**: all, first (the one that comes first) or any (the first ` + "`count`" + `).
- **combine**: object (by source id), append (one list of everything, lists laid flat), by_key (lists of objects joined
  on a field), by_position (the first of each list together, then the second, …).

` + "```yaml" + `
config: {mode: all, combine: by_key, key: email}
` + "```",
	}, runMerge)
}

func runMerge(_ context.Context, c node.Call, cfg mergeConfig) (node.Result, error) {
	arrived := slices.Clone(c.Arrived)
	if cfg.Mode == "all" || cfg.Mode == "" {
		// The order of arrival is chance; the result of waiting for all is not.
		slices.SortStableFunc(arrived, func(a, b node.Arrival) int { return strings.Compare(a.Source, b.Source) })
	}
	switch cfg.Combine {
	case "append":
		return node.Output("", appendAll(arrived)), nil
	case "by_key":
		joined, err := joinByKey(arrived, cfg.Key)
		return node.Output("", joined), err
	case "by_position":
		zipped, err := joinByPosition(arrived)
		return node.Output("", zipped), err
	}
	object := make(map[string]any, len(arrived))
	for _, a := range arrived {
		object[a.Source] = a.Value
	}
	return node.Output("", object), nil
}

func appendAll(arrived []node.Arrival) []any {
	all := []any{}
	for _, a := range arrived {
		if list, ok := a.Value.([]any); ok {
			all = append(all, list...)
		} else {
			all = append(all, a.Value)
		}
	}
	return all
}

func joinByKey(arrived []node.Arrival, key string) ([]any, error) {
	joined := []any{}
	at := map[string]map[string]any{}
	for _, a := range arrived {
		list, err := asList("what came from "+a.Source, a.Value)
		if err != nil {
			return nil, err
		}
		for i, item := range list {
			object, ok := item.(map[string]any)
			if !ok {
				return nil, fault.New(fault.Invalid, "item %d from %s must be an object to be joined by key, but it is %s", i, a.Source, describe(item))
			}
			value, has := object[key]
			if !has {
				return nil, fault.New(fault.Invalid, "item %d from %s has no field %q to be joined by", i, a.Source, key)
			}
			if row := at[keyText(value)]; row != nil {
				maps.Copy(row, object)
				continue
			}
			row := maps.Clone(object)
			at[keyText(value)] = row
			joined = append(joined, row)
		}
	}
	return joined, nil
}

// joinByPosition merges objects at the same position; values that are not all
// objects are put in a list, with null where an input is shorter.
func joinByPosition(arrived []node.Arrival) ([]any, error) {
	lists := make([][]any, len(arrived))
	length := 0
	for i, a := range arrived {
		list, err := asList("what came from "+a.Source, a.Value)
		if err != nil {
			return nil, err
		}
		lists[i] = list
		length = max(length, len(list))
	}
	rows := make([]any, length)
	for p := range rows {
		merged, objects := map[string]any{}, true
		values := make([]any, len(lists))
		for i, list := range lists {
			if p >= len(list) {
				continue
			}
			values[i] = list[p]
			if object, ok := list[p].(map[string]any); ok {
				maps.Copy(merged, object)
			} else {
				objects = false
			}
		}
		if objects {
			rows[p] = merged
		} else {
			rows[p] = values
		}
	}
	return rows, nil
}
