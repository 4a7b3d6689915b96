package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"agentstudio/internal/expr"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

// settle lays the settings over the saved agent they name, and returns its
// name. The agent is kept in the record as it was when the run began: one that
// was changed since does not change in the middle of its work.
func (r *Runner) settle(ctx context.Context, b start) (s Settings, name string, err error) {
	s = b.settings
	if s.AgentID == "" {
		return s, "", nil
	}
	recorded, err := b.call.Step(ctx, node.Step{Name: b.prefix + "agent", Kind: "agent", Title: s.AgentID}, func(ctx context.Context) (node.StepResult, error) {
		a, err := r.find(ctx, b.call.WorkspaceID, s.AgentID)
		if err != nil {
			return node.StepResult{}, err
		}
		return node.StepResult{Output: snapshot{ID: a.ID, Version: a.Version, Definition: a.Definition}}, nil
	})
	if err != nil {
		return s, "", err
	}
	var saved snapshot
	if err := json.Unmarshal(recorded, &saved); err != nil {
		return s, "", fmt.Errorf("read the recorded agent: %w", err)
	}
	s, err = s.over(saved.Definition)
	if b.parent != nil && saved.Definition.Role == Validator && len(s.OutputSchema) == 0 {
		s.OutputSchema = json.RawMessage(verdict)
	}
	return s, saved.Definition.Name, err
}

// snapshot is a saved agent in the record of a run.
type snapshot struct {
	ID         string     `json:"id"`
	Version    int64      `json:"version"`
	Definition Definition `json:"definition"`
}

func (r *Runner) find(ctx context.Context, workspaceID, id string) (*Agent, error) {
	if r.saved == nil {
		return nil, fault.New(fault.NotConfigured, "this studio keeps no agents")
	}
	a, err := r.saved.Find(ctx, workspaceID, id)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.Invalid, "there is no agent %q in this workspace: it was deleted, or its id is mistyped", id).WithCode("unknown_agent")
	}
	return a, err
}

// over lays the settings over a definition.
func (s Settings) over(d Definition) (Settings, error) {
	others := s.System != "" || s.Tools != nil || s.SubAgents != nil || s.Handoffs != nil
	if s.System == "" {
		text, err := d.instruct(s.Variables)
		if err != nil {
			return s, err
		}
		s.System = d.Role.introduce(text)
	}
	if len(s.Models) == 0 {
		s.Models = d.Models
	}
	if s.Tools == nil {
		s.Tools = d.Tools
	}
	if s.SubAgents == nil {
		s.SubAgents = d.SubAgents
	}
	if s.Handoffs == nil {
		s.Handoffs = d.Handoffs
	}
	if s.Temperature == nil {
		s.Temperature = d.Temperature
	}
	if s.MaxTokens == 0 {
		s.MaxTokens = d.MaxTokens
	}
	if len(s.OutputSchema) == 0 {
		s.OutputSchema = d.OutputSchema
	}
	if s.Permissions.empty() {
		s.Permissions = d.Permissions
		if d.Permissions.Mode == ModeBypass && others {
			s.Permissions.Mode = ModeDefault // an administrator let the agent go as it was saved
		}
	}
	if s.Window == 0 && !s.Summary {
		s.Window, s.Summary, s.SummaryAt = d.Memory.Window, d.Memory.Summary, d.Memory.SummaryAt
	}
	if len(s.Script) == 0 {
		s.Script = d.Script
	}
	s.Limits = s.Limits.over(d.Limits)
	return s, nil
}

// over fills what is left out.
func (l Limits) over(base Limits) Limits {
	if l.MaxSteps == 0 {
		l.MaxSteps = base.MaxSteps
	}
	if l.MaxCost == 0 {
		l.MaxCost = base.MaxCost
	}
	if l.MaxTokens == 0 {
		l.MaxTokens = base.MaxTokens
	}
	if l.Timeout == 0 {
		l.Timeout = base.Timeout
	}
	return l
}

// instruct fills the variables of the instructions. Invalid: with everything
// that is missing, and every name that is none of the agent's.
func (d *Definition) instruct(given map[string]any) (string, error) {
	var faults []fault.Detail
	env := expr.Env{}
	names := make([]string, len(d.Variables))
	for i, v := range d.Variables {
		names[i] = v.Name
		value, set := given[v.Name]
		switch {
		case set && value != nil:
			env[v.Name] = value
		case v.Default != nil:
			env[v.Name] = v.Default
		case v.Required:
			faults = append(faults, fault.Detail{Location: "variables." + v.Name, Code: "required", Message: "the agent needs this variable"})
		default:
			env[v.Name] = ""
		}
	}
	for name := range given {
		if !slices.Contains(names, name) {
			faults = append(faults, fault.Detail{Location: "variables." + name, Code: "unknown_name",
				Message: "the agent has no such variable" + fault.DidYouMean(name, names)})
		}
	}
	if len(faults) > 0 {
		f := fault.InvalidInput(faults...)
		f.Message = "the variables do not fit the agent " + d.Name
		return "", f
	}
	t, err := instructions(d.SystemPrompt, names)
	if err != nil {
		return "", err
	}
	value, err := t.Eval(env)
	if err != nil {
		return "", err
	}
	return expr.Text(value), nil
}
