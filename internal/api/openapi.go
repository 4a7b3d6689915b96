package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/goccy/go-yaml"
)

// document is the description of the API in its two spellings.
type document struct {
	json, yaml []byte
}

// OpenAPI returns the OpenAPI 3.1 document as JSON. It needs no services.
func (s *Server) OpenAPI() ([]byte, error) {
	d, err := s.document()
	if err != nil {
		return nil, err
	}
	return d.json, nil
}

// describe writes the document down, with the workflow format in place of the
// free-form objects that the codec checks.
func (s *Server) describe() (*document, error) {
	text, err := json.Marshal(s.api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	components, _ := doc["components"].(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	delete(schemas, "ErrorModel")
	delete(schemas, "ErrorDetail")
	if err := s.addDefinition(doc, schemas); err != nil {
		return nil, err
	}
	out := &document{}
	if out.json, err = json.MarshalIndent(doc, "", "  "); err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	if out.yaml, err = yaml.JSONToYAML(out.json); err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	return out, nil
}

// addDefinition adds the schema of workflow definitions, with references into
// this document.
func (s *Server) addDefinition(doc any, schemas map[string]any) error {
	text := strings.ReplaceAll(string(s.Codec.Schema()), `"#/$defs/`, `"#/components/schemas/Definition`)
	var definition map[string]any
	if err := json.Unmarshal([]byte(text), &definition); err != nil {
		return fmt.Errorf("describe workflows: %w", err)
	}
	parts, _ := definition["$defs"].(map[string]any)
	for name, part := range parts {
		schemas["Definition"+name] = part
	}
	delete(definition, "$defs")
	delete(definition, "$schema")
	delete(definition, "$id")
	schemas["WorkflowDefinition"] = definition
	tellDefinitions(doc, definition)
	return nil
}

// tellDefinitions writes the format out wherever a body is marked as one.
func tellDefinitions(v any, definition map[string]any) {
	switch x := v.(type) {
	case map[string]any:
		if what := x[definitionKey]; what != nil {
			clear(x)
			maps.Copy(x, variant(definition, what))
			return
		}
		for _, inner := range x {
			tellDefinitions(inner, definition)
		}
	case []any:
		for _, inner := range x {
			tellDefinitions(inner, definition)
		}
	}
}

// variant is the definition's schema as a body takes it: whole, new (with a
// workspace) or in part.
func variant(definition map[string]any, what any) map[string]any {
	out, properties := maps.Clone(definition), map[string]any{}
	if p, ok := definition["properties"].(map[string]any); ok {
		properties = maps.Clone(p)
	}
	out["properties"] = properties
	switch what {
	case "new":
		properties["workspace_id"] = map[string]any{"type": "string", "format": "uuid", "description": "Left out: the personal workspace"}
	case "part":
		properties["message"] = map[string]any{"type": "string", "maxLength": 1000, "description": "Why, for the list of versions"}
		delete(out, "required")
	}
	return out
}
