package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

// sourced reports whether a tool is one of the workspace's.
func (r *Runner) sourced(name string) bool { return r.source != nil && tool.Sourced(name) }

// unknown returns what is wrong with the workspace's tools that a definition
// names. Whether their servers offer them is seen when the agent runs.
func (r *Runner) unknown(ctx context.Context, workspaceID string, d *Definition) ([]fault.Detail, error) {
	var found []fault.Detail
	for _, list := range []struct {
		place string
		names []string
	}{{"tools", d.Tools}, {"permissions.allow", d.Permissions.Allow}, {"permissions.deny", d.Permissions.Deny}, {"permissions.ask", d.Permissions.Ask}} {
		for i, name := range list.names[:min(len(list.names), maxTools)] {
			if !r.sourced(name) {
				continue
			}
			err := r.source.Check(ctx, workspaceID, name)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return nil, err
			}
			place := fmt.Sprintf("body.%s[%d]", list.place, i)
			if err != nil {
				found = append(found, fault.Detail{Location: place, Code: "unknown_tool", Message: fault.Message(err)})
			}
			if slices.Contains(list.names[:i], name) {
				found = append(found, fault.Detail{Location: place, Code: "twice", Message: "the tool " + name + " is listed twice: leave one out"})
			}
		}
	}
	return found, nil
}

// reached is a tool of the workspace as it was when the run began.
type reached struct {
	Wire string    `json:"wire"` // what the model calls it
	Spec tool.Spec `json:"spec"`
}

// reach finds the tools of the workspace that the agent lists, and offers them
// to the model. They are kept in the record: a run that is taken up again needs
// none of their servers until it calls one.
func (r *run) reach(ctx context.Context) error {
	names := slices.DeleteFunc(slices.Clone(r.settings.Tools), func(name string) bool { return !r.runner.sourced(name) })
	if len(names) == 0 {
		return nil
	}
	recorded, err := r.call.Step(ctx, node.Step{Name: r.prefix + "tools", Kind: "tools", Title: "Tools"}, func(ctx context.Context) (node.StepResult, error) {
		found, err := r.lookAround(ctx, names)
		return node.StepResult{Output: found}, err
	})
	if err != nil {
		return err
	}
	var found []reached
	if err := json.Unmarshal(recorded, &found); err != nil {
		return fmt.Errorf("read the recorded tools: %w", err)
	}
	for _, f := range found {
		t := tool.Tool{Spec: f.Spec, Run: r.runner.later(f.Spec.Name)}
		r.tools[f.Wire], r.tools[f.Spec.Name] = t, t
		r.specs = append(r.specs, llm.ToolSpec{Name: f.Wire, Description: f.Spec.Description, Schema: f.Spec.Schema})
	}
	return nil
}

func (r *run) lookAround(ctx context.Context, names []string) ([]reached, error) {
	taken := map[string]bool{}
	for name := range r.tools {
		taken[name] = true
	}
	var found []reached
	for _, name := range names {
		t, err := r.runner.source.Find(ctx, r.call.WorkspaceID, name)
		if fault.Is(err, fault.NotFound) {
			return nil, fault.New(fault.Invalid, "%s", fault.Message(err)).WithCode("unknown_tool")
		}
		if err != nil {
			return nil, err
		}
		t.Schema = objectSchema(t.Schema)
		f := reached{Wire: wire(name, taken), Spec: t.Spec}
		taken[f.Wire] = true
		found = append(found, f)
	}
	return found, nil
}

// later calls a tool as it is when it is called.
func (r *Runner) later(name string) func(context.Context, tool.Call) (tool.Result, error) {
	return func(ctx context.Context, call tool.Call) (tool.Result, error) {
		t, err := r.source.Find(ctx, call.WorkspaceID, name)
		if err != nil {
			return tool.Result{}, err
		}
		return t.Run(ctx, call)
	}
}

// maxWire is the longest name of a tool that every provider takes.
const maxWire = 64

// wire is a name that models can call: letters, digits, _ and - only.
func wire(name string, taken map[string]bool) string {
	plain := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			return c
		}
		return '_'
	}, name)
	if len(plain) > maxWire || taken[plain] {
		sum := sha256.Sum256([]byte(name))
		const digits = 8
		plain = plain[:min(len(plain), maxWire-digits-1)] + "_" + hex.EncodeToString(sum[:])[:digits]
	}
	return plain
}

// objectSchema is a schema as providers take it: an object, of no named draft.
func objectSchema(text json.RawMessage) json.RawMessage {
	var s map[string]any
	if json.Unmarshal(text, &s) != nil || s == nil {
		return json.RawMessage(`{"type":"object"}`)
	}
	delete(s, "$schema")
	if s["type"] == nil {
		s["type"] = "object"
	}
	out, _ := json.Marshal(s) // it was JSON before
	return out
}

// fits checks the arguments of a call against the schema of its tool.
func (r *run) fits(name string, args json.RawMessage) error {
	t, listed := r.tools[name]
	if !listed || !tool.Sourced(t.Name) {
		return r.runner.tools.Validate(name, args)
	}
	rules, err := r.runner.schemas.Compile(t.Schema)
	if err != nil {
		return nil //nolint:nilerr // its server judges: the schema is not ours
	}
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

// progress tells who watches how a long call gets on.
func (r *run) progress(c llm.Block) func(string) {
	return func(message string) {
		d := r.delta("tool_progress", message)
		d.Data = map[string]any{"id": c.ID, "name": c.Name}
		r.call.Delta(d)
	}
}
