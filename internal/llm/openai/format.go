package openai

import (
	"encoding/json"
	"slices"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/shared"
)

// format asks for an answer of the schema where the schema is one that servers
// can hold a model to; otherwise it asks for nothing, since looser modes
// promise less than the instructions already say.
func format(text json.RawMessage) sdk.ChatCompletionNewParamsResponseFormatUnion {
	schema, err := parsed(text)
	if err != nil {
		return sdk.ChatCompletionNewParamsResponseFormatUnion{}
	}
	delete(schema, "$schema")
	delete(schema, "$id")
	if schema["type"] != "object" || !strict(schema, 0) {
		return sdk.ChatCompletionNewParamsResponseFormatUnion{}
	}
	asked := &shared.ResponseFormatJSONSchemaParam{}
	asked.JSONSchema.Name = "answer"
	asked.JSONSchema.Strict = sdk.Bool(true)
	asked.JSONSchema.Schema = schema
	return sdk.ChatCompletionNewParamsResponseFormatUnion{OfJSONSchema: asked}
}

// strictDepth is how deep objects may be nested.
const strictDepth = 10

// strict reports whether a schema is in the part of JSON Schema that OpenAI
// enforces: every object closed, every property required, no keyword it does
// not know.
func strict(schema map[string]any, depth int) bool {
	if depth > strictDepth {
		return false
	}
	for keyword, value := range schema {
		if !strictKeyword(keyword, value, depth) {
			return false
		}
	}
	_, hasProperties := schema["properties"]
	if schema["type"] == "object" || hasProperties {
		return closed(schema)
	}
	return true
}

func strictKeyword(keyword string, value any, depth int) bool {
	switch keyword {
	case "type", "required", "additionalProperties", "title", "description", "enum", "const", "$ref",
		"pattern", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems":
		return true
	case "format":
		word, _ := value.(string)
		return slices.Contains([]string{"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}, word)
	case "items":
		sub, ok := value.(map[string]any)
		return ok && strict(sub, depth+1)
	case "anyOf":
		list, ok := value.([]any)
		return ok && depth > 0 && !slices.ContainsFunc(list, func(v any) bool {
			sub, ok := v.(map[string]any)
			return !ok || !strict(sub, depth+1)
		})
	case "properties", "$defs", "definitions":
		named, ok := value.(map[string]any)
		for _, v := range named {
			sub, is := v.(map[string]any)
			ok = ok && is && strict(sub, depth+1)
		}
		return ok
	}
	return false
}

// closed reports whether an object has exactly its properties.
func closed(schema map[string]any) bool {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	if schema["additionalProperties"] != false || len(required) != len(properties) {
		return false
	}
	for name := range properties {
		if !slices.Contains(required, any(name)) {
			return false
		}
	}
	return true
}
