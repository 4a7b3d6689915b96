package workflow

import (
	"reflect"
	"strconv"
	"strings"

	"agentstudio/internal/expr"
	"agentstudio/internal/node"
)

// fieldMap tells how each string of a kind's config is read, by its path
// without list positions.
type fieldMap struct {
	how         map[string]expr.Field
	expressions map[string]bool
	agents      []string // top-level fields that name saved agents
}

var expressionType = reflect.TypeFor[node.Expression]()

// fieldsOf reads a config struct's tags.
func fieldsOf(t reflect.Type) fieldMap {
	m := fieldMap{how: map[string]expr.Field{}, expressions: map[string]bool{}}
	m.read(t, "", 0)
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); strings.Contains(f.Tag.Get("jsonschema_extras"), "agent=true") {
			m.agents = append(m.agents, name)
		}
	}
	return m
}

func (m fieldMap) read(t reflect.Type, path string, depth int) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if depth > 8 {
		return
	}
	if t == expressionType {
		m.how[path], m.expressions[path] = expr.Untouched, true
		return
	}
	if t.Kind() == reflect.Map && t.Elem() == expressionType {
		m.how[path+".*"], m.expressions[path+".*"] = expr.Untouched, true
		return
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" && f.Anonymous {
			m.read(f.Type, path, depth+1)
			continue
		}
		if name == "" {
			name = f.Name
		}
		here := name
		if path != "" {
			here = path + "." + name
		}
		extras := f.Tag.Get("jsonschema_extras")
		if strings.Contains(extras, "secret=true") {
			m.how[here] = expr.WithSecret
		}
		if strings.Contains(extras, "literal=true") {
			m.how[here] = expr.Untouched
		}
		m.read(f.Type, here, depth+1)
	}
}

// field returns how the string at the path is read: the nearest marked
// ancestor decides.
func (m fieldMap) field(path string) expr.Field {
	for p := path; ; {
		if f, ok := m.how[p]; ok {
			return f
		}
		if dot := strings.LastIndexByte(p, '.'); dot >= 0 {
			if f, ok := m.how[p[:dot]+".*"]; ok {
				return f
			}
			p = p[:dot]
			continue
		}
		return expr.Templated
	}
}

// each calls visit with every Expression text of a raw config.
func (m fieldMap) each(v any, path, shape string, visit func(path, text string)) {
	switch x := v.(type) {
	case string:
		if m.isExpression(shape) && x != "" {
			visit(path, x)
		}
	case map[string]any:
		for k, child := range x {
			m.each(child, joinPath(path, k), joinPath(shape, k), visit)
		}
	case []any:
		for i, child := range x {
			m.each(child, indexPath(path, i), shape, visit)
		}
	}
}

func (m fieldMap) isExpression(shape string) bool {
	if m.expressions[shape] {
		return true
	}
	dot := strings.LastIndexByte(shape, '.')
	return dot >= 0 && m.expressions[shape[:dot]+".*"]
}

func joinPath(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

func indexPath(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
