package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
)

// maxTrial bounds a trial of an agent that sets no time itself.
const maxTrial = 10 * time.Minute

// TrialInput is what an agent is tried with.
type TrialInput struct {
	Prompt    string
	Files     []string // ids of files of the workspace that the model is shown
	Variables map[string]any
}

// Trial is how a trial went.
type Trial struct {
	Output   *Output // nil when it failed; with Asks a person would be asked now
	Err      error
	Steps    []TrialStep // what was done, in the order of its end
	Usage    node.Usage  // of all steps
	Duration time.Duration
}

// TrialStep is one turn or tool call of a trial.
type TrialStep struct {
	Name     string
	Kind     string
	Title    string
	Input    json.RawMessage
	Output   json.RawMessage
	Failed   bool
	Usage    node.Usage
	Duration time.Duration
}

// Watcher hears of a trial as it goes, one call at a time. Any may be nil.
type Watcher struct {
	Step  func(TrialStep)
	Delta func(node.Delta)
	Log   func(level, message string)
}

// Try runs an agent once, outside of any workflow. What it does is real: its
// tools act and its model costs. Nothing but the usage is kept. The error says
// why it did not begin; how it ended is in the Trial.
func (s *Service) Try(ctx context.Context, by access.Actor, id string, in TrialInput, w Watcher) (*Trial, error) {
	a, err := s.load(ctx, by, id, access.Execute)
	if err != nil {
		return nil, err
	}
	begin := start{settings: Settings{AgentID: a.ID, Variables: in.Variables}, messages: []llm.Message{{Role: llm.User, Content: Showing(in.Files, in.Prompt)}}}
	return s.try(ctx, by, a, begin, &trialHost{watcher: w})
}

func (s *Service) try(ctx context.Context, by access.Actor, a *Agent, begin start, h *trialHost) (*Trial, error) {
	if _, err := begin.settings.over(a.Definition); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxTrial, fault.New(fault.Timeout, "a trial takes at most %s", maxTrial).WithCode("time_limit"))
	defer cancel()
	h.now, h.recorded = s.runner.now, map[string]bool{}
	begin.call = node.Call{Host: h, WorkspaceID: a.WorkspaceID, UserID: by.UserID, APIKeyID: by.APIKeyID, NodeTitle: a.Name, Key: "trial/" + s.cfg.NewID()}
	began := s.runner.now()
	out, err := s.runner.work(ctx, begin)
	h.mu.Lock()
	defer h.mu.Unlock()
	return &Trial{Output: out, Err: err, Steps: h.steps, Usage: h.usage, Duration: s.runner.now().Sub(began)}, nil
}

// trialHost is a node.Host that keeps a run in memory and shows it.
type trialHost struct {
	now     func() time.Time
	decides *node.Answer // what is said to every ask; nil: nothing

	mu       sync.Mutex // guards what follows, and the watcher's turn
	watcher  Watcher
	recorded map[string]bool
	steps    []TrialStep
	usage    node.Usage
}

// Eval implements node.Host.
func (*trialHost) Eval(context.Context, node.Expression, map[string]any) (any, error) {
	return nil, fault.New(fault.Invalid, "there is no workflow here to read from")
}

// Scope implements node.Host.
func (*trialHost) Scope(context.Context) (map[string]any, error) { return map[string]any{}, nil }

// Log implements node.Host.
func (h *trialHost) Log(level, message string, _ any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watcher.Log != nil {
		h.watcher.Log(level, message)
	}
}

// Delta implements node.Host.
func (h *trialHost) Delta(d node.Delta) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watcher.Delta != nil {
		h.watcher.Delta(d)
	}
}

// Step implements node.Host.
func (h *trialHost) Step(ctx context.Context, s node.Step, do func(context.Context) (node.StepResult, error)) (json.RawMessage, error) {
	began := h.now()
	result, err := do(ctx)
	if err != nil {
		return nil, err
	}
	done := TrialStep{Name: s.Name, Kind: s.Kind, Title: s.Title, Failed: result.Failed, Usage: result.Usage, Duration: h.now().Sub(began)}
	if done.Output, err = json.Marshal(result.Output); err != nil {
		return nil, fmt.Errorf("keep step %s: %w", s.Name, err)
	}
	if s.Input != nil {
		if done.Input, err = json.Marshal(s.Input); err != nil {
			return nil, fmt.Errorf("keep step %s: %w", s.Name, err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.recorded[s.Name] {
		return nil, fmt.Errorf("the step %s was made twice", s.Name)
	}
	h.recorded[s.Name] = true
	h.steps = append(h.steps, done)
	h.usage = h.usage.Add(result.Usage)
	if h.watcher.Step != nil {
		h.watcher.Step(done)
	}
	return done.Output, nil
}

// Past implements node.Host: a trial has one life.
func (*trialHost) Past(context.Context) (map[string]node.PastStep, error) {
	return map[string]node.PastStep{}, nil
}

// Answer implements node.Host: in a trial nobody is there to answer.
func (h *trialHost) Answer(context.Context, string) (*node.Answer, error) {
	return h.decides, nil
}
