package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"agentstudio/internal/llm"
	"agentstudio/internal/node"
	"agentstudio/internal/schema"
)

// other is an agent that a run may call, as it was when the run began.
type other struct {
	Tool        string     `json:"tool"` // what the model calls
	Handoff     bool       `json:"handoff,omitempty"`
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Role        Role       `json:"role"`
	Variables   []Variable `json:"variables,omitempty"`

	rules *schema.Schema // of the tool's arguments
}

// meet finds the agents that the run may call, and offers them to the model as
// tools. An agent as deep as agents may go is offered none.
func (r *run) meet(ctx context.Context) error {
	if len(r.settings.SubAgents)+len(r.settings.Handoffs) == 0 {
		return nil
	}
	if r.depth >= MaxDepth {
		r.call.Log("warn", fmt.Sprintf("%s is %d agents deep and can call no further ones", r.title(), r.depth), nil)
		return nil
	}
	recorded, err := r.call.Step(ctx, node.Step{Name: r.prefix + "agents", Kind: "agents", Title: "Agents"}, func(ctx context.Context) (node.StepResult, error) {
		found, err := r.lookUp(ctx)
		return node.StepResult{Output: found}, err
	})
	if err != nil {
		return err
	}
	var found []other
	if err := json.Unmarshal(recorded, &found); err != nil {
		return fmt.Errorf("read the recorded agents: %w", err)
	}
	r.others = make(map[string]other, len(found))
	for _, o := range found {
		text, rules, err := o.schema()
		if err != nil {
			return err
		}
		o.rules = rules
		r.others[o.Tool] = o
		r.specs = append(r.specs, llm.ToolSpec{Name: o.Tool, Description: o.describe(), Schema: text})
	}
	return nil
}

func (r *run) lookUp(ctx context.Context) ([]other, error) {
	var found []other
	taken := map[string]bool{}
	for name := range r.tools {
		taken[name] = true
	}
	add := func(ids []string, verb string, handoff bool) error {
		for _, id := range ids {
			a, err := r.runner.find(ctx, r.call.WorkspaceID, id)
			if err != nil {
				return err
			}
			o := other{Handoff: handoff, ID: id, Name: a.Name, Description: a.Description, Role: a.Role, Variables: a.Variables}
			base := verb + slug(a.Name)
			o.Tool = base
			for n := 2; taken[o.Tool]; n++ {
				o.Tool = fmt.Sprintf("%s_%d", base, n)
			}
			taken[o.Tool] = true
			found = append(found, o)
		}
		return nil
	}
	err := errors.Join(add(r.settings.SubAgents, "agent_", false), add(r.settings.Handoffs, "handoff_", true))
	return found, err
}

// slug is a name as tools may have it.
func slug(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		} else if s := b.String(); s != "" && !strings.HasSuffix(s, "_") {
			b.WriteByte('_')
		}
	}
	s := strings.Trim(b.String(), "_")
	if s == "" {
		return "other"
	}
	return s[:min(len(s), 40)]
}

// describe tells a model what the agent is good for.
func (o other) describe() string {
	text := fmt.Sprintf("Gives a task to the agent %q, a %s, and returns its answer. It sees the task only: put everything it needs to know there.", o.Name, o.Role)
	if o.Handoff {
		text = fmt.Sprintf("Hands the whole conversation over to the agent %q, a %s, which answers in your place. You are done then.", o.Name, o.Role)
	}
	if o.Description != "" {
		text += " About it: " + o.Description
	}
	return text
}

// schema is what the tool's arguments look like.
func (o other) schema() (json.RawMessage, *schema.Schema, error) {
	text := map[string]any{"type": "string", "minLength": 1}
	properties, required := map[string]any{"task": text}, []string{"task"}
	if o.Handoff {
		properties, required = map[string]any{"reason": text}, []string{"reason"}
	}
	if len(o.Variables) > 0 {
		values, needed := map[string]any{}, []string{}
		for _, v := range o.Variables {
			values[v.Name] = map[string]any{"description": v.Description}
			if v.Required && v.Default == nil {
				needed = append(needed, v.Name)
			}
		}
		properties["variables"] = map[string]any{"type": "object", "properties": values, "required": needed, "additionalProperties": false}
		if len(needed) > 0 {
			required = append(required, "variables")
		}
	}
	out, err := json.Marshal(map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false})
	if err != nil {
		return nil, nil, err
	}
	rules, err := schema.Compile(out)
	return out, rules, err
}

// verdict is how a validator answers who called it, unless it has a schema of
// its own.
const verdict = `{"type":"object","required":["valid","problems"],"additionalProperties":false,"properties":{"valid":{"type":"boolean"},"problems":{"type":"array","items":{"type":"string"}}}}`

// introduce puts what the role means before the instructions.
func (r Role) introduce(instructions string) string {
	text := map[Role]string{
		Coordinator: "You coordinate: divide the task, give its parts to the agents you can call, independent ones at the same time, and put their answers together.",
		Executor:    "You execute: do what the task says, no more, and report exactly what you did.",
		Validator:   "You validate: judge the work you are shown against its task, and name every fault you find.",
	}[r]
	if text == "" || instructions == "" {
		return text + instructions
	}
	return text + "\n\n" + instructions
}
