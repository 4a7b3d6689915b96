package execution

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/workflow"
)

// Definitions finds what executions run.
type Definitions interface {
	Program(ctx context.Context, workspaceID, workflowID string, version int) (*workflow.Program, error)
	// Edited returns the program of an execution that runs a definition of its
	// own.
	Edited(ctx context.Context, workspaceID, executionID string) (*workflow.Program, error)
}

// ProgramOf returns what an execution runs.
func ProgramOf(ctx context.Context, from Definitions, x *Execution) (*workflow.Program, error) {
	if x.Lineage != nil && x.Lineage.Edited {
		return from.Edited(ctx, x.WorkspaceID, x.ID)
	}
	return from.Program(ctx, x.WorkspaceID, x.WorkflowID, x.WorkflowVersion)
}

// withConfig compiles a definition with other configurations of nodes, and
// finds everything that is wrong with it.
func (s *Service) withConfig(d *workflow.Definition, config map[string]json.RawMessage) (*workflow.Program, error) {
	paths := map[string]string{}
	if err := reconfigure(d, config, paths); err != nil {
		return nil, err
	}
	d.Normalise()
	p, report := s.programs.Compile(d)
	if p != nil {
		return p, nil
	}
	var faults []fault.Detail
	for _, e := range report.Errors {
		location := "definition." + e.Path
		for was, is := range paths {
			if rest, found := strings.CutPrefix(e.Path, was); found && (rest == "" || rest[0] == '.' || rest[0] == '[') {
				location = is + rest
			}
		}
		faults = append(faults, fault.Detail{Location: location, Code: e.Code, Message: e.Message})
	}
	return nil, fault.InvalidInput(faults...)
}

// reconfigure gives nodes other configurations, and notes in paths where each
// stands.
func reconfigure(d *workflow.Definition, config map[string]json.RawMessage, paths map[string]string) error {
	var faults []fault.Detail
	for _, id := range sortedKeys(config) {
		at := slices.IndexFunc(d.Nodes, func(n workflow.Node) bool { return n.ID == id })
		if at < 0 {
			faults = append(faults, fault.Detail{Location: "body.config." + id, Code: "unknown_node", Message: "the workflow has no such node"})
			continue
		}
		var with map[string]any
		if err := json.Unmarshal(config[id], &with); err != nil || with == nil {
			faults = append(faults, fault.Detail{Location: "body.config." + id, Code: "not_an_object", Message: "a configuration is an object"})
			continue
		}
		d.Nodes[at].Config = with
		if paths != nil {
			paths[fmt.Sprintf("nodes[%d].config", at)] = "body.config." + id
		}
	}
	if len(faults) > 0 {
		return fault.InvalidInput(faults...)
	}
	return nil
}

// upTo has the execution end after a node: it runs a definition of its own. What
// comes after the node, and what stands aside, need not be valid.
func (s *Service) upTo(whole *workflow.Definition, id string, e *New) (*workflow.Program, error) {
	d := whole.UpTo(id)
	if d == nil {
		return nil, fault.InvalidInput(fault.Detail{Location: "body.until", Code: "unknown_node", Message: "the workflow has no such node", Value: id})
	}
	short, report := s.programs.Compile(d)
	if short == nil {
		var faults []fault.Detail
		for _, e := range report.Errors {
			faults = append(faults, fault.Detail{Location: "definition." + e.Path, Code: e.Code, Message: e.Message})
		}
		return nil, fault.InvalidInput(faults...)
	}
	e.Lineage.Edited, e.Lineage.Until = true, id
	var err error
	e.Definition, err = json.Marshal(short.Definition)
	return short, err
}

// idleFields are the fields of a node that change nothing of what it comes to.
var idleFields = []string{"position", "title", "description", "notes", "retry", "timeout_seconds"}

// edits marks the steps that differ from the program that ran.
func (r *rerun) edits(was *workflow.Program) {
	if was == r.program {
		return
	}
	d := workflow.Compare(was.Definition, r.program.Definition)
	for _, n := range d.Nodes {
		if n.Change == "removed" {
			r.markHolder(was, n.ID)
			continue
		}
		matters := n.Change == "added" || slices.ContainsFunc(n.Fields, func(f workflow.FieldChange) bool {
			field, _, _ := strings.Cut(f.Path, ".")
			return !slices.Contains(idleFields, field)
		})
		if matters {
			r.markID(n.ID)
			r.markHolder(was, n.ID)
		}
	}
	for _, c := range d.Connections {
		r.markID(c.Target)
	}
	if !slices.ContainsFunc(d.Fields, func(f workflow.FieldChange) bool {
		return strings.HasPrefix(f.Path, "settings.vars") || f.Path == "settings"
	}) {
		return
	}
	for i := range r.program.Steps {
		if s := &r.program.Steps[i]; s.WantsScope() || slices.Contains(s.Refs().Roots, "vars") {
			r.mark(i)
		}
	}
}

func (r *rerun) markID(id string) {
	if s, ok := r.program.Step(id); ok {
		r.mark(s.Index)
	}
}

// markHolder marks the container that held a node.
func (r *rerun) markHolder(was *workflow.Program, id string) {
	if s, ok := was.Step(id); ok && s.Scope != 0 {
		r.markID(was.Steps[was.Scopes[s.Scope].Container].Node.ID)
	}
}

// onOutput reports whether a step answers on the handle "output".
func onOutput(s *workflow.Step) bool {
	return slices.ContainsFunc(s.Kind.Outputs, func(h node.Handle) bool { return h.Name == node.DefaultOutput })
}

func titleOf(s *workflow.Step) string {
	if s.Node.Title != "" {
		return s.Node.Title
	}
	return s.Kind.Title
}
