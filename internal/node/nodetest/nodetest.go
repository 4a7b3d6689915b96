// Package nodetest lends a node kind under test the host it expects: steps are
// recorded, logs and deltas are kept, expressions are evaluated.
package nodetest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"agentstudio/internal/node"

	"github.com/expr-lang/expr"
)

// Host is a node.Host in memory. Set Names and Recorded before the run; read
// the rest after it. It is safe for concurrent use while the node runs.
type Host struct {
	// Names is the node's scope: trigger, input, nodes, item, index, vars.
	Names map[string]any
	// Recorded holds the outcomes of steps by name, as a process that died
	// would have left them. Steps that run are added.
	Recorded map[string]json.RawMessage
	// Usages holds what the steps of Recorded used, by name.
	Usages map[string]node.Usage
	// Answers holds what came of asks, by name.
	Answers map[string]node.Answer

	mu     sync.Mutex
	logs   []Line
	deltas []node.Delta
	steps  []Done
}

// Line is a line of the log.
type Line struct {
	Level, Message string
	Data           any
}

// Done is a step that ran here, in the order of their ends.
type Done struct {
	node.Step
	Result node.StepResult
}

// New returns a host whose scope has the names.
func New(names map[string]any) *Host {
	return &Host{Names: names, Recorded: map[string]json.RawMessage{}, Usages: map[string]node.Usage{}}
}

// Next returns the host of the life that follows when the process died with
// the named steps committed; with none named, with all of them.
func (h *Host) Next(names ...string) *Host {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := New(h.Names)
	out.Answers = maps.Clone(h.Answers)
	if names == nil {
		names = slices.Collect(maps.Keys(h.Recorded))
	}
	for _, name := range names {
		if recorded, known := h.Recorded[name]; known {
			out.Recorded[name], out.Usages[name] = recorded, h.Usages[name]
		}
	}
	return out
}

// Past returns the steps that were recorded before this life; the kind of one
// is what its name says.
func (h *Host) Past(context.Context) (map[string]node.PastStep, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]node.PastStep{}
	for name := range h.Recorded {
		if slices.ContainsFunc(h.steps, func(d Done) bool { return d.Name == name }) {
			continue
		}
		kind, _, _ := strings.Cut(name[strings.LastIndex(name, "/")+1:], "-")
		out[name] = node.PastStep{Kind: kind, Usage: h.Usages[name]}
	}
	return out, nil
}

// Eval evaluates an expression with the names added to the scope.
func (h *Host) Eval(_ context.Context, e node.Expression, names map[string]any) (any, error) {
	env := maps.Clone(h.Names)
	if env == nil {
		env = map[string]any{}
	}
	maps.Copy(env, names)
	source := strings.TrimSpace(string(e))
	if inner, ok := strings.CutPrefix(source, "{{"); ok {
		source = strings.TrimSuffix(inner, "}}")
	}
	program, err := expr.Compile(source, expr.Env(env))
	if err != nil {
		return nil, fmt.Errorf("compile %q: %w", source, err)
	}
	return expr.Run(program, env)
}

// Scope returns the names.
func (h *Host) Scope(context.Context) (map[string]any, error) { return h.Names, nil }

// Log keeps the line.
func (h *Host) Log(level, message string, data any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logs = append(h.logs, Line{level, message, data})
}

// Delta keeps the delta.
func (h *Host) Delta(d node.Delta) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deltas = append(h.deltas, d)
}

// Step runs do unless its outcome is recorded.
func (h *Host) Step(ctx context.Context, step node.Step, do func(context.Context) (node.StepResult, error)) (json.RawMessage, error) {
	h.mu.Lock()
	recorded, known := h.Recorded[step.Name]
	h.mu.Unlock()
	if known {
		return recorded, nil
	}
	result, err := do(ctx)
	if err != nil {
		return nil, err
	}
	output, err := json.Marshal(result.Output)
	if err != nil {
		return nil, fmt.Errorf("record step %s: %w", step.Name, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Recorded[step.Name], h.Usages[step.Name] = output, result.Usage
	h.steps = append(h.steps, Done{step, result})
	return output, nil
}

// Answer returns the outcome that is set.
func (h *Host) Answer(_ context.Context, name string) (*node.Answer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a, known := h.Answers[name]; known {
		return &a, nil
	}
	return nil, nil //nolint:nilnil // not answered yet, as the contract says
}

// Logs returns the lines logged so far.
func (h *Host) Logs() []Line {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Line(nil), h.logs...)
}

// Deltas returns the deltas passed so far.
func (h *Host) Deltas() []node.Delta {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]node.Delta(nil), h.deltas...)
}

// Steps returns the steps that ran here.
func (h *Host) Steps() []Done {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Done(nil), h.steps...)
}
