package engine

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

// parkNode leaves a node waiting for a time, or for answers to what it asks.
func (r *run) parkNode(v *visit, p *node.Park) {
	n := v.task.state()
	wait := &execution.Wait{Reason: waitTimer, Until: p.Until}
	message := ""
	for i := range p.Asks {
		a, err := r.newAsk(v.task, n, &p.Asks[i])
		if err != nil {
			r.failed(v.task, v.step, err)
			return
		}
		r.batch.asks = append(r.batch.asks, *a)
		if i == 0 {
			wait.Reason, message = a.Kind, clip(a.Message, 500)
		}
		wait.Asks = append(wait.Asks, a.Name)
		if !a.ExpiresAt.IsZero() && (wait.Until.IsZero() || a.ExpiresAt.Before(wait.Until)) {
			wait.Until = a.ExpiresAt
		}
	}
	if len(p.Asks) > 0 {
		n.asked, r.asking = true, true
		// What was asked in an earlier visit may have been answered meanwhile.
		r.unseen = r.unseen || r.mayKnow(v)
	}
	n.run.Status, n.run.Wait = execution.NodeWaiting, wait
	r.waiting[v.task] = wait.Until
	r.record(n, message)
}

// mayKnow reports whether the tables may hold something of earlier visits.
func (r *run) mayKnow(v *visit) bool {
	return r.recovered || v.call.Attempt > 1 || v.call.Resume != nil
}

func (r *run) newAsk(t task, n *nodeState, a *node.Ask) (*execution.Ask, error) {
	out := &execution.Ask{ID: nodeRunID(r.uid, n.run.NodeID+"\x00"+a.Name, t.frame.iteration), WorkspaceID: r.x.WorkspaceID, ExecutionID: r.x.ID,
		NodeID: n.run.NodeID, NodeTitle: n.run.Title, Iteration: t.frame.iteration, Name: a.Name, Kind: a.Kind, Message: a.Message, Form: a.Form,
		FormOptional: a.FormOptional, Approvers: a.Approvers, CreatedAt: r.now(), ExpiresAt: a.Until}
	if a.Callable {
		out.Callable, out.Key = true, rand.Text() // 130 bits
	}
	if a.Subject == nil {
		return out, nil
	}
	text, err := json.Marshal(a.Subject)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "what %s is about cannot be written as JSON", a.Name)
	}
	out.Subject = text
	return out, nil
}

// lookAtAnswers puts back to work the nodes that something was answered to.
func (r *run) lookAtAnswers(ctx context.Context) error {
	waits := false
	for t := range r.waiting {
		wait := t.state().run.Wait
		waits = waits || wait != nil && len(wait.Asks) > 0
	}
	if !waits {
		return nil
	}
	answers, err := r.engine.journal.Untaken(ctx, r.x.WorkspaceID, r.x.ID)
	if err != nil || len(answers) == 0 {
		return err
	}
	of := map[execution.NodeRef][]execution.Ask{}
	for _, a := range answers {
		ref := execution.NodeRef{NodeID: a.NodeID, Iteration: a.Iteration}
		of[ref] = append(of[ref], a)
	}
	for t := range r.waiting {
		n := t.state()
		if n.run.Wait == nil || len(n.run.Wait.Asks) == 0 {
			continue
		}
		got := of[execution.NodeRef{NodeID: n.run.NodeID, Iteration: t.frame.iteration}]
		if !slices.ContainsFunc(got, func(a execution.Ask) bool { return slices.Contains(n.run.Wait.Asks, a.Name) }) {
			continue
		}
		delete(r.waiting, t)
		n.resume = &resume{Resume: node.Resume{Reason: waitAnswer}, answers: got}
		r.ready = append(r.ready, t)
	}
	return nil
}

// goOn notes, with the commit of a node that goes on, that its answers are
// taken, and tells of them.
func (r *run) goOn(n *nodeState) {
	if n.resume == nil {
		return
	}
	if n.asked {
		r.batch.taken = append(r.batch.taken, execution.NodeRef{NodeID: n.run.NodeID, Iteration: n.run.Iteration})
	}
	for _, a := range n.resume.answers {
		r.emitValue(event.NodeUpdate, "answered", answerEvent{ExecutionID: r.x.ID, NodeExecutionID: n.run.ID, NodeID: n.run.NodeID, Iteration: n.run.Iteration,
			AskID: a.ID, Kind: a.Kind, Decision: a.Decision, Comment: a.Comment, By: a.By()})
	}
}

type answerEvent struct {
	ExecutionID     string `json:"execution_id"`
	NodeExecutionID string `json:"node_execution_id"`
	NodeID          string `json:"node_id"`
	Iteration       string `json:"iteration,omitempty"`
	AskID           string `json:"ask_id"`
	Kind            string `json:"kind"`
	Decision        string `json:"decision,omitempty"`
	Comment         string `json:"comment,omitempty"`
	By              string `json:"by,omitempty"`
}

// Answer implements node.Host.
func (h *host) Answer(ctx context.Context, name string) (*node.Answer, error) {
	r := h.visit.run
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.heard {
		if r.mayKnow(h.visit) {
			asks, err := r.engine.journal.Asks(ctx, r.x.WorkspaceID, r.x.ID, h.visit.step.Node.ID, h.visit.task.frame.iteration, r.now())
			if err != nil {
				return nil, &oursError{err}
			}
			h.answers = make(map[string]*node.Answer, len(asks))
			for i := range asks {
				h.answers[asks[i].Name] = asks[i].Outcome()
			}
		}
		h.heard = true
	}
	return h.answers[name], nil
}
