package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/schema"

	"github.com/goccy/go-yaml"
	"github.com/invopop/jsonschema"
)

// Codec reads and writes definitions. It is safe for concurrent use.
type Codec struct {
	schema json.RawMessage
	rules  *schema.Schema
}

// NewCodec returns a codec. It panics when the Go types cannot be described: a
// programmer's error.
func NewCodec() *Codec {
	reflector := jsonschema.Reflector{Anonymous: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true}
	s := reflector.Reflect(&Definition{})
	s.Title = "Agent Studio workflow"
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("describe workflow definition: " + err.Error())
	}
	rules, err := schema.Compile(text)
	if err != nil {
		panic("compile workflow schema: " + err.Error())
	}
	return &Codec{schema: text, rules: rules}
}

// Schema returns the JSON Schema of a definition.
func (c *Codec) Schema() json.RawMessage { return c.schema }

// Decode reads a definition written as JSON or YAML: text that starts with a
// brace is JSON. Unknown fields and wrong types are faults of kind Invalid with
// one detail each; text that cannot be read at all is Malformed.
func (c *Codec) Decode(text []byte) (*Definition, error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	if len(text) == 0 {
		return nil, fault.New(fault.Malformed, "the file is empty: a workflow is JSON or YAML with name, nodes and connections")
	}
	if text[0] != '{' {
		converted, err := fromYAML(text)
		if err != nil {
			return nil, err
		}
		text = converted
	}
	return c.decodeJSON(text)
}

func (c *Codec) decodeJSON(text []byte) (*Definition, error) {
	var raw any
	if err := json.Unmarshal(text, &raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fault.New(fault.Malformed, "the JSON cannot be read at byte %d: %s", syntax.Offset, syntax)
		}
		return nil, fault.New(fault.Malformed, "the JSON cannot be read: %s", err)
	}
	if object, ok := raw.(map[string]any); ok {
		delete(object, "$schema")
	}
	if faults := c.rules.Validate(raw); len(faults) > 0 {
		details := make([]fault.Detail, 0, len(faults))
		for _, f := range faults {
			details = append(details, fault.Detail{Location: f.Path, Code: "bad_field", Message: f.Message})
		}
		return nil, fault.InvalidInput(details...)
	}
	text, err := json.Marshal(raw)
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "the workflow cannot be written as JSON")
	}
	var d Definition
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the workflow does not fit its format: %s", err)
	}
	d.Normalise()
	return &d, nil
}

// EncodeYAML writes a definition for people and Git.
func (c *Codec) EncodeYAML(d *Definition) ([]byte, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the workflow cannot be written")
	}
	return yaml.JSONToYAML(text)
}

// EncodeJSON writes a definition, indented.
func (c *Codec) EncodeJSON(d *Definition) ([]byte, error) {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the workflow cannot be written")
	}
	return append(text, '\n'), nil
}

// Normalise trims the name and makes tags lower-case, trimmed and unique, in
// their order; missing lists become empty ones.
func (d *Definition) Normalise() {
	d.Name = strings.TrimSpace(d.Name)
	d.Tags = NormaliseTags(d.Tags)
	if d.Nodes == nil {
		d.Nodes = []Node{}
	}
	if d.Connections == nil {
		d.Connections = []Connection{}
	}
}

// NormaliseTags trims and lower-cases tags and drops empty and repeated ones.
func NormaliseTags(tags []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, t := range tags {
		t = strings.ToLower(strings.TrimSpace(t))
		if t != "" && !seen[t] {
			seen[t] = true
			out = append(out, t)
		}
	}
	return out
}

func firstLines(s string, n int) string {
	lines := strings.SplitN(strings.TrimSpace(s), "\n", n+1)
	if len(lines) > n {
		lines = lines[:n]
	}
	return strings.Join(lines, "\n")
}
