package workflow

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"

	"agentstudio/internal/expr"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

// The bounds of a definition.
const (
	MaxNodes       = 2_000
	MaxConnections = 10_000
)

// Compile reads a definition and returns its program with everything that is
// wrong with it. The program is nil when there are errors.
func Compile(def *Definition, kinds *node.Kinds) (*Program, Report) {
	c := &compiler{def: def, kinds: kinds, program: &Program{Definition: def, byID: map[string]int{}}}
	c.checkSettings()
	if len(def.Nodes) > MaxNodes || len(def.Connections) > MaxConnections {
		c.fail("bad_field", "", "nodes", "a workflow has at most %d nodes and %d connections: move a part into a workflow of its own", MaxNodes, MaxConnections)
		return nil, c.finish()
	}
	c.readNodes()
	c.readScopes()
	c.readConnections()
	c.findCycles()
	c.findUpstream()
	for i := range c.program.Steps {
		c.readConfig(&c.program.Steps[i])
	}
	c.checkHandles()
	c.checkReach()
	c.advise()
	r := c.finish()
	if !r.IsValid {
		return nil, r
	}
	return c.program, r
}

func (c *compiler) checkSettings() {
	d := c.def
	if strings.TrimSpace(d.Name) == "" {
		c.fail("bad_field", "", "name", "a workflow needs a name")
	} else if len([]rune(d.Name)) > 255 {
		c.fail("bad_field", "", "name", "a name has at most 255 characters")
	}
	if len(d.Tags) > 20 {
		c.fail("bad_field", "", "tags", "a workflow has at most 20 tags")
	}
	s := d.Settings
	if s.TimeoutSeconds < 0 || s.MaxParallel < 0 || s.MaxParallel > 256 {
		c.fail("bad_field", "", "settings", "timeout_seconds is not negative and max_parallel is between 0 and 256")
	}
	if s.Concurrency != nil {
		if s.Concurrency.Limit < 1 {
			c.fail("bad_field", "", "settings.concurrency.limit", "limit is at least 1")
		}
		if !slices.Contains([]string{"", "queue", "cancel_running", "reject"}, s.Concurrency.Strategy) {
			c.fail("bad_field", "", "settings.concurrency.strategy", "strategy is queue, cancel_running or reject")
		}
		if s.Concurrency.Key != "" {
			c.readKey(s.Concurrency.Key)
		}
	}
	if b := s.Budget; b != nil && (b.MaxCostUSD < 0 || b.MaxTokens < 0) {
		c.fail("bad_field", "", "settings.budget", "a budget is not negative")
	}
}

// readKey compiles the key of settings.concurrency, which is read before
// anything runs.
func (c *compiler) readKey(text string) {
	key, err := expr.Parse(text, expr.Names{Nodes: []string{}})
	if err != nil {
		c.fail(codeOf(err), "", "settings.concurrency.key", "%s", fault.Message(err))
		return
	}
	for _, name := range key.Refs().Roots {
		if name != "trigger" && name != "vars" {
			c.fail("bad_field", "", "settings.concurrency.key", "the key is read before anything runs: it may use trigger and vars, not %s", name)
			return
		}
	}
	c.program.key = key
}

func (c *compiler) readConfig(s *Step) {
	if !s.Known {
		return
	}
	path := fmt.Sprintf("nodes[%d].config", s.Index)
	raw := s.Node.Config
	if raw == nil {
		raw = map[string]any{}
	}
	if !s.Enabled {
		s.config, _ = expr.CompileValue(map[string]any{}, expr.Names{}, func(string) expr.Field { return expr.Untouched })
		return
	}
	fields := fieldsOf(s.Type.ConfigType())
	names := c.namesFor(s)
	value, problems := expr.CompileValue(raw, names, fields.field)
	for _, p := range problems {
		c.fail(codeOf(p.Err), s.Node.ID, joinPath(path, p.Path), "%s", fault.Message(p.Err))
	}
	s.exprs = map[string]*expr.Template{}
	fields.each(raw, "", "", func(at, text string) {
		t, err := expr.ParseExpression(text, names)
		if err != nil {
			c.fail(codeOf(err), s.Node.ID, joinPath(path, at), "%s", fault.Message(err))
			return
		}
		s.exprs[text] = t
	})
	faulty := c.checkSchema(s, raw, path)
	if value == nil || faulty {
		return
	}
	s.config = value
	s.refs = mergeRefs(value, s.exprs)
	c.decodeConfig(s, raw, path)
}

// namesFor returns what the step's expressions may read: nodes that end before
// it starts, and nodes of its body for containers that look at their rounds.
func (c *compiler) namesFor(s *Step) expr.Names {
	ids := []string{}
	for i := range c.upstream[s.Index] {
		ids = append(ids, c.program.Steps[i].Node.ID)
	}
	sort.Strings(ids)
	return expr.Names{Nodes: ids, EnvNames: nil}
}

func mergeRefs(v *expr.Value, exprs map[string]*expr.Template) expr.Refs {
	var out expr.Refs
	out.Merge(v.Refs())
	for _, t := range exprs {
		out.Merge(t.Refs())
	}
	return out
}

// decodeConfig decodes what is constant and runs the kind's own checks.
func (c *compiler) decodeConfig(s *Step, raw map[string]any, path string) {
	cfg, err := s.Type.Decode(raw)
	if err != nil && s.config.Static() {
		c.fail("config_invalid", s.Node.ID, path, "%s", fault.Message(err))
		return
	}
	if err != nil {
		// Some value is an expression where the struct wants another type: look
		// at what can be read without it.
		if cfg, err = s.Type.Decode(withoutTemplates(raw).(map[string]any)); err != nil {
			return
		}
	}
	if j, ok := cfg.(node.Joiner); ok {
		s.Join = j.Join()
	}
	for _, d := range s.Type.Check(cfg) {
		code := d.Code
		if code == "" {
			code = "config_invalid"
		}
		c.fail(code, s.Node.ID, joinPath(path, d.Location), "%s", d.Message)
	}
	if s.config.Static() {
		s.decoded = cfg
	}
}

// withoutTemplates drops the strings that hold expressions.
func withoutTemplates(v any) any {
	switch x := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, child := range x {
			if text, ok := child.(string); ok && expr.IsTemplate(text) {
				continue
			}
			out[k] = withoutTemplates(child)
		}
		return out
	case []any:
		out := make([]any, 0, len(x))
		for _, child := range x {
			if text, ok := child.(string); ok && expr.IsTemplate(text) {
				continue
			}
			out = append(out, withoutTemplates(child))
		}
		return out
	}
	return v
}

// Handles returns the step's output handles: the kind's own, or those its
// config makes, and "error" when failures branch.
func (c *compiler) handles(s *Step) ([]node.Handle, bool) {
	handles := s.Kind.Outputs
	if reflect.PointerTo(s.Type.ConfigType()).Implements(reflect.TypeFor[node.Brancher]()) {
		cfg := s.decoded
		if cfg == nil {
			var err error
			raw := s.Node.Config
			if raw == nil {
				raw = map[string]any{}
			}
			if cfg, err = s.Type.Decode(withoutTemplates(raw).(map[string]any)); err != nil {
				return nil, false
			}
		}
		b, ok := cfg.(node.Brancher)
		if !ok {
			return nil, false
		}
		handles = b.Handles()
	}
	if s.OnError == OnErrorBranch {
		handles = append(slices.Clone(handles), node.Handle{Name: node.ErrorHandle})
	}
	return handles, true
}

func (c *compiler) checkHandles() {
	for i := range c.def.Connections {
		conn := &c.def.Connections[i]
		at, ok := c.program.byID[conn.Source]
		if !ok || !c.program.Steps[at].Known || !c.program.Steps[at].Enabled {
			continue
		}
		handles, ok := c.handles(&c.program.Steps[at])
		if !ok {
			continue
		}
		name := orDefault(conn.SourceHandle, node.DefaultOutput)
		if slices.ContainsFunc(handles, func(h node.Handle) bool { return h.Name == name }) {
			continue
		}
		var names []string
		for _, h := range handles {
			names = append(names, h.Name)
		}
		c.fail("unknown_handle", conn.Source, fmt.Sprintf("connections[%d].source_handle", i),
			"the node %q has no output handle %q: it has %s", conn.Source, name, list(names))
	}
}

func codeOf(err error) string {
	if f := fault.As(err); f != nil && f.Code != "" {
		return f.Code
	}
	return "expression_invalid"
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func joinArrow(names []string) string { return strings.Join(names, " → ") }
