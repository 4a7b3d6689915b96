package anthropic

import (
	"encoding/json"
	"slices"

	sdk "github.com/anthropics/anthropic-sdk-go"
)

// format holds the answer to a schema where the model and the API can. A
// schema that says more than the API enforces is left to the caller, who
// validates anyway: with it, the request would be refused.
func format(t traits, schema json.RawMessage) sdk.JSONOutputFormatParam {
	var parsed map[string]any
	if !t.constrained || json.Unmarshal(schema, &parsed) != nil || parsed["type"] != "object" || !enforceable(parsed, 0) {
		return sdk.JSONOutputFormatParam{}
	}
	return sdk.JSONOutputFormatParam{Schema: parsed}
}

// enforceable reports whether the API can hold an answer to the schema: closed
// objects, no recursion, no bounds on numbers, texts or lists.
func enforceable(schema map[string]any, depth int) bool {
	const deepest = 10
	if depth > deepest || schema["type"] == nil && schema["enum"] == nil && schema["const"] == nil && schema["anyOf"] == nil {
		return false
	}
	if schema["type"] == "object" && schema["additionalProperties"] != false {
		return false
	}
	for keyword, value := range schema {
		switch keyword {
		case "type", "title", "description", "enum", "const", "required", "additionalProperties", "$schema":
		case "items":
			if one, ok := value.(map[string]any); !ok || !enforceable(one, depth+1) {
				return false
			}
		case "properties":
			named, ok := value.(map[string]any)
			if !ok {
				return false
			}
			for _, one := range named {
				if s, ok := one.(map[string]any); !ok || !enforceable(s, depth+1) {
					return false
				}
			}
		case "anyOf":
			list, ok := value.([]any)
			if !ok || slices.ContainsFunc(list, func(one any) bool {
				s, ok := one.(map[string]any)
				return !ok || !enforceable(s, depth+1)
			}) {
				return false
			}
		default:
			return false
		}
	}
	return true
}
