// Package agent runs an agent: a model in a loop with tools, until it answers,
// meets its schema, or reaches a limit. Every answer of the model and every
// result of a tool is a durable step, so an agent that lost its process goes
// on from the last one.
package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
	"agentstudio/internal/schema"
	"agentstudio/internal/tool"
)

// Saved finds saved agents; *Agents of the store is one.
type Saved interface {
	// Find returns the agent. NotFound: the workspace has none of the id.
	Find(ctx context.Context, workspaceID, id string) (*Agent, error)
}

// Models finds the model that answers.
type Models interface {
	// Model returns the model for a list of names, the later ones standing in
	// for the earlier on overload or outage. NotFound names what there is.
	Model(names []string) (llm.Model, error)
	// ContextTokens returns the size of the smallest window among the named
	// models; 0 when it is not known.
	ContextTokens(names []string) int
}

// Settings are what an agent is for one run.
type Settings struct {
	// AgentID names the saved agent these settings are laid over: what they
	// say counts, what they leave out is the saved agent's. "": none.
	AgentID   string
	Variables map[string]any // what the saved agent's instructions read

	SubAgents []string // ids of saved agents it gives tasks to
	Handoffs  []string // ids of saved agents it may hand the conversation over to

	Models       []string // "provider/name"; empty means "default"
	System       string
	Tools        []string
	Temperature  *float64
	MaxTokens    int             // of one answer; 0: the provider's default
	OutputSchema json.RawMessage // nil: free text
	Limits       Limits
	Permissions  Permissions
	Window       int             // turns that are remembered; 0: as many as fit
	Summary      bool            // a running summary stands for turns that are older, in place of a Window
	SummaryAt    float64         // the share of the model's window at which it is made; 0: 0.7
	Script       json.RawMessage // for the demo model
}

// Limits bound a run. They are checked before each call, and a run that is
// taken up again keeps what it has used.
type Limits struct {
	MaxSteps  int           `json:"max_steps,omitempty"`       // answers of the model; 20
	MaxCost   int64         `json:"max_cost_micros,omitempty"` // micro-dollars; 0: no bound
	MaxTokens int64         `json:"max_tokens,omitempty"`      // of all questions and answers, cached ones included; 0: no bound
	Timeout   time.Duration `json:"timeout,omitempty"`         // of the whole run; 0: no bound but the node's
}

// Defaults of limits.
const (
	defaultSteps = 20
	// maxRepeats is how many calls in a row of one tool, with the same
	// arguments and the same result, end a run.
	maxRepeats = 3
)

// Output is a finished run.
type Output struct {
	Text       string
	Data       any // with an OutputSchema
	Model      string
	StopReason llm.StopReason
	Steps      int
	Usage      llm.Usage
	CostMicros *int64 // nil when a part of it has no known price
	Demo       bool
	Agent      string // who answered, when the conversation was handed over
	// Calls are calls of tools that whoever asks has offered, see Conversation:
	// the run ends with them, and goes on in a conversation that holds their
	// results.
	Calls []llm.Block `json:",omitempty"`
	// Said is what the run added to its conversation, up to the Calls.
	Said []llm.Message `json:",omitempty"`
	// Asks, when there are any, is all there is: people are to be asked before
	// the run goes on. Run it again when one of them is answered.
	Asks []node.Ask
	// Child, when it is set, is all there is: the workflow is run before the run
	// goes on. Run it again when that has ended.
	Child *node.ChildStart
}

// Runner runs agents. It is safe for concurrent use.
type Runner struct {
	models  Models
	tools   *tool.Catalogue
	source  tool.Source
	saved   Saved
	gate    *tool.Gate
	tracer  Tracer
	files   Files
	blind   func(models []string) []string
	now     func() time.Time
	schemas schema.Cache
}

// RunnerConfig adjusts a Runner. Its zero value runs agents that are not saved.
type RunnerConfig struct {
	Saved Saved // finds saved agents; nil: there are none
	// Source has the tools of workspaces; nil: there are none.
	Source tool.Source
	Files  Files // has the files of workspaces; nil: there are none
	// Blind returns those of the named models that are known to read texts only.
	// nil: none are.
	Blind func(models []string) []string
	Now   func() time.Time // the clock; nil: time.Now
	// Gate is what the calls of tools pass; nil: one of their own, which tells
	// nobody of them.
	Gate *tool.Gate
	// Tracer follows agents at work; nil: nobody does.
	Tracer Tracer
}

// Tracer tells others which agents work and how long it takes. It must not
// block.
type Tracer interface {
	// Agent hears of an agent that sets to work, also of one that was called by
	// another. What is begun within its
	// context belongs to it. name is that of the node for one that is not saved.
	// end hears what it has used, in this go.
	Agent(ctx context.Context, id, name string, models []string) (_ context.Context, end func(used llm.Usage, err error))
}

// NewRunner returns a runner.
func NewRunner(models Models, tools *tool.Catalogue, cfg RunnerConfig) *Runner {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Gate == nil {
		cfg.Gate = tool.NewGate(tool.GateConfig{Now: cfg.Now})
	}
	return &Runner{models: models, tools: tools, source: cfg.Source, saved: cfg.Saved, gate: cfg.Gate, tracer: cfg.Tracer, files: cfg.Files, blind: cfg.Blind, now: cfg.Now}
}

// Run answers a prompt as the agent the settings describe, on behalf of a
// node. The faults it adds to those of the model have the codes step_limit,
// cost_limit, token_limit, time_limit, loop_detected, invalid_output,
// unknown_agent and refused; what was said until then is in the node's steps.
func (r *Runner) Run(ctx context.Context, c node.Call, s Settings, prompt []llm.Block) (*Output, error) {
	past, err := c.Past(ctx)
	if err != nil {
		return nil, err
	}
	begin := start{call: c, past: past, settings: s, messages: []llm.Message{{Role: llm.User, Content: prompt}}}
	return parked(r.work(ctx, begin))
}

// start is how a run begins: that of a node's own agent, or of one that was
// called.
type start struct {
	call     node.Call
	past     map[string]node.PastStep
	parent   *run
	prefix   string // of its steps' names
	settings Settings
	messages []llm.Message
	added    string         // instructions behind the agent's own
	offered  []llm.ToolSpec // tools of whoever asks
}

func (r *Runner) work(ctx context.Context, s start) (*Output, error) {
	settings, name, err := r.settle(ctx, s)
	if err != nil {
		return nil, err
	}
	run, err := r.prepare(settings)
	if err != nil {
		return nil, err
	}
	run.call, run.past, run.parent, run.prefix, run.name, run.depth = s.call, s.past, s.parent, s.prefix, name, 1
	if s.parent != nil {
		run.depth = s.parent.depth + 1
	}
	run.purse.remember(s.past, s.prefix)
	if r.tracer == nil {
		return run.setOut(ctx, s)
	}
	return run.followed(ctx, s)
}

// followed sets to work with a tracer behind it.
func (r *run) followed(ctx context.Context, s start) (*Output, error) {
	before := r.purse.usage
	ctx, end := r.runner.tracer.Agent(ctx, r.settings.AgentID, cmp.Or(r.name, r.call.NodeTitle), r.settings.Models)
	out, err := r.setOut(ctx, s)
	used := r.purse.usage
	failure := err
	if child := (*calling)(nil); errors.As(err, &child) { // it goes to rest
		failure = nil
	}
	end(llm.Usage{Input: used.Input - before.Input, Output: used.Output - before.Output, CacheRead: used.CacheRead - before.CacheRead, CacheWrite: used.CacheWrite - before.CacheWrite}, failure)
	return out, err
}

// setOut gathers what the agent works with, and lets it work.
func (r *run) setOut(ctx context.Context, s start) (_ *Output, err error) {
	if err := r.reach(ctx); err != nil {
		return nil, err
	}
	if err := r.meet(ctx); err != nil {
		return nil, err
	}
	if err := r.offer(s); err != nil {
		return nil, err
	}
	r.messages = s.messages
	if err := r.attach(ctx); err != nil {
		return nil, err
	}
	r.unsaid, r.first = r.messages, r.messages[0]
	if r.settings.Limits.Timeout > 0 {
		if r.began, err = r.begin(ctx); err != nil {
			return nil, err
		}
	}
	return r.loop(ctx)
}

// prepare checks the settings before anything is asked.
func (r *Runner) prepare(s Settings) (*run, error) {
	if len(s.Models) == 0 {
		s.Models = []string{"default"}
	}
	if s.Limits.MaxSteps <= 0 {
		s.Limits.MaxSteps = defaultSteps
	}
	if mode := s.Permissions.Mode; mode != "" && !slices.Contains(modes(), mode) {
		return nil, fault.New(fault.Invalid, "permissions.mode is %q: it is one of %v, written out", mode, modes())
	}
	model, err := r.models.Model(s.Models)
	if err != nil {
		return nil, err
	}
	out := &run{runner: r, settings: s, model: model, tools: map[string]tool.Tool{}, purse: purse{limits: s.Limits}}
	for _, name := range s.Tools {
		if r.sourced(name) {
			continue // reach finds it
		}
		t, err := r.tools.Find(name)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%s", fault.Message(err))
		}
		if t.Configured != nil && !t.Configured() {
			return nil, fault.New(fault.NotConfigured, "the tool %s is not set up here", name)
		}
		out.tools[name] = t
		out.specs = append(out.specs, llm.ToolSpec{Name: t.Name, Description: t.Description, Schema: t.Schema})
	}
	if len(s.OutputSchema) > 0 {
		if out.shape, err = r.schemas.Compile(s.OutputSchema); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "output_schema cannot be used: %s", err)
		}
	}
	return out, nil
}
