package execution

import (
	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"
)

// checkDry finds what a dry run lacks: every node within reach of its start
// that reaches outside needs an output to stand in for it.
func checkDry(p *workflow.Program, start *workflow.Step, x *Execution) error {
	if !x.DryRun {
		return nil
	}
	var faults []fault.Detail
	for _, id := range sortedKeys(x.Pinned) {
		if s, ok := p.Step(id); !ok || s.Kind.NoInput {
			faults = append(faults, fault.Detail{Location: "body.pinned_outputs." + id, Code: "unknown_node", Message: "the workflow has no such node that could be pinned"})
		}
	}
	reach := &rerun{program: p, again: map[int]bool{}}
	reach.mark(start.Index)
	for i := range p.Steps {
		s := &p.Steps[i]
		if !reach.again[i] || !s.Enabled || !s.Kind.ReachesOutside() || len(s.Node.PinnedOutput) > 0 || len(x.Pinned[s.Node.ID]) > 0 {
			continue
		}
		faults = append(faults, fault.Detail{Location: "body.pinned_outputs." + s.Node.ID, Code: "needs_pinned_output",
			Message: "the node " + s.Node.ID + " (" + s.Node.Kind + ") reaches outside and is not called in a dry run: pin its output in the workflow, or give one in pinned_outputs"})
	}
	if len(faults) > 0 {
		return fault.InvalidInput(faults...)
	}
	return nil
}
