package workflow

import (
	"fmt"
	"strings"

	"agentstudio/internal/fault"
)

// Problem is one thing wrong with a definition.
type Problem struct {
	Code    string `json:"code"` // stable, for programs: "cycle", "unknown_kind"
	Message string `json:"message"`
	NodeID  string `json:"node_id,omitempty"`
	Path    string `json:"path,omitempty"` // from the definition: "nodes[2].config.url"
}

// Report is what validation found.
type Report struct {
	IsValid  bool      `json:"is_valid"`
	Errors   []Problem `json:"errors"`
	Warnings []Problem `json:"warnings"`
}

// Broken returns the errors that make a definition impossible to draw: these
// are refused on save. Every other error may be kept in a draft.
func (r Report) Broken() []Problem {
	var out []Problem
	for _, p := range r.Errors {
		switch p.Code {
		case "duplicate_node", "dangling_connection", "self_link", "missing_id", "bad_field":
			out = append(out, p)
		}
	}
	return out
}

// Fault returns the errors as one fault of the kind, or nil when there are none.
func Fault(kind fault.Kind, message string, problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	f := fault.New(kind, "%s", message)
	for _, p := range problems {
		f.Details = append(f.Details, fault.Detail{Location: p.Path, Code: p.Code, Message: p.Message})
	}
	return f
}

// report gathers problems while a definition is read.
type report struct {
	errors, warnings []Problem
}

func (r *report) fail(code, nodeID, path, format string, args ...any) {
	r.errors = append(r.errors, Problem{Code: code, NodeID: nodeID, Path: path, Message: fmt.Sprintf(format, args...)})
}

func (r *report) warn(code, nodeID, path, format string, args ...any) {
	r.warnings = append(r.warnings, Problem{Code: code, NodeID: nodeID, Path: path, Message: fmt.Sprintf(format, args...)})
}

func (r *report) finish() Report {
	out := Report{IsValid: len(r.errors) == 0, Errors: r.errors, Warnings: r.warnings}
	if out.Errors == nil {
		out.Errors = []Problem{}
	}
	if out.Warnings == nil {
		out.Warnings = []Problem{}
	}
	return out
}

func list(ids []string) string { return strings.Join(ids, ", ") }
