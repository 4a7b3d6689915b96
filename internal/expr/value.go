package expr

import (
	"fmt"
	"sort"

	"agentstudio/internal/fault"
)

// Value is a JSON value whose strings may be templates, compiled. It is
// immutable and safe for concurrent use.
type Value struct {
	constant any // when nothing below it is a template
	template *Template
	path     string // of the template, for its failures
	object   map[string]*Value
	list     []*Value
	refs     Refs
}

// Problem is a fault at a place inside a value.
type Problem struct {
	Path string // "body.items[2]"; "" is the value itself
	Err  error
}

// Field tells how the strings at a path are to be read.
type Field int

// The ways to read a string.
const (
	Templated  Field = iota // its {{ }} are evaluated
	Untouched               // kept as it is: the kind evaluates it itself
	WithSecret              // like Templated, and may name secrets
)

// CompileValue compiles every template in v. field says how the strings at a
// path are read; list positions are left out of that path ("cases.condition").
// All problems found are returned; the Value is nil when there are any.
func CompileValue(v any, names Names, field func(path string) Field) (*Value, []Problem) {
	c := &valueCompiler{names: names, field: field}
	out := c.compile(v, "", "")
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return out, nil
}

type valueCompiler struct {
	names    Names
	field    func(string) Field
	problems []Problem
}

func (c *valueCompiler) compile(v any, path, shape string) *Value {
	switch x := v.(type) {
	case string:
		return c.compileString(x, path, shape)
	case map[string]any:
		out := &Value{object: make(map[string]*Value, len(x))}
		constant := true
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			child := c.compile(x[k], join(path, k), join(shape, k))
			out.object[k] = child
			out.refs.Merge(child.refs)
			constant = constant && child.isConstant()
		}
		if constant {
			return &Value{constant: v}
		}
		return out
	case []any:
		out := &Value{list: make([]*Value, len(x))}
		constant := true
		for i := range x {
			out.list[i] = c.compile(x[i], fmt.Sprintf("%s[%d]", path, i), shape)
			out.refs.Merge(out.list[i].refs)
			constant = constant && out.list[i].isConstant()
		}
		if constant {
			return &Value{constant: v}
		}
		return out
	}
	return &Value{constant: v}
}

func (c *valueCompiler) compileString(s, path, shape string) *Value {
	how := c.field(shape)
	if how == Untouched || !IsTemplate(s) {
		return &Value{constant: s}
	}
	names := c.names
	names.Secrets = how == WithSecret
	t, err := Parse(s, names)
	if err != nil {
		c.problems = append(c.problems, Problem{Path: path, Err: err})
		return &Value{constant: s}
	}
	return &Value{template: t, path: path, refs: t.refs}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (v *Value) isConstant() bool { return v.template == nil && v.object == nil && v.list == nil }

// Static reports whether evaluating needs no names.
func (v *Value) Static() bool { return v.isConstant() }

// Refs returns which names the templates read.
func (v *Value) Refs() Refs { return v.refs }

// Eval returns the value with every template evaluated. Parts without
// templates are shared, not copied: the caller may not change the result.
// The error names the path of the field that failed.
func (v *Value) Eval(env Env) (any, error) {
	switch {
	case v.template != nil:
		out, err := v.template.Eval(env)
		if err != nil {
			return nil, at(v.path, err)
		}
		return out, nil
	case v.object != nil:
		out := make(map[string]any, len(v.object))
		for k, child := range v.object {
			if child.isConstant() {
				out[k] = child.constant
				continue
			}
			value, err := child.Eval(env)
			if err != nil {
				return nil, err
			}
			out[k] = value
		}
		return out, nil
	case v.list != nil:
		out := make([]any, len(v.list))
		for i, child := range v.list {
			value, err := child.Eval(env)
			if err != nil {
				return nil, err
			}
			out[i] = value
		}
		return out, nil
	}
	return v.constant, nil
}

func at(path string, err error) error {
	if f := fault.As(err); f != nil && path != "" {
		copied := *f
		copied.Message = path + ": " + f.Message
		return &copied
	}
	return err
}
