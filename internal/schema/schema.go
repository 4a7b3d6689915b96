// Package schema validates JSON values against JSON Schemas and words what is
// wrong for people.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Schema is a compiled JSON Schema, safe for concurrent use.
type Schema struct{ compiled *jsonschema.Schema }

// Fault is one thing wrong with a value.
type Fault struct {
	Path    string   // "body.items[2]"; "" is the value itself
	Steps   []string // the same place, key by key
	Message string
}

// Cache compiles each schema text once. The zero Cache is ready.
type Cache struct {
	mu       sync.Mutex
	compiled map[string]*Schema
}

// maxCached bounds a Cache; over it the cache starts anew.
const maxCached = 2_000

// Compile returns the compiled form of a schema text.
func (c *Cache) Compile(text json.RawMessage) (*Schema, error) {
	c.mu.Lock()
	known := c.compiled[string(text)]
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	s, err := Compile(text)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.compiled == nil || len(c.compiled) >= maxCached {
		c.compiled = map[string]*Schema{}
	}
	c.compiled[string(text)] = s
	return s, nil
}

// Compile reads a schema. It never fetches anything: references to other
// documents are errors.
func Compile(text json.RawMessage) (*Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("the schema is not JSON: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	const url = "studio:///schema.json" // absolute, or errors name the working directory
	if err := compiler.AddResource(url, doc); err != nil {
		return nil, fmt.Errorf("the schema cannot be read: %w", err)
	}
	compiled, err := compiler.Compile(url)
	if err != nil {
		var invalid *jsonschema.SchemaValidationError
		var cause *jsonschema.ValidationError
		if errors.As(err, &invalid) && errors.As(invalid.Err, &cause) {
			var found []Fault
			collect(cause, &found)
			if len(found) > 0 {
				return nil, fmt.Errorf("%s: %s", orSchema(found[0].Path), found[0].Message)
			}
		}
		return nil, fmt.Errorf("the schema is not valid: %w", err)
	}
	return &Schema{compiled: compiled}, nil
}

func orSchema(path string) string {
	if path == "" {
		return "the schema"
	}
	return path
}

type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("the schema refers to %s, which is never fetched", url)
}

// Validate returns everything wrong with a decoded JSON value, in the order
// of the schema; nil when it fits.
func (s *Schema) Validate(v any) []Fault {
	err := s.compiled.Validate(v)
	if err == nil {
		return nil
	}
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return []Fault{{Message: err.Error()}}
	}
	var out []Fault
	collect(ve, &out)
	return out
}

func collect(ve *jsonschema.ValidationError, out *[]Fault) {
	if len(ve.Causes) > 0 {
		for _, cause := range ve.Causes {
			collect(cause, out)
		}
		return
	}
	if extra, ok := ve.ErrorKind.(*kind.AdditionalProperties); ok {
		for _, name := range extra.Properties {
			steps := append(slices.Clone(ve.InstanceLocation), name)
			*out = append(*out, Fault{Path: pathOf(steps), Steps: steps, Message: fmt.Sprintf("there is no field %q here", name)})
		}
		return
	}
	if missing, ok := ve.ErrorKind.(*kind.Required); ok {
		for _, name := range missing.Missing {
			steps := append(slices.Clone(ve.InstanceLocation), name)
			*out = append(*out, Fault{Path: pathOf(steps), Steps: steps, Message: fmt.Sprintf("the field %q is required", name)})
		}
		return
	}
	*out = append(*out, Fault{Path: pathOf(ve.InstanceLocation), Steps: ve.InstanceLocation, Message: inWords(ve.ErrorKind)})
}

func pathOf(steps []string) string {
	var b strings.Builder
	for _, step := range steps {
		if step != "" && strings.Trim(step, "0123456789") == "" {
			b.WriteString("[" + step + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(step)
	}
	return b.String()
}
