package workflow

import (
	"fmt"
	"slices"
	"strings"

	"agentstudio/internal/expr"
	"agentstudio/internal/node"
)

// checkSchema validates a raw config against its kind's JSON Schema. Values
// that are expressions are not known yet and count as fitting.
func (c *compiler) checkSchema(s *Step, raw map[string]any, path string) bool {
	faulty := false
	for _, f := range s.Type.Faults(raw) {
		if holdsTemplate(raw, f.Steps) {
			continue
		}
		faulty = true
		c.fail("config_invalid", s.Node.ID, joinPath(path, f.Path), "%s", f.Message)
	}
	return faulty
}

// holdsTemplate reports whether the value at the place is an expression.
func holdsTemplate(v any, steps []string) bool {
	for _, step := range steps {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i := 0
			if _, err := fmt.Sscanf(step, "%d", &i); err != nil || i < 0 || i >= len(x) {
				return false
			}
			v = x[i]
		default:
			return false
		}
	}
	text, ok := v.(string)
	return ok && expr.IsTemplate(text)
}

// checkReach reports missing triggers and what no trigger leads to.
func (c *compiler) checkReach() {
	triggers := c.program.Triggers()
	if len(triggers) == 0 {
		c.fail("no_trigger", "", "nodes", "a workflow needs a trigger that is enabled: add a manual-trigger to start it by hand")
		return
	}
	reached := map[int]bool{}
	var queue []int
	add := func(i int) {
		if !reached[i] {
			reached[i] = true
			queue = append(queue, i)
		}
	}
	for _, t := range triggers {
		add(t.Index)
	}
	for len(queue) > 0 {
		s := &c.program.Steps[queue[0]]
		queue = queue[1:]
		for _, e := range s.Out {
			add(c.program.Edges[e].Target)
		}
		if s.Body >= 0 {
			for _, i := range c.program.Scopes[s.Body].Entries {
				add(i)
			}
		}
	}
	for i := range c.program.Steps {
		s := &c.program.Steps[i]
		if reached[i] || !s.Known || s.Kind.Group == node.Trigger {
			continue
		}
		path := fmt.Sprintf("nodes[%d]", i)
		if len(s.In) == 0 && len(s.Out) == 0 && s.Scope == 0 {
			c.warn("disconnected", s.Node.ID, path, "the node %q is connected to nothing and never runs", s.Node.ID)
			continue
		}
		c.warn("unreachable", s.Node.ID, path, "no trigger leads to the node %q: it never runs", s.Node.ID)
	}
}

// advise adds the warnings.
func (c *compiler) advise() {
	for i := range c.program.Steps {
		s := &c.program.Steps[i]
		path := fmt.Sprintf("nodes[%d]", i)
		for _, id := range s.refs.Nodes {
			if at, ok := c.program.byID[id]; ok && !c.program.Steps[at].Enabled {
				c.warn("reads_disabled", s.Node.ID, path, "the node %q reads %q, which is disabled: it will see that node's input", s.Node.ID, id)
			}
		}
		if s.Known && s.Kind.Container && s.Body >= 0 && len(c.program.Scopes[s.Body].Steps) == 0 && s.Enabled {
			c.warn("empty_body", s.Node.ID, path, "the %s %q has no body: give the nodes to repeat its id as parent_id", s.Kind.Kind, s.Node.ID)
		}
		if s.Known && s.Kind.Group == node.Agent && s.Enabled {
			c.adviseAgent(s, path)
		}
		if s.Known && s.Kind.Group == node.Trigger && len(s.Out) == 0 && s.Enabled && len(c.program.Steps) > 1 {
			c.warn("dead_end", s.Node.ID, path, "the trigger %q leads nowhere", s.Node.ID)
		}
	}
}

func (c *compiler) adviseAgent(s *Step, path string) {
	if limits, _ := s.Node.Config["limits"].(map[string]any); len(limits) == 0 {
		c.warn("no_limits", s.Node.ID, path+".config.limits", "the agent %q sets no limits: the defaults apply; max_cost_usd keeps a surprise small", s.Node.ID)
	}
	if model, ok := s.Node.Config["model"].(string); !ok || model == "" || model == "default" || strings.HasSuffix(model, "-latest") {
		c.warn("unpinned_model", s.Node.ID, path+".config.model", "the agent %q names no exact model: its answers may change when the default does", s.Node.ID)
	}
}

// References returns the ids of the workflows a definition starts, each once.
func (p *Program) References() []string {
	var out []string
	for i := range p.Steps {
		if r, ok := p.Steps[i].decoded.(node.References); ok && p.Steps[i].Enabled {
			for _, id := range r.WorkflowIDs() {
				if id != "" && !slices.Contains(out, id) {
					out = append(out, id)
				}
			}
		}
	}
	return out
}

// naming is a place that names a saved agent.
type naming struct {
	step  int
	field string
}

// agentIDs returns the saved agents that enabled nodes name, and where. Ids
// that expressions make are not known yet.
func (p *Program) agentIDs() map[string][]naming {
	out := map[string][]naming{}
	for i := range p.Steps {
		s := &p.Steps[i]
		if !s.Enabled || !s.Known {
			continue
		}
		for _, field := range fieldsOf(s.Type.ConfigType()).agents {
			for _, id := range texts(s.Node.Config[field]) {
				if id != "" && !expr.IsTemplate(id) {
					out[id] = append(out[id], naming{i, field})
				}
			}
		}
	}
	return out
}

// texts returns a text, or the texts of a list.
func texts(v any) []string {
	switch x := v.(type) {
	case string:
		return []string{x}
	case []any:
		var out []string
		for _, item := range x {
			out = append(out, texts(item)...)
		}
		return out
	}
	return nil
}
