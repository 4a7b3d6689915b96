package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxDepth bounds the values that are made from recursive schemas.
const maxDepth = 8

// maker makes values that fit a schema, or do not.
type maker struct {
	rng    *rand.Rand
	doc    map[string]any
	broken bool // the request in hand shall be wrong somewhere
	known  func(noun string) string
}

func (m *maker) pick(words ...string) string { return words[m.rng.IntN(len(words))] }

// word is a text that somebody may have thought of, or nobody.
func (m *maker) word() string {
	return m.pick("", "a", "b", "c", "hello", "Ärger", "日本", " ", "null", "true", "-1", "0", "99999999999999999999", "1e999", "NaN", "../../etc/passwd", "%00", "\x00",
		"a\u0000b", "' OR 1=1 --", "<script>", "{{ trigger.x }}", "{{ 1/0 }}", "{{ nodes.a.output }}", "{{", "${x}", "%zz", "\xff\xfe", "\u202e", strings.Repeat("x", 300),
		strings.Repeat("é", 5000), "2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "a@example.com")
}

// text is a parameter's value.
func (m *maker) text(name, path string, schema map[string]any) string {
	if m.broken && m.rng.IntN(3) == 0 {
		return m.word()
	}
	v := m.value(name, path, schema, 0)
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		return m.word()
	}
	return strings.Trim(string(text), `[]"`)
}

// body is a request's body as bytes.
func (m *maker) body(path string, schema map[string]any) []byte {
	if m.broken {
		switch m.rng.IntN(12) {
		case 0:
			return []byte(m.pick("", "null", "[]", "{", `"x"`, "5", "{}", "\xff", "{\"a\":\"\xff\"}", `{"a":1e999}`, `{"a":1}{`, "\x00", `{"name":"\ud800"}`))
		case 1:
			return []byte(strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000))
		case 2:
			return []byte(strings.Repeat("[", 100_000))
		case 3:
			return append([]byte(`{"name":"`), append(bytes.Repeat([]byte("x"), 11<<20), `"}`...)...)
		}
	}
	v := m.value("", path, schema, 0)
	if object, ok := v.(map[string]any); ok {
		if _, waits := object["wait"].(float64); waits {
			object["wait"] = 0.01 // the run shall end
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return []byte("{}")
	}
	return text
}

// value makes a value for a schema. A request that shall be broken gets
// something else here and there.
func (m *maker) value(name, path string, schema map[string]any, depth int) any {
	schema = m.resolve(schema)
	if m.broken && m.rng.IntN(8) == 0 {
		return m.junk(depth)
	}
	if options, ok := schema["enum"].([]any); ok && len(options) > 0 {
		return options[m.rng.IntN(len(options))]
	}
	switch kindOf(schema) {
	case "object":
		return m.object(path, schema, depth)
	case "array":
		return m.array(name, path, schema, depth)
	case "integer":
		return math.Floor(m.number(schema))
	case "number":
		return m.number(schema)
	case "boolean":
		return m.rng.IntN(2) == 0
	case "string":
		return m.string(name, path, schema)
	}
	return m.junk(depth)
}

func (m *maker) resolve(schema map[string]any) map[string]any {
	for range maxDepth {
		ref, ok := schema["$ref"].(string)
		if !ok {
			break
		}
		var at any = m.doc
		for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			object, _ := at.(map[string]any)
			at = object[step]
		}
		schema, _ = at.(map[string]any)
	}
	return schema
}

func kindOf(schema map[string]any) string {
	switch t := schema["type"].(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if s, ok := one.(string); ok && s != "null" {
				return s
			}
		}
	}
	return ""
}

func (m *maker) object(path string, schema map[string]any, depth int) any {
	out := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		needed := slices.Contains(required, any(name))
		if !needed && (depth > maxDepth || m.rng.IntN(2) == 0) || needed && m.broken && m.rng.IntN(12) == 0 {
			continue
		}
		property, _ := properties[name].(map[string]any)
		out[name] = m.value(name, path, property, depth+1)
	}
	if free := schema["additionalProperties"]; free != nil && free != false || m.broken && m.rng.IntN(8) == 0 {
		for range m.rng.IntN(3) {
			out[m.pick("values", "condition", "items", "seconds", "path", "input", "text", "a", "message", m.word())] = m.junk(depth + 1)
		}
	}
	return out
}

func (m *maker) array(name, path string, schema map[string]any, depth int) any {
	items, _ := schema["items"].(map[string]any)
	out := []any{}
	if depth > maxDepth {
		return out
	}
	for range m.rng.IntN(4) {
		out = append(out, m.value(name, path, items, depth+1))
	}
	return out
}

func (m *maker) number(schema map[string]any) float64 {
	low, hasLow := schema["minimum"].(float64)
	high, hasHigh := schema["maximum"].(float64)
	if !hasLow {
		low = 0
	}
	if !hasHigh || high > low+100 {
		high = low + 100
	}
	return math.Round(low + m.rng.Float64()*(high-low))
}

// string fits what the name and the format promise.
func (m *maker) string(name, path string, schema map[string]any) string {
	switch name {
	case "email":
		return m.pick("a", "b", "c") + strconv.Itoa(m.rng.IntN(30)) + "@example.com"
	case "kind":
		return m.pick("manual-trigger", "webhook-trigger", "schedule-trigger", "set", "log", "condition", "loop", "merge", "transform", "filter", "switch", "stop", "wait", "respond", "no-such-kind")
	case "source", "target", "parent_id", "from":
		return m.pick("a", "b", "c", "1", "failed", "start")
	case "code":
		return fmt.Sprintf("%06d", m.rng.IntN(1_000_000))
	case "role":
		return m.pick("owner", "admin", "editor", "viewer", "administrator")
	}
	switch schema["format"] {
	case "uuid":
		return m.id(name, path)
	case "date-time":
		return time.UnixMilli(m.rng.Int64N(4e12)).UTC().Format(time.RFC3339)
	}
	if name == "id" { // of a node
		return m.pick("a", "b", "c")
	}
	if m.rng.IntN(3) == 0 {
		return m.pick("hello", "x", "Some Name", "1", "{{ trigger.a }}", "{{ nodes.a.output }}")
	}
	word := m.word()
	if longest, ok := schema["maxLength"].(float64); ok && !m.broken && len(word) > int(longest) {
		word = "short"
	}
	return word
}

// id is one that exists, more often than not.
func (m *maker) id(name, path string) string {
	of := map[string]string{"workflow_id": "workflows", "workspace_id": "workspaces", "user_id": "auth", "node_execution_id": "executions"}[name]
	if of == "" {
		of = noun(path)
	}
	if strings.Contains(path, "/ws/executions") {
		of = "executions"
	}
	if id := m.known(of); id != "" && m.rng.IntN(5) > 0 {
		return id
	}
	return fmt.Sprintf("%08x-%04x-7%03x-8%03x-%012x", m.rng.Uint32(), m.rng.IntN(1<<16), m.rng.IntN(1<<12), m.rng.IntN(1<<12), m.rng.Int64N(1<<48))
}

// junk is a value of any type.
func (m *maker) junk(depth int) any {
	switch n := m.rng.IntN(9); {
	case n == 0:
		return nil
	case n == 1:
		return m.rng.IntN(2) == 0
	case n == 2:
		return []any{0.0, -1.0, 1.5, 1e308, -1e308, 1e-300, float64(math.MaxInt64), 2147483648.0}[m.rng.IntN(8)]
	case n == 3 && depth < maxDepth:
		return []any{m.junk(depth + 1), m.junk(depth + 1)}
	case n == 4 && depth < maxDepth:
		return map[string]any{m.word(): m.junk(depth + 1)}
	}
	return m.word()
}
