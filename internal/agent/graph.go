package agent

import (
	"fmt"
	"slices"
	"strings"

	"agentstudio/internal/fault"
)

// Graph is which agents of a workspace give tasks to which, and whom they hand
// conversations over to, by id.
type Graph map[string]Links

// Links are the other agents that one names.
type Links struct {
	Name      string
	SubAgents []string
	Handoffs  []string
}

// check returns what is wrong with the graph once the agent is as given: ids
// that nobody has, tasks that go in a circle, and chains of tasks that are too
// long. Hand-overs may go back and forth: the depth of a run bounds them.
func (g Graph) check(id string, d *Definition) []fault.Detail {
	next := Graph{}
	for k, v := range g {
		next[k] = v
	}
	next[id] = Links{Name: d.Name, SubAgents: d.SubAgents, Handoffs: d.Handoffs}
	var faults []fault.Detail
	find := func(place, code, format string, args ...any) {
		faults = append(faults, fault.Detail{Location: "body." + place, Code: code, Message: fmt.Sprintf(format, args...)})
	}
	for _, list := range d.lists() {
		for i, other := range list.ids {
			if _, known := next[other]; !known {
				find(fmt.Sprintf("%s[%d]", list.field, i), "unknown_agent", "there is no agent %q in this workspace: name the id of one that is", other)
			}
		}
	}
	for i, other := range d.SubAgents {
		if path := next.path(other, id, map[string]bool{}); path != nil {
			find(fmt.Sprintf("sub_agents[%d]", i), "agent_cycle", "agents would call each other in a circle: %s; leave one of them out", next.names(append([]string{id}, path...)))
		}
	}
	if len(faults) > 0 {
		return faults
	}
	if chain := next.longest(id); len(chain) > MaxDepth {
		find("sub_agents", "too_deep", "agents call agents at most %d deep, this would be %d: %s", MaxDepth, len(chain), next.names(chain))
	}
	return faults
}

// path returns the agents from one to another, both included, along tasks; nil
// when there is no way.
func (g Graph) path(from, to string, seen map[string]bool) []string {
	if from == to {
		return []string{to}
	}
	if seen[from] {
		return nil
	}
	seen[from] = true
	for _, next := range g[from].SubAgents {
		if rest := g.path(next, to, seen); rest != nil {
			return append([]string{from}, rest...)
		}
	}
	return nil
}

// longest returns the longest chain of tasks that leads through the agent. The
// graph has no circles.
func (g Graph) longest(id string) []string {
	up := map[string][]string{}
	for from, links := range g {
		for _, to := range links.SubAgents {
			up[to] = append(up[to], from)
		}
	}
	down := map[string][]string{}
	for from, links := range g {
		down[from] = links.SubAgents
	}
	above := walk(id, up, map[string][]string{})
	slices.Reverse(above)
	return append(above, walk(id, down, map[string][]string{})[1:]...)
}

// walk returns the longest way that begins at the id.
func walk(id string, next map[string][]string, known map[string][]string) []string {
	if way, done := known[id]; done {
		return slices.Clone(way)
	}
	var best []string
	for _, n := range next[id] {
		if way := walk(n, next, known); len(way) > len(best) {
			best = way
		}
	}
	known[id] = append([]string{id}, best...)
	return slices.Clone(known[id])
}

func (g Graph) names(ids []string) string {
	var names []string
	for _, id := range ids {
		names = append(names, g[id].Name)
	}
	return strings.Join(names, " → ")
}

// users returns the names of the agents that name the id, sorted.
func (g Graph) users(id string) []string {
	var names []string
	for _, links := range g {
		if slices.Contains(links.SubAgents, id) || slices.Contains(links.Handoffs, id) {
			names = append(names, links.Name)
		}
	}
	slices.Sort(names)
	return names
}
