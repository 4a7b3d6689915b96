package engine

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/expr"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

// host is what one visit may ask of the engine. It is safe for concurrent use.
type host struct {
	visit *visit

	mu    sync.Mutex
	scope expr.Env                        // made when first asked for
	steps map[string]execution.StepRecord // of earlier lives, read when first asked for
	read  bool

	answers map[string]*node.Answer // to what earlier visits asked, read when first asked for
	heard   bool
}

// maxLogs bounds the lines a run keeps before they are committed; further ones
// are counted and said.
const maxLogs = 1_000

func (h *host) env(ctx context.Context) (expr.Env, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.scope == nil {
		refs := h.visit.step.Refs()
		if h.visit.step.WantsScope() {
			refs.Roots = expr.Roots()
		}
		env, err := h.visit.view.env(ctx, refs)
		if err != nil {
			return nil, err
		}
		h.scope = env
	}
	return h.scope, nil
}

// Eval implements node.Host.
func (h *host) Eval(ctx context.Context, e node.Expression, names map[string]any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := h.visit.step.Expression(e)
	if t == nil {
		return nil, fault.New(fault.Invalid, "the expression %q is not part of this node's config", string(e))
	}
	env, err := h.env(ctx)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return t.Eval(env)
	}
	full := make(expr.Env, len(env)+len(names))
	for k, v := range env {
		full[k] = v
	}
	for k, v := range names {
		full[k] = v
	}
	return t.Eval(full)
}

// Scope implements node.Host.
func (h *host) Scope(ctx context.Context) (map[string]any, error) {
	env, err := h.env(ctx)
	return env, err
}

// Log implements node.Host.
func (h *host) Log(level, message string, data any) {
	r := h.visit.run
	entry := execution.LogEntry{NodeID: h.visit.step.Node.ID, Iteration: h.visit.task.frame.iteration, Level: level, Message: clip(message, 16<<10), At: r.now()}
	if data != nil {
		if text, err := json.Marshal(data); err == nil && len(text) <= 64<<10 {
			entry.Data = text
		}
	}
	r.logMu.Lock()
	defer r.logMu.Unlock()
	if len(r.logs) >= maxLogs {
		if len(r.logs) == maxLogs {
			r.logs = append(r.logs, execution.LogEntry{NodeID: entry.NodeID, Level: "warn", Message: "more lines were logged at once than are kept; the rest is left out", At: entry.At})
		}
		return
	}
	r.logs = append(r.logs, entry)
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}

// Delta implements node.Host.
func (h *host) Delta(d node.Delta) {
	r := h.visit.run
	text, err := json.Marshal(deltaEvent{ExecutionID: r.x.ID, NodeID: h.visit.step.Node.ID, Iteration: h.visit.task.frame.iteration, Delta: d})
	if err != nil {
		return
	}
	r.engine.bus.Publish(r.ctx, event.Event{Room: r.room, Type: event.NodeOutput, Name: "delta", At: r.now(), Data: text})
}

// Step implements node.Host: once committed, a step's outcome is returned
// without doing it again, whatever happened to the process.
func (h *host) Step(ctx context.Context, s node.Step, do func(context.Context) (node.StepResult, error)) (json.RawMessage, error) {
	known, err := h.known(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	if known != nil {
		return known.Output, nil
	}
	r := h.visit.run
	record := execution.StepRecord{NodeID: h.visit.step.Node.ID, Iteration: h.visit.task.frame.iteration, Name: s.Name, Kind: s.Kind, Title: s.Title, StartedAt: r.now()}
	if err := r.held(); err != nil {
		return nil, err
	}
	result, err := do(ctx)
	if err != nil {
		return nil, err
	}
	record.EndedAt, record.Failed, record.Usage = r.now(), result.Failed, result.Usage
	if record.Output, err = json.Marshal(result.Output); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the outcome of %s cannot be written as JSON", s.Name)
	}
	if s.Input != nil {
		if record.Input, err = json.Marshal(s.Input); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "the input of %s cannot be written as JSON", s.Name)
		}
	}
	return record.Output, h.commitStep(ctx, record)
}

// Past implements node.Host.
func (h *host) Past(ctx context.Context) (map[string]node.PastStep, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.recall(ctx); err != nil {
		return nil, err
	}
	out := make(map[string]node.PastStep, len(h.steps))
	for name, s := range h.steps {
		out[name] = node.PastStep{Kind: s.Kind, Usage: s.Usage}
	}
	return out, nil
}

// recall reads what earlier lives have committed, once. h.mu is held.
func (h *host) recall(ctx context.Context) error {
	r := h.visit.run
	if h.read {
		return nil
	}
	if r.mayKnow(h.visit) {
		records, err := r.engine.journal.Steps(ctx, r.x.WorkspaceID, r.x.ID, h.visit.step.Node.ID, h.visit.task.frame.iteration)
		if err != nil {
			return err
		}
		h.steps = make(map[string]execution.StepRecord, len(records))
		for _, s := range records {
			h.steps[s.Name] = s
		}
	}
	h.read = true
	return nil
}

// known returns the step's record from an earlier life, or nil.
func (h *host) known(ctx context.Context, name string) (*execution.StepRecord, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.recall(ctx); err != nil {
		return nil, err
	}
	if s, ok := h.steps[name]; ok {
		return &s, nil
	}
	return nil, nil //nolint:nilnil // absent is the usual case here and no failure
}

// commitStep hands the record to the run's goroutine and waits until it is on disk.
func (h *host) commitStep(ctx context.Context, s execution.StepRecord) error {
	r := h.visit.run
	done := make(chan struct{})
	r.post(func() {
		r.batch.steps = append(r.batch.steps, s)
		r.x.Usage = r.x.Usage.Add(s.Usage)
		r.x.Usage.Model = ""
		n := h.visit.task.state()
		n.run.Usage = n.run.Usage.Add(s.Usage)
		r.keepRow(n) // its usage survives a crash
		r.batch.head = true
		r.emitValue(event.NodeUpdate, "step_completed", stepEvent{ExecutionID: r.x.ID, NodeID: s.NodeID, Iteration: s.Iteration, Name: s.Name, Kind: s.Kind,
			Title: s.Title, Failed: s.Failed, Usage: s.Usage, DurationMS: s.EndedAt.Sub(s.StartedAt).Milliseconds()})
		r.batch.replies = append(r.batch.replies, func() { close(done) })
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Minute):
		return fault.New(fault.Unavailable, "the step could not be written within a minute")
	}
}
