package execution

import (
	"slices"

	"agentstudio/internal/node"
	"agentstudio/internal/workflow"
)

// Settled is a stored fact: a node that is decided.
type Settled struct {
	Step    int
	Dead    bool     // skipped or cancelled: nothing leaves it
	Handles []string // the handles it delivered on; nil means "output"
}

// Progress plans one scope of one execution: which steps may start, which are
// dead, when the scope is over. It is a pure function of the facts settled so
// far, kept up to date step by step: the order in which independent facts are
// settled changes nothing but the order of Ready. It does no I/O; it is not
// safe for concurrent use.
type Progress struct {
	program *workflow.Program
	scope   *workflow.Scope
	state   map[int]stepState
	edges   map[int]edgeState
	ready   []int
	skipped []int
	open    int // steps not settled
}

type stepState uint8

const (
	idle    stepState = iota // not all of its inputs are decided
	offered                  // handed out by Ready, or waiting to be
	settled
)

type edgeState uint8

const (
	undecided edgeState = iota
	delivered
	dead
)

// NewProgress starts a scope. start is the step it begins with: the trigger
// for the workflow itself; -1 begins a body at all of its entries.
func NewProgress(p *workflow.Program, scope, start int) *Progress {
	g := &Progress{program: p, scope: &p.Scopes[scope], state: make(map[int]stepState, len(p.Scopes[scope].Steps)), edges: map[int]edgeState{}}
	g.open = len(g.scope.Steps)
	for _, i := range g.scope.Steps {
		if len(p.Steps[i].In) > 0 {
			continue
		}
		if i == start || start < 0 && p.Steps[i].Kind.Group != node.Trigger {
			g.offer(i)
		} else {
			g.kill(i)
		}
	}
	return g
}

func (g *Progress) offer(i int) {
	g.state[i] = offered
	g.ready = append(g.ready, i)
}

// kill settles a step that will never run.
func (g *Progress) kill(i int) {
	if g.state[i] == settled {
		return
	}
	g.skipped = append(g.skipped, i)
	g.settle(i, func(workflow.Edge) bool { return false })
}

// Ready returns the steps that may start now, each once.
func (g *Progress) Ready() []int {
	out := g.ready
	g.ready = nil
	return out
}

// Skipped returns the steps found dead since the last call, each once.
func (g *Progress) Skipped() []int {
	out := g.skipped
	g.skipped = nil
	return out
}

// Settle takes in a fact. Settling a step twice changes nothing.
func (g *Progress) Settle(f Settled) {
	if g.state[f.Step] == settled {
		return
	}
	if at := slices.Index(g.ready, f.Step); at >= 0 {
		g.ready = slices.Delete(g.ready, at, at+1)
	}
	g.settle(f.Step, func(e workflow.Edge) bool {
		if f.Dead {
			return false
		}
		if f.Handles == nil {
			return e.SourceHandle == node.DefaultOutput
		}
		return slices.Contains(f.Handles, e.SourceHandle)
	})
}

func (g *Progress) settle(i int, delivers func(workflow.Edge) bool) {
	g.state[i] = settled
	g.open--
	for _, e := range g.program.Steps[i].Out {
		edge := g.program.Edges[e]
		if delivers(edge) {
			g.edges[e] = delivered
		} else {
			g.edges[e] = dead
		}
		g.consider(edge.Target)
	}
}

// consider decides whether a step can start, now that one of its inputs is known.
func (g *Progress) consider(i int) {
	if g.state[i] != idle {
		return
	}
	s := &g.program.Steps[i]
	arrived, open := 0, 0
	for _, e := range s.In {
		switch g.edges[e] {
		case delivered:
			arrived++
		case undecided:
			open++
		}
	}
	switch {
	case s.Join.Need > 0 && arrived >= s.Join.Need:
		g.offer(i)
	case open > 0:
	case arrived > 0:
		g.offer(i)
	default:
		g.kill(i)
	}
}

// Arrived returns the edges that delivered to a step, in the definition's order.
func (g *Progress) Arrived(i int) []int {
	var out []int
	for _, e := range g.program.Steps[i].In {
		if g.edges[e] == delivered {
			out = append(out, e)
		}
	}
	return out
}

// IsSettled reports whether the step is decided.
func (g *Progress) IsSettled(i int) bool { return g.state[i] == settled }

// Over reports whether every step of the scope is decided.
func (g *Progress) Over() bool { return g.open == 0 }

// Needless returns the steps that are not settled and whose every way forward
// ends at the step, which has started without them: what a merge that takes
// the first N may cancel. Furthest from the step first.
func (g *Progress) Needless(join int) []int {
	needless := map[int]bool{join: true}
	var out []int
	for grown := true; grown; {
		grown = false
		for _, i := range g.scope.Steps {
			if needless[i] || g.state[i] == settled || len(g.program.Steps[i].Out) == 0 {
				continue
			}
			all := true
			for _, e := range g.program.Steps[i].Out {
				all = all && needless[g.program.Edges[e].Target]
			}
			if all {
				needless[i] = true
				out = append(out, i)
				grown = true
			}
		}
	}
	slices.Reverse(out)
	return out
}
