package scripted

import (
	"encoding/json"
	"maps"
	"slices"
)

// shape is the part of a JSON Schema that a sample is made from.
type shape struct {
	Type       any               `json:"type"`
	Properties map[string]*shape `json:"properties"`
	Required   []string          `json:"required"`
	Items      *shape            `json:"items"`
	Enum       []any             `json:"enum"`
	Const      any               `json:"const"`
	Default    any               `json:"default"`
	Examples   []any             `json:"examples"`
	Minimum    *float64          `json:"minimum"`
	MinItems   int               `json:"minItems"`
	MinLength  int               `json:"minLength"`
	Format     string            `json:"format"`
	AnyOf      []*shape          `json:"anyOf"`
	OneOf      []*shape          `json:"oneOf"`
}

// maxDepth bounds a sample.
const maxDepth = 12

// sample makes a value of the schema, from its examples, defaults and enums
// where it has some.
func sample(text json.RawMessage) any {
	var s shape
	if json.Unmarshal(text, &s) != nil {
		return nil
	}
	return s.value(0)
}

func (s *shape) value(depth int) any {
	switch {
	case s == nil || depth > maxDepth:
		return nil
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Default != nil:
		return s.Default
	case s.Const != nil:
		return s.Const
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.AnyOf) > 0:
		return s.AnyOf[0].value(depth + 1)
	case len(s.OneOf) > 0:
		return s.OneOf[0].value(depth + 1)
	}
	return s.plain(depth)
}

func (s *shape) plain(depth int) any {
	switch s.kind() {
	case "object":
		out := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			out[name] = s.Properties[name].value(depth + 1)
		}
		return out
	case "array":
		out := []any{}
		for range max(s.MinItems, 1) {
			if s.Items != nil && len(out) < 100 {
				out = append(out, s.Items.value(depth+1))
			}
		}
		return out
	case "integer", "number":
		if s.Minimum != nil {
			return *s.Minimum
		}
		return 0
	case "boolean":
		return false
	case "string":
		return s.text()
	}
	return nil
}

func (s *shape) text() string {
	switch s.Format {
	case "date":
		return "2026-01-01"
	case "date-time":
		return "2026-01-01T00:00:00Z"
	case "email":
		return "demo@example.org"
	case "uri":
		return "https://example.org/"
	}
	text := "demo"
	for len(text) < s.MinLength {
		text += " demo"
	}
	return text
}

func (s *shape) kind() string {
	switch t := s.Type.(type) {
	case string:
		return t
	case []any:
		if len(t) > 0 {
			first, _ := t[0].(string)
			return first
		}
	}
	if s.Properties != nil {
		return "object"
	}
	return ""
}
