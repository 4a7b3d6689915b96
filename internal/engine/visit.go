package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/expr"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/workflow"
)

// The reasons of waits.
const (
	waitTimer  = "timer"
	waitRetry  = "retry"
	waitAnswer = "answer"
	waitChild  = "child"
	waitLoop   = "loop"
	waitSplit  = "split"
)

// resume says why a node that had parked itself goes on.
type resume struct {
	node.Resume
	answers []execution.Ask
}

// visit is one attempt at one node.
type visit struct {
	run    *run
	task   task
	step   *workflow.Step
	view   *view
	call   node.Call
	cancel context.CancelFunc
	dead   bool // its outcome is not wanted any more
}

// visit starts an attempt: in place for instant kinds, else by putting it on
// the list of what to launch after the commit.
func (r *run) visit(t task) {
	s := &r.program.Steps[t.step]
	n := r.describe(t.frame, t.step)
	if !s.Enabled {
		r.passThrough(t, s, n)
		return
	}
	if pinned := r.pinned(s); pinned != nil {
		n.run.StartedAt = r.now()
		r.complete(t, value{data: decodeJSON(pinned), raw: pinned}, firstHandle(s), "pinned")
		return
	}
	if r.x.DryRun && s.Kind.ReachesOutside() { // the start has asked for it: this is what keeps the promise
		r.settleFailure(t, fault.New(fault.Conflict, "a dry run does not call what reaches outside: pin the output of this node, or give one in pinned_outputs").WithCode("needs_pinned_output"))
		return
	}
	v := &visit{run: r, task: t, step: s, view: r.viewOf(t)}
	n.run.Attempt = max(n.run.Attempt, 1)
	if n.run.Wait != nil && n.run.Wait.Reason == waitRetry {
		n.run.Attempt++
	}
	n.run.Wait = nil
	if n.run.StartedAt.IsZero() {
		n.run.StartedAt = r.now()
	}
	v.call = r.callOf(t, s, n, v)
	r.goOn(n)
	n.resume = nil
	if s.Kind.Instant || s.Kind.Container {
		result, err := v.attempt(r.ctx)
		r.settle(v, result, err)
		return
	}
	n.run.Status = execution.NodeRunning
	n.visit = v
	r.record(n, "")
	r.launch = append(r.launch, v)
	if s.Join.CancelRest {
		r.cancelNeedless(t)
	}
}

func (r *run) pinned(s *workflow.Step) []byte {
	if s.Kind.Group == node.Trigger {
		return nil
	}
	if given := r.x.Pinned[s.Node.ID]; r.x.DryRun && len(given) > 0 {
		return given
	}
	if !r.x.DryRun && r.origin.TriggerType != "manual" || len(s.Node.PinnedOutput) == 0 {
		return nil
	}
	return s.Node.PinnedOutput
}

// firstHandle returns the handle that a value leaves a node on which the node
// did not choose: nil for "output".
func firstHandle(s *workflow.Step) []string {
	if len(s.Kind.Outputs) > 0 && s.Kind.Outputs[0].Name != node.DefaultOutput {
		return []string{s.Kind.Outputs[0].Name}
	}
	return nil
}

// passThrough settles a disabled node: its input goes on as it came.
func (r *run) passThrough(t task, s *workflow.Step, n *nodeState) {
	view := r.viewOf(t)
	input, err := view.input(r.ctx)
	if err != nil {
		r.broken = err
		return
	}
	v, err := r.keep(input)
	if err != nil {
		r.settleFailure(t, err)
		return
	}
	handles := firstHandle(s)
	n.value = v
	n.run.Output, n.run.OutputRef, n.run.Handles = v.raw, v.ref, handles
	n.run.Status, n.run.CompletedAt = execution.NodeSkipped, r.now()
	r.count(t.frame, t.step, execution.NodeSkipped)
	r.record(n, "disabled: the input passed through")
	r.settled(t, execution.Settled{Step: t.step, Handles: handles})
}

func (r *run) callOf(t task, s *workflow.Step, n *nodeState, v *visit) node.Call {
	c := node.Call{Host: &host{visit: v}, WorkspaceID: r.x.WorkspaceID, UserID: r.x.UserID, APIKeyID: r.x.APIKeyID, WorkflowID: r.x.WorkflowID,
		WorkflowName: r.x.WorkflowName, ExecutionID: r.x.ID, NodeID: s.Node.ID, NodeTitle: n.run.Title, Iteration: t.frame.iteration,
		Attempt: n.run.Attempt, Key: r.origin.ID + "/" + s.Node.ID + "/" + t.frame.iteration, Trigger: r.trigger, Depth: r.x.Depth}
	if n.resume != nil {
		c.Resume = &n.resume.Resume
	}
	return c
}

// begin runs the visit in a goroutine of its own; the run waits for it.
func (v *visit) begin() {
	r := v.run
	if v.dead {
		return
	}
	limit := v.step.Timeout
	if limit <= 0 {
		limit = r.engine.cfg.NodeTimeout
	}
	ctx, cancel := context.WithTimeout(r.ctx, limit)
	v.cancel = cancel
	r.active[v] = struct{}{}
	r.visits.Go(func() {
		defer cancel()
		result, err := v.attempt(ctx)
		if err != nil && ctx.Err() == context.DeadlineExceeded && r.ctx.Err() == nil && fault.KindOf(err) != fault.Timeout {
			err = fault.Wrap(fault.Timeout, err, "the node ran longer than its limit of %s", limit)
		}
		r.post(func() {
			delete(r.active, v)
			if !v.dead && !r.over {
				r.settle(v, result, err)
			}
		})
	})
}

// post hands a function to the run's goroutine. It is dropped when the
// execution is over.
func (r *run) post(f func()) {
	select {
	case r.mailbox <- f:
	case <-r.ctx.Done():
	}
}

// attempt evaluates the config and runs the kind once.
func (v *visit) attempt(ctx context.Context) (result node.Result, err error) {
	if t := v.run.engine.cfg.Tracer; t != nil {
		var end func(bool, error)
		ctx, end = t.Node(ctx, v.step.Kind.Kind, &v.call)
		defer func() { end(result.Park != nil || result.Child != nil, err) }()
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("node kind %s panicked: %v\n%s", v.step.Kind.Kind, p, debug.Stack())
		}
	}()
	input, err := v.view.input(ctx)
	if err != nil {
		return result, &oursError{err}
	}
	v.call.Input = input
	if v.call.Arrived, err = v.view.arrived(ctx); err != nil {
		return result, &oursError{err}
	}
	env := expr.Env{}
	if !v.step.Constant() {
		if env, err = v.view.env(ctx, v.step.Refs()); err != nil {
			return result, &oursError{err}
		}
	}
	cfg, err := v.step.Config(env)
	if err != nil {
		return result, err
	}
	if err := v.run.held(); err != nil {
		return result, &oursError{err}
	}
	return v.step.Type.Run(ctx, v.call, cfg)
}

// held fails when this process may not reach outside for the execution any
// more.
func (r *run) held() error {
	if r.engine.cfg.Holds() {
		return nil
	}
	return fault.New(fault.Stale, "the lease of this process has ended")
}

// oursError is a failure to read what the engine itself had stored: no outcome
// of the node, but a reason to stop and try the execution again later.
type oursError struct{ err error }

func (e *oursError) Error() string { return e.err.Error() }

func (e *oursError) Unwrap() error { return e.err }

// settle takes in what an attempt came to.
func (r *run) settle(v *visit, result node.Result, err error) {
	t := v.task
	n := t.state()
	n.visit = nil
	if err != nil && r.ctx.Err() != nil {
		return // cut off by the end of the execution or of the process: not an outcome
	}
	var ours *oursError
	if errors.As(err, &ours) {
		r.broken = ours.err
		return
	}
	if err != nil {
		r.failed(t, v.step, err)
		return
	}
	n.run.Usage = n.run.Usage.Add(result.Usage)
	r.x.Usage = r.x.Usage.Add(result.Usage)
	r.x.Usage.Model = ""
	switch {
	case result.Park != nil:
		r.parkNode(v, result.Park)
	case result.Each != nil:
		r.beginLoop(t, result.Each)
	case result.Child != nil:
		r.beginChild(v, result.Child)
	default:
		if result.Respond != nil {
			r.respond(result.Respond)
		}
		out, err := r.keep(result.Value)
		if err != nil {
			r.failed(t, v.step, err)
			return
		}
		r.complete(t, out, result.Handles, "")
		if result.Stop != nil {
			r.stopBy(v.step, result.Stop, out)
		}
	}
}

// respond keeps what answers the call that started the execution.
func (r *run) respond(with *node.Response) {
	r.x.Response = with
	r.batch.head, r.batch.outcome = true, true
	r.emitValue(event.ExecutionUpdate, "responded", with)
}

func (r *run) stopBy(s *workflow.Step, order *node.StopOrder, out value) {
	if r.share != nil {
		r.stopOrigin(stopped{Failed: order.Failed, Message: order.Message, NodeID: s.Node.ID}, out)
		return
	}
	if order.Failed {
		r.finish(execution.Failed, &execution.Error{Code: "stopped", Message: order.Message, NodeID: s.Node.ID}, out)
		return
	}
	r.cancelFrame(r.root)
	r.finish(execution.Completed, nil, out)
}

// complete settles a node with its output.
func (r *run) complete(t task, out value, handles []string, message string) {
	n := t.state()
	n.value = out
	n.run.Status, n.run.Handles, n.run.Error, n.run.Wait = execution.NodeCompleted, handles, nil, nil
	n.run.Output, n.run.OutputRef, n.run.CompletedAt = out.raw, out.ref, r.now()
	r.count(t.frame, t.step, execution.NodeCompleted)
	r.record(n, message)
	if r.program.Steps[t.step].Join.CancelRest {
		r.cancelNeedless(t)
	}
	r.settled(t, execution.Settled{Step: t.step, Handles: handles})
}

// settled moves the plan on and ends the round when that was its last node.
func (r *run) settled(t task, f execution.Settled) {
	t.frame.progress.Settle(f)
	r.take(t.frame)
	if t.frame.loop != nil && !t.frame.closed && t.frame.progress.Over() {
		r.endRound(t.frame)
	}
}

// failed decides what a failure means: another attempt, another branch, or the end.
func (r *run) failed(t task, s *workflow.Step, err error) {
	n := t.state()
	if delay, again := r.retryDelay(s, n.run.Attempt, err); again {
		n.run.Status = execution.NodeWaiting
		n.run.Error = execution.ErrorOf(err, s.Node.ID)
		n.run.Wait = &execution.Wait{Reason: waitRetry, Until: r.now().Add(delay)}
		r.waiting[t] = n.run.Wait.Until
		r.record(n, fmt.Sprintf("attempt %d of %d failed, next in %s: %s", n.run.Attempt, s.Attempts, delay.Round(time.Millisecond), n.run.Error.Message))
		return
	}
	if fault.KindOf(err) == fault.Internal {
		r.engine.cfg.Log.Error("node failed", "execution_id", r.x.ID, "node_id", s.Node.ID, "error", err)
	}
	r.settleFailure(t, err)
}

// retryDelay says whether and when a failure is worth another attempt.
func (r *run) retryDelay(s *workflow.Step, attempt int, err error) (time.Duration, bool) {
	if attempt >= s.Attempts || !transient(err) {
		return 0, false
	}
	delays := s.Delays
	if len(delays) == 0 {
		delays = []time.Duration{5 * time.Second, 30 * time.Second, 120 * time.Second}
	}
	delay := delays[min(attempt-1, len(delays)-1)]
	delay += time.Duration(float64(delay) * 0.2 * rand.Float64())
	if f := fault.As(err); f != nil && f.RetryAfter > delay {
		delay = min(f.RetryAfter, time.Hour)
	}
	return delay, true
}

// transient reports whether a failure may pass by itself.
func transient(err error) bool {
	switch fault.KindOf(err) {
	case fault.Upstream, fault.Timeout, fault.TooMany, fault.Unavailable:
		return true
	}
	return false
}

// settleFailure ends a node as failed and does what its on_error says.
func (r *run) settleFailure(t task, err error) {
	s := &r.program.Steps[t.step]
	failure := execution.ErrorOf(err, s.Node.ID)
	if r.isShare(t) {
		r.endShare(failure, value{})
		return
	}
	n := r.describe(t.frame, t.step)
	r.drop(n)
	n.run.OutputRef = ""
	n.run.Status, n.run.Error, n.run.Wait, n.run.CompletedAt = execution.NodeFailed, failure, nil, r.now()
	n.visit = nil
	r.count(t.frame, t.step, execution.NodeFailed)
	if s.OnError == workflow.OnErrorStop {
		r.record(n, failure.Message)
		r.failFrame(t.frame, failure)
		return
	}
	out, _ := r.keep(map[string]any{"error": map[string]any{"code": failure.Code, "message": failure.Message}})
	n.value = out
	n.run.Output = out.raw
	if s.OnError == workflow.OnErrorBranch {
		n.run.Handles = []string{node.ErrorHandle}
	}
	r.record(n, failure.Message)
	r.settled(t, execution.Settled{Step: t.step, Handles: n.run.Handles})
}

// failFrame ends a round, or the execution, because one of its nodes failed.
func (r *run) failFrame(f *frame, failure *execution.Error) {
	if f.loop == nil {
		r.finish(execution.Failed, failure, value{})
		return
	}
	r.cancelFrame(f)
	r.failRound(f, failure)
}

// cancelFrame cuts whatever still runs or waits in a frame and the rounds
// inside it.
func (r *run) cancelFrame(f *frame) {
	for v := range r.active {
		if v.task.frame.inside(f) {
			r.cancelTask(v.task)
		}
	}
	for _, v := range r.launch {
		if v.task.frame.inside(f) {
			r.cancelTask(v.task)
		}
	}
	for t := range r.waiting {
		if t.frame.inside(f) {
			r.cancelTask(t)
		}
	}
	r.dropReady(func(t task) bool { return t.frame.inside(f) })
	for step, n := range f.nodes {
		if n.loop != nil && !n.run.Status.Over() {
			r.closeRounds(n.loop)
			r.cancelTask(task{f, step})
		}
	}
}

func (r *run) dropReady(drop func(task) bool) {
	kept := r.ready[:0]
	for _, t := range r.ready {
		if !drop(t) {
			kept = append(kept, t)
		}
	}
	r.ready = kept
}

func (r *run) cancelTask(t task) {
	n := r.describe(t.frame, t.step)
	delete(r.waiting, t)
	if v := n.visit; v != nil {
		v.dead = true
		if v.cancel != nil {
			v.cancel()
		}
		n.visit = nil
	}
	if n.run.Status.Over() {
		return
	}
	r.drop(n)
	n.run.OutputRef = ""
	n.run.Status, n.run.CompletedAt = execution.NodeCancelled, r.now()
	r.count(t.frame, t.step, execution.NodeCancelled)
	r.record(n, "")
}

// cancelNeedless cancels what a merge that has enough no longer needs.
func (r *run) cancelNeedless(t task) {
	for _, i := range t.frame.progress.Needless(t.step) {
		other := task{t.frame, i}
		if n := t.frame.nodes[i]; n != nil && n.loop != nil {
			r.closeRounds(n.loop)
		}
		r.dropReady(func(q task) bool { return q == other })
		r.cancelTask(other)
		t.frame.progress.Settle(execution.Settled{Step: i, Dead: true})
	}
	r.take(t.frame)
}
