package workflow

import (
	"bytes"

	"agentstudio/internal/fault"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

const (
	maxYAML    = 5 << 20 // bytes
	maxNesting = 200     // brackets within brackets, lists within lists
)

// fromYAML turns YAML into JSON. Files that would take long to read for what
// they hold are refused before they are: the parser's time grows with the
// square of the nesting, and aliases of aliases grow without bound.
func fromYAML(text []byte) ([]byte, error) {
	if len(text) > maxYAML {
		return nil, fault.New(fault.TooLarge, "a YAML file has at most %d MiB: send larger workflows as JSON", maxYAML>>20)
	}
	if nestedTooDeep(text) {
		return nil, fault.New(fault.Malformed, "the YAML is nested more than %d levels deep", maxNesting)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, unreadable(err)
	}
	var found aliases
	for _, d := range file.Docs {
		if d.Body != nil {
			ast.Walk(&found, d.Body)
		}
	}
	if found.first != nil {
		p := found.first.GetToken().Position
		return nil, fault.New(fault.Malformed, "line %d uses an alias (*%s): write the value out", p.Line, found.first.Value)
	}
	converted, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, unreadable(err)
	}
	return converted, nil
}

func unreadable(err error) error {
	return fault.New(fault.Malformed, "the YAML cannot be read: %s", firstLines(yaml.FormatError(err, false, true), 6))
}

// aliases finds the first alias of a file.
type aliases struct{ first *ast.AliasNode }

// Visit implements ast.Visitor.
func (a *aliases) Visit(n ast.Node) ast.Visitor {
	if alias, ok := n.(*ast.AliasNode); ok && a.first == nil {
		a.first = alias
	}
	return a
}

// nestedTooDeep counts brackets that stay open, wherever they stand, and list
// marks that follow each other on a line.
func nestedTooDeep(text []byte) bool {
	open := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			open++
		case ']', '}':
			open = max(0, open-1)
		}
		if open > maxNesting {
			return true
		}
	}
	for line := range bytes.Lines(text) {
		marks := 0
		for word := range bytes.FieldsSeq(line) {
			if len(word) != 1 || word[0] != '-' && word[0] != '?' && word[0] != ':' {
				break
			}
			marks++
		}
		if marks > maxNesting {
			return true
		}
	}
	return false
}
