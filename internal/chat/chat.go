// Package chat lets what was built here be talked to as a model is: saved
// agents, and published workflows with a chat trigger. A question is a whole
// conversation; whoever asks may bring tools, whose calls come back to them.
package chat

import (
	"context"
	"encoding/json"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/agent"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/workflow"
)

// Agents are the saved agents.
type Agents interface {
	Find(ctx context.Context, by access.Actor, id string) (*agent.Agent, error)
	List(ctx context.Context, by access.Actor, workspaceID string, f agent.Filter) ([]agent.Agent, int, error)
	Converse(ctx context.Context, by access.Actor, id string, in agent.Conversation, w agent.Watcher) (*agent.Trial, error)
}

// Workflows knows which workflows can be talked to.
type Workflows interface {
	Offered(ctx context.Context, by access.Actor, workspaceID, triggerType string) ([]workflow.Offer, error)
}

// Executions runs workflows.
type Executions interface {
	Run(ctx context.Context, by access.Actor, in execution.StartInput, responded bool, limit time.Duration) (*execution.Execution, error)
	Cancel(ctx context.Context, by access.Actor, id string) (*execution.Execution, error)
}

// Listener hears what executions say on their way.
type Listener interface {
	Subscribe(rooms ...string) event.Subscription
}

// Shelf keeps texts for a time, for every process of the studio.
type Shelf interface {
	Keep(ctx context.Context, owner, key string, text []byte, until time.Time) error
	// Kept returns what was kept. NotFound: nothing is.
	Kept(ctx context.Context, owner, key string, now time.Time) ([]byte, error)
}

// Config adjusts a Service. NewID must be set.
type Config struct {
	NewID func() string
	Now   func() time.Time
	// Longest is how long an answer of a workflow is waited for; 10 min.
	Longest time.Duration
}

// Service holds the use cases. It is safe for concurrent use.
type Service struct {
	agents     Agents
	workflows  Workflows
	executions Executions
	bus        Listener
	shelf      Shelf
	cfg        Config
}

// New returns the use cases.
func New(agents Agents, workflows Workflows, executions Executions, bus Listener, shelf Shelf, cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Longest <= 0 {
		cfg.Longest = 10 * time.Minute
	}
	return &Service{agents: agents, workflows: workflows, executions: executions, bus: bus, shelf: shelf, cfg: cfg}
}

// Question is what a model is asked.
type Question struct {
	Model        string // the id of one of Models
	System       string
	Messages     []llm.Message // the last one from the user or with results of tools
	Tools        []llm.ToolSpec
	MaxTokens    int
	Temperature  *float64
	OutputSchema json.RawMessage
}

// Answer is what it said.
type Answer struct {
	Model string // as it is listed
	// Text is everything that was said, also between uses of tools.
	Text string
	// Calls are calls of the Question's tools. The conversation goes on with a
	// message that holds them, and one that holds their results.
	Calls []llm.Block
	Stop  llm.StopReason
	Usage llm.Usage
	Demo  bool // the offline demo model answered
}

// Ask answers a question. onText, when not nil, hears the text as it comes, in
// the calling goroutine or one that has ended when Ask returns. NotFound, code
// model_not_found: there is no such model. When ctx ends, so does the work.
func (s *Service) Ask(ctx context.Context, by access.Actor, workspaceID string, q Question, onText func(string)) (*Answer, error) {
	if err := by.Need(workspaceID, access.Execute); err != nil {
		return nil, err
	}
	m, err := s.Model(ctx, by, workspaceID, q.Model)
	if err != nil {
		return nil, err
	}
	if n := len(q.Messages); n == 0 || q.Messages[n-1].Role == llm.Assistant {
		return nil, refuse("messages", "the last message comes from the user, or holds the results of tools")
	}
	if m.offer != nil {
		return s.askWorkflow(ctx, by, workspaceID, m, q, onText)
	}
	return s.askAgent(ctx, by, workspaceID, m, q, onText)
}

func refuse(place, message string) error {
	return fault.InvalidInput(fault.Detail{Location: "body." + place, Message: message})
}

// speech puts together what is said in pieces.
type speech struct {
	onText func(string)
	all    []byte
	part   int  // where the present part begins
	gap    bool // what comes next is a new part
}

func (t *speech) say(text string) {
	if text == "" {
		return
	}
	if t.gap && len(t.all) > 0 {
		t.tell("\n\n")
		t.part = len(t.all)
	}
	t.gap = false
	t.tell(text)
}

func (t *speech) tell(text string) {
	t.all = append(t.all, text...)
	if t.onText != nil {
		t.onText(text)
	}
}

// latest is what the present part says.
func (t *speech) latest() string { return string(t.all[t.part:]) }
