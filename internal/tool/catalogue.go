package tool

import (
	"encoding/json"

	"agentstudio/internal/fault"
	"agentstudio/internal/schema"
)

// Catalogue is the tools in use. It is immutable and safe for concurrent use.
type Catalogue struct {
	list   []Tool
	byName map[string]int
	rules  []*schema.Schema
}

// NewCatalogue returns the catalogue, in the order given. It panics when two
// tools share a name or a schema cannot be compiled: programmers' errors.
func NewCatalogue(tools ...Tool) *Catalogue {
	c := &Catalogue{list: tools, byName: make(map[string]int, len(tools)), rules: make([]*schema.Schema, len(tools))}
	for i, t := range tools {
		if _, twice := c.byName[t.Name]; twice {
			panic("tool listed twice: " + t.Name)
		}
		c.byName[t.Name] = i
		rules, err := schema.Compile(t.Schema)
		if err != nil {
			panic("tool " + t.Name + ": " + err.Error())
		}
		c.rules[i] = rules
	}
	return c
}

// All returns every tool in order. The caller may not change the slice.
func (c *Catalogue) All() []Tool { return c.list }

// Names returns the names in order.
func (c *Catalogue) Names() []string {
	names := make([]string, len(c.list))
	for i, t := range c.list {
		names[i] = t.Name
	}
	return names
}

// Find returns a tool; NotFound names the nearest one there is.
func (c *Catalogue) Find(name string) (Tool, error) {
	if i, ok := c.byName[name]; ok {
		return c.list[i], nil
	}
	return Tool{}, fault.New(fault.NotFound, "there is no tool %q%s", name, fault.DidYouMean(name, c.Names()))
}

// Validate checks arguments against the tool's schema: Invalid with every
// fault, or Malformed when they are no JSON.
func (c *Catalogue) Validate(name string, args json.RawMessage) error {
	i, ok := c.byName[name]
	if !ok {
		_, err := c.Find(name)
		return err
	}
	return fits(c.rules[i], name, args)
}

func fits(rules *schema.Schema, name string, args json.RawMessage) error {
	var v any
	if err := json.Unmarshal(args, &v); err != nil {
		return fault.Wrap(fault.Malformed, err, "the arguments of %s are not JSON: %s", name, err)
	}
	var found []fault.Detail
	for _, f := range rules.Validate(v) {
		found = append(found, fault.Detail{Location: f.Path, Message: f.Message})
	}
	if found != nil {
		return fault.InvalidInput(found...)
	}
	return nil
}

// Faults returns what of the arguments breaks the schema of a tool; nothing for
// tools that are not there.
func (c *Catalogue) Faults(name string, args map[string]any) []schema.Fault {
	if i, ok := c.byName[name]; ok {
		return c.rules[i].Validate(args)
	}
	return nil
}
