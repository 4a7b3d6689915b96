package builtin

import (
	"encoding/json"
	"fmt"

	"agentstudio/internal/fault"
)

// itemsOf returns the list a node works on: the configured one, or what
// arrived when none is configured: a list, or the items of a node that
// answers {items}.
func itemsOf(configured, input any) ([]any, error) {
	if configured != nil {
		return asList("items", configured)
	}
	if object, ok := input.(map[string]any); ok {
		if list, ok := object["items"].([]any); ok {
			return list, nil
		}
	}
	return asList("the input, used because items is empty,", input)
}

func asList(what string, v any) ([]any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fault.New(fault.Invalid, "%s must be a list, but it is %s", what, describe(v))
	}
	return list, nil
}

func itemNames(item any, index int) map[string]any {
	return map[string]any{"item": item, "index": index}
}

// describe says what a JSON value is, in words for a person.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprintf("the boolean %t", v)
	case string:
		return fmt.Sprintf("the text %q", shorten(v))
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	case map[string]any:
		return "an object"
	}
	return fmt.Sprintf("the number %v", v)
}

func shorten(s string) string {
	const limit = 60
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return s
}

// textOf writes a value as text: strings as they are, the rest as JSON.
func textOf(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// number reads any Go number that an evaluated expression or decoded JSON holds.
func number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case float32:
		return float64(n), true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case int32:
		return float64(n), true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	}
	return 0, false
}
