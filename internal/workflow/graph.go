package workflow

import (
	"fmt"
	"slices"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

// compiler turns a definition into a program and gathers what is wrong.
type compiler struct {
	report
	def     *Definition
	kinds   *node.Kinds
	program *Program
	// upstream[i] holds the steps that end before step i starts, whichever way
	// the run goes: its ancestors and its containers' ancestors.
	upstream []map[int]bool
}

func (c *compiler) readNodes() {
	p := c.program
	for i := range c.def.Nodes {
		n := &c.def.Nodes[i]
		path := fmt.Sprintf("nodes[%d]", i)
		switch {
		case n.ID == "":
			c.fail("missing_id", "", path+".id", "a node needs an id")
		case len(n.ID) > 128:
			c.fail("bad_field", n.ID[:128], path+".id", "a node id has at most 128 characters")
		default:
			if first, twice := p.byID[n.ID]; twice {
				c.fail("duplicate_node", n.ID, path+".id", "the id %q is used by nodes[%d] already: give one of them another id", n.ID, first)
			} else {
				p.byID[n.ID] = i
			}
		}
		kind, known := c.kinds.Find(n.Kind)
		if !known {
			c.fail("unknown_kind", n.ID, path+".kind", "there is no node kind %q%s", n.Kind, fault.DidYouMean(n.Kind, c.kindNames()))
		}
		s := Step{Index: i, Node: n, Type: kind, Known: known, Enabled: n.IsEnabled(), Body: -1, OnError: n.OnError, Attempts: 1}
		if known {
			s.Kind = kind.Spec()
			c.readLimits(&s, path)
		}
		if s.OnError == "" {
			s.OnError = OnErrorStop
		} else if !slices.Contains([]string{OnErrorStop, OnErrorContinue, OnErrorBranch}, s.OnError) {
			c.fail("bad_field", n.ID, path+".on_error", "on_error is %q, but must be stop, continue or branch", n.OnError)
		}
		p.Steps = append(p.Steps, s)
	}
}

func (c *compiler) kindNames() []string {
	var names []string
	for _, t := range c.kinds.All() {
		names = append(names, t.Spec().Kind)
	}
	return names
}

func (c *compiler) readLimits(s *Step, path string) {
	n := s.Node
	s.Timeout = s.Kind.Timeout
	if n.TimeoutSeconds < 0 || n.TimeoutSeconds > 86_400 {
		c.fail("bad_field", n.ID, path+".timeout_seconds", "timeout_seconds is between 0 and 86400")
	} else if n.TimeoutSeconds > 0 {
		s.Timeout = seconds(n.TimeoutSeconds)
	}
	if s.Kind.Retry.Attempts > 0 {
		s.Attempts, s.Delays = s.Kind.Retry.Attempts, s.Kind.Retry.Delays
	}
	if r := n.Retry; r != nil {
		if r.MaxAttempts < 1 || r.MaxAttempts > 20 {
			c.fail("bad_field", n.ID, path+".retry.max_attempts", "max_attempts is between 1 and 20, the first try included")
		}
		for i, d := range r.Delays {
			if d < 0 || d > 86_400 {
				c.fail("bad_field", n.ID, fmt.Sprintf("%s.retry.delays[%d]", path, i), "a delay is between 0 and 86400 seconds")
			}
		}
		s.Attempts, s.Delays = r.MaxAttempts, r.durations()
	}
}

// readScopes puts every step into the scope of its parent.
func (c *compiler) readScopes() {
	p := c.program
	p.Scopes = []Scope{{Container: -1}}
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Known && s.Kind.Container {
			s.Body = len(p.Scopes)
			p.Scopes = append(p.Scopes, Scope{Container: i})
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if parent := s.Node.ParentID; parent != "" {
			path := fmt.Sprintf("nodes[%d].parent_id", i)
			at, ok := p.byID[parent]
			switch {
			case !ok:
				c.fail("unknown_parent", s.Node.ID, path, "parent_id names no node: %q", parent)
			case p.Steps[at].Body < 0 && p.Steps[at].Known:
				c.fail("unknown_parent", s.Node.ID, path, "the node %q holds no body: only loops and splits do", parent)
			case c.insideItself(i):
				c.fail("cycle", s.Node.ID, path, "the node %q stands inside itself", s.Node.ID)
			default:
				if s.Known && s.Kind.Group == node.Trigger {
					c.fail("trigger_in_body", s.Node.ID, path, "a trigger cannot stand inside %q", parent)
				}
				if body := p.Steps[at].Body; body >= 0 {
					s.Scope = body
				}
			}
		}
		p.Scopes[s.Scope].Steps = append(p.Scopes[s.Scope].Steps, i)
	}
}

func (c *compiler) insideItself(i int) bool {
	seen := map[int]bool{i: true}
	for at := i; ; {
		parent, ok := c.program.byID[c.def.Nodes[at].ParentID]
		if !ok {
			return false
		}
		if seen[parent] {
			return true
		}
		seen[parent], at = true, parent
	}
}

func (c *compiler) readConnections() {
	p := c.program
	type end struct {
		s, t   int
		sh, th string
	}
	seen := map[end]int{}
	ids := map[string]int{}
	for i := range c.def.Connections {
		conn := &c.def.Connections[i]
		path := fmt.Sprintf("connections[%d]", i)
		if conn.ID != "" {
			if first, twice := ids[conn.ID]; twice {
				c.fail("duplicate_connection", "", path+".id", "the connection id %q is used by connections[%d] already", conn.ID, first)
			}
			ids[conn.ID] = i
		}
		source, sok := p.byID[conn.Source]
		target, tok := p.byID[conn.Target]
		if !sok {
			c.fail("dangling_connection", "", path+".source", "the connection starts at %q, but no node has that id", conn.Source)
		}
		if !tok {
			c.fail("dangling_connection", "", path+".target", "the connection leads to %q, but no node has that id", conn.Target)
		}
		if !sok || !tok {
			continue
		}
		if source == target {
			c.fail("self_link", conn.Source, path, "the node %q is connected to itself", conn.Source)
			continue
		}
		e := Edge{Source: source, Target: target, SourceHandle: orDefault(conn.SourceHandle, node.DefaultOutput), TargetHandle: orDefault(conn.TargetHandle, node.DefaultInput)}
		key := end{source, target, e.SourceHandle, e.TargetHandle}
		if first, twice := seen[key]; twice {
			c.fail("duplicate_connection", conn.Source, path, "the same connection stands at connections[%d] already", first)
			continue
		}
		seen[key] = i
		if p.Steps[source].Scope != p.Steps[target].Scope {
			c.fail("crosses_border", conn.Source, path, "the connection from %q to %q crosses the border of a loop body: connect inside it, or to the loop itself", conn.Source, conn.Target)
			continue
		}
		if p.Steps[target].Known && p.Steps[target].Kind.NoInput {
			c.fail("unknown_handle", conn.Target, path+".target", "nothing can be connected to the trigger %q", conn.Target)
			continue
		}
		if e.TargetHandle != node.DefaultInput && p.Steps[target].Known && !p.Steps[target].Kind.AnyInput {
			c.fail("unknown_handle", conn.Target, path+".target_handle", "the node %q has no input handle %q: it has %q", conn.Target, e.TargetHandle, node.DefaultInput)
		}
		p.Edges = append(p.Edges, e)
		p.Steps[source].Out = append(p.Steps[source].Out, len(p.Edges)-1)
		p.Steps[target].In = append(p.Steps[target].In, len(p.Edges)-1)
	}
	for i := range p.Scopes {
		c.readBorders(&p.Scopes[i])
	}
}

func (c *compiler) readBorders(scope *Scope) {
	for _, i := range scope.Steps {
		s := &c.program.Steps[i]
		if len(s.Out) == 0 {
			scope.Sinks = append(scope.Sinks, i)
		}
		if len(s.In) == 0 && (!s.Known || s.Kind.Group != node.Trigger) {
			scope.Entries = append(scope.Entries, i)
		}
	}
}

// findCycles reports one problem per cycle, naming its nodes in order.
func (c *compiler) findCycles() {
	const white, grey, black = 0, 1, 2
	colour := make([]int, len(c.program.Steps))
	var path []int
	var visit func(int)
	visit = func(i int) {
		colour[i] = grey
		path = append(path, i)
		for _, e := range c.program.Steps[i].Out {
			t := c.program.Edges[e].Target
			switch colour[t] {
			case white:
				visit(t)
			case grey:
				var names []string
				for _, at := range path[slices.Index(path, t):] {
					names = append(names, c.program.Steps[at].Node.ID)
				}
				names = append(names, c.program.Steps[t].Node.ID)
				c.fail("cycle", names[0], fmt.Sprintf("nodes[%d]", t), "the nodes form a cycle: %s; use a loop node to repeat", joinArrow(names))
			}
		}
		path = path[:len(path)-1]
		colour[i] = black
	}
	for i := range c.program.Steps {
		if colour[i] == white {
			visit(i)
		}
	}
}

// findUpstream fills c.upstream. It ends on cyclic graphs too.
func (c *compiler) findUpstream() {
	p := c.program
	c.upstream = make([]map[int]bool, len(p.Steps))
	var visit func(i int) map[int]bool
	visit = func(i int) map[int]bool {
		if c.upstream[i] != nil {
			return c.upstream[i]
		}
		up := map[int]bool{}
		c.upstream[i] = up
		for _, e := range p.Steps[i].In {
			source := p.Edges[e].Source
			up[source] = true
			for a := range visit(source) {
				up[a] = true
			}
		}
		if container := p.Scopes[p.Steps[i].Scope].Container; container >= 0 {
			for a := range visit(container) {
				up[a] = true
			}
		}
		return up
	}
	for i := range p.Steps {
		visit(i)
	}
}

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
