package engine

import (
	"encoding/json"
	"strconv"

	"agentstudio/internal/execution"
	"agentstudio/internal/workflow"
)

// frame is one round of a scope: the workflow itself, or one item of a loop.
type frame struct {
	parent    *frame
	loop      *loop // the container's state that this round belongs to; nil for the workflow
	scope     int
	iteration string
	index     int
	item      any
	progress  *execution.Progress
	nodes     map[int]*nodeState
	last      int // step that ended last without successors; -1
	closed    bool
	home      string // the execution that has its rows, when it is another one
}

// nodeState is what a frame knows of one of its nodes.
type nodeState struct {
	run   execution.NodeRun
	value value
	visit *visit
	loop  *loop
	// list are the items of a split, while they are at hand.
	list []json.RawMessage
	// queued is set while the next commit writes the row.
	queued bool
	// asked is set while something that it asked for may need an answer.
	asked bool
	// resumed carries why a parked node goes on.
	resume *resume
}

// value is a node's output: in memory when small, else a payload's hash.
type value struct {
	data any
	raw  json.RawMessage
	ref  string
}

func (v value) present() bool { return v.raw != nil || v.ref != "" }

func newFrame(p *workflow.Program, parent *frame, l *loop, scope, start int, iteration string) *frame {
	return &frame{parent: parent, loop: l, scope: scope, iteration: iteration, last: -1,
		progress: execution.NewProgress(p, scope, start), nodes: map[int]*nodeState{}}
}

func (f *frame) node(step int) *nodeState {
	n := f.nodes[step]
	if n == nil {
		n = &nodeState{}
		f.nodes[step] = n
	}
	return n
}

// owner returns the frame around f (or f itself) whose scope holds the step.
func (f *frame) owner(p *workflow.Program, step int) *frame {
	scope := p.Steps[step].Scope
	for at := f; at != nil; at = at.parent {
		if at.scope == scope {
			return at
		}
	}
	return nil
}

// roundIteration names round i of a container that stands in iteration outer.
func roundIteration(outer string, i int) string {
	if outer == "" {
		return strconv.Itoa(i)
	}
	return outer + "." + strconv.Itoa(i)
}

// inside reports whether f is g or stands inside it.
func (f *frame) inside(g *frame) bool {
	for at := f; at != nil; at = at.parent {
		if at == g {
			return true
		}
	}
	return false
}

// task is a node of a frame that wants to run.
type task struct {
	frame *frame
	step  int
}

func (t task) state() *nodeState { return t.frame.node(t.step) }
