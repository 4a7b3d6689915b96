// Package expr compiles and evaluates the {{ }} expressions of workflow
// configs. The language is expr-lang: no side effects, no endless loops; each
// evaluation is bounded in time and memory.
package expr

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"agentstudio/internal/fault"
)

// Template is a string of a config, compiled: text, one expression, or both
// mixed. It is immutable and safe for concurrent use.
type Template struct {
	source string
	parts  []part
	refs   Refs
}

type part struct {
	text    string
	program *program // nil: text
}

// IsTemplate reports whether a string holds at least one {{ expression }}.
func IsTemplate(s string) bool { return strings.Contains(s, "{{") }

// Parse compiles a string that may hold {{ expressions }}. Errors are faults
// of kind Invalid that name the expression.
func Parse(source string, names Names) (*Template, error) {
	t := &Template{source: source}
	rest := source
	for {
		open := strings.Index(rest, "{{")
		if open < 0 {
			break
		}
		end := closing(rest[open+2:])
		if end < 0 {
			return nil, fault.New(fault.Invalid, "the expression that starts with %q has no closing }}", clip(rest[open:], 40))
		}
		if open > 0 {
			t.parts = append(t.parts, part{text: rest[:open]})
		}
		p, err := compile(rest[open+2:open+2+end], names)
		if err != nil {
			return nil, err
		}
		t.parts = append(t.parts, part{program: p})
		t.refs.Merge(p.refs)
		rest = rest[open+2+end+2:]
	}
	if rest != "" {
		t.parts = append(t.parts, part{text: rest})
	}
	return t, nil
}

// ParseExpression compiles one expression that may be written with or without
// its {{ }}.
func ParseExpression(source string, names Names) (*Template, error) {
	body := strings.TrimSpace(source)
	if inner, ok := strings.CutPrefix(body, "{{"); ok {
		if end := closing(inner); end == len(inner)-2 {
			body = inner[:end]
		}
	}
	p, err := compile(body, names)
	if err != nil {
		return nil, err
	}
	return &Template{source: source, parts: []part{{program: p}}, refs: p.refs}, nil
}

// closing returns the index of the }} that ends an expression: braces of maps
// and the content of quoted strings do not count. -1 when there is none.
func closing(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\'', '"', '`':
			i = quoted(s, i) - 1
		case '{':
			depth++
		case '}':
			if depth == 0 {
				if i+1 < len(s) && s[i+1] == '}' {
					return i
				}
				return -1
			}
			depth--
		}
	}
	return -1
}

// Source returns the text the template was made from.
func (t *Template) Source() string { return t.source }

// Refs returns which names the template reads.
func (t *Template) Refs() Refs { return t.refs }

// Static reports whether the template holds no expression.
func (t *Template) Static() bool {
	for _, p := range t.parts {
		if p.program != nil {
			return false
		}
	}
	return true
}

// Eval returns the template's value: the expression's own value and type when
// the string is one expression, else the parts joined as text, objects and
// lists as JSON. Errors are faults of kind Invalid that name the expression.
func (t *Template) Eval(env Env) (any, error) {
	if len(t.parts) == 1 && t.parts[0].program != nil {
		return t.parts[0].program.run(env)
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.program == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := p.program.run(env)
		if err != nil {
			return nil, err
		}
		if b.Len() > maxText {
			return nil, fault.New(fault.TooLarge, "the text made by %q is over %d MiB", clip(t.source, 60), maxText>>20)
		}
		b.WriteString(Text(v))
	}
	return b.String(), nil
}

const maxText = 16 << 20

// Text returns how a value reads inside a text: strings as they are, nil as
// nothing, numbers without exponents, everything else as JSON.
func Text(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case bool:
		return strconv.FormatBool(x)
	case int:
		return strconv.Itoa(x)
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case fmt.Stringer:
		return x.String()
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
