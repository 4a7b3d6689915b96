package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
	"agentstudio/internal/schema"
	"agentstudio/internal/tool"
)

// run is one agent at work. One goroutine owns it, but for its purse and the
// time it has waited, which the agents it calls share.
type run struct {
	runner   *Runner
	call     node.Call
	past     map[string]node.PastStep
	parent   *run   // who called it; nil for the node's own agent
	prefix   string // of its steps' names: "turn-2/tool-1/"
	name     string // of a saved agent
	depth    int    // 1 for the node's own agent
	settings Settings
	model    llm.Model
	tools    map[string]tool.Tool
	others   map[string]other // agents it may call, by the name of the tool
	specs    []llm.ToolSpec
	shape    *schema.Schema
	purse    purse

	messages []llm.Message
	unsaid   []llm.Message // what the next turn adds, for the trace
	warned   bool
	repaired bool
	repeats  repeats
	began    time.Time    // with a limit of time
	waited   atomic.Int64 // for people, in nanoseconds: it does not count
	asks     []node.Ask   // what people are to be asked before it goes on
	handed   *Output      // what the agent answered that took over

	elsewhere map[string]bool // names of tools of whoever asks
	left      []llm.Block     // calls of those, with which the run ends
	since     []llm.Message   // what was added to the conversation it began with
	first     llm.Message     // of that conversation
	summary   string          // of turns that are no longer in messages; "": all are
	unfolded  bool            // the model gave no summary
	shown     int             // tokens that files in it take, about
}

// add appends to the conversation.
func (r *run) add(m llm.Message) {
	r.messages, r.since = append(r.messages, m), append(r.since, m)
}

// begin returns when the run began, in whichever process that was.
func (r *run) begin(ctx context.Context) (time.Time, error) {
	recorded, err := r.call.Step(ctx, node.Step{Name: r.prefix + "begin", Kind: "begin", Title: "Begin"}, func(context.Context) (node.StepResult, error) {
		return node.StepResult{Output: r.runner.now().UTC()}, nil
	})
	if err != nil {
		return time.Time{}, err
	}
	var at time.Time
	if err := json.Unmarshal(recorded, &at); err != nil {
		return at, fmt.Errorf("read when the agent began: %w", err)
	}
	return at, nil
}

// bounded gives what is done now the time that is left of the limits, its own
// and those of who called it. What was done before is not held against it
// again.
func (r *run) bounded(ctx context.Context) (context.Context, context.CancelFunc, error) {
	var end time.Time
	var over error
	for p := r; p != nil; p = p.parent {
		limit := p.settings.Limits.Timeout
		if limit <= 0 {
			continue
		}
		if at := p.began.Add(limit + time.Duration(p.waited.Load())); over == nil || at.Before(end) {
			end, over = at, fault.New(fault.Timeout, "%s reached its limit of %s", p.title(), limit).WithCode("time_limit")
		}
	}
	if over == nil {
		return ctx, func() {}, nil
	}
	if !r.runner.now().Before(end) {
		return nil, nil, over
	}
	ctx, cancel := context.WithDeadlineCause(ctx, end, over)
	return ctx, cancel, nil
}

// title names the agent in sentences.
func (r *run) title() string {
	if r.name != "" {
		return "the agent " + r.name
	}
	return "the agent"
}

func (r *run) loop(ctx context.Context) (*Output, error) {
	for turn := 1; ; turn++ {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := r.fold(ctx, turn); err != nil {
			return nil, err
		}
		answer, err := r.turn(ctx, turn)
		if err != nil {
			return nil, err
		}
		r.add(said(answer))
		switch calls := answer.ToolCalls(); {
		case answer.StopReason == llm.Refusal:
			return nil, fault.New(fault.Invalid, "the model %s refused to answer", answer.Model).WithCode("refused")
		case answer.StopReason == llm.Pause:
			r.unsaid = nil
		case len(calls) > 0 && answer.StopReason != llm.MaxTokens:
			if err := r.use(ctx, turn, calls); err != nil {
				return nil, err
			}
			if len(r.asks) > 0 {
				return &Output{Asks: r.asks}, nil
			}
			if r.handed != nil {
				return r.handed, nil
			}
			if len(r.left) > 0 {
				return r.leftWith(answer, turn), nil
			}
		default:
			out, err := r.finish(answer, turn)
			if out != nil || err != nil {
				return out, err
			}
		}
	}
}

// said is the message an answer adds to the conversation. Calls of an answer
// that was cut short are left out: nothing answers them.
func said(answer *llm.Response) llm.Message {
	m := answer.Message
	if answer.StopReason == llm.MaxTokens {
		m.Content = slices.DeleteFunc(slices.Clone(m.Content), func(b llm.Block) bool { return b.Type == llm.ToolCallBlock })
	}
	if len(m.Content) == 0 {
		m.Content = []llm.Block{{Type: llm.TextBlock, Text: "[cut short]"}}
	}
	return m
}

// turn asks the model once, or finds its answer in the record.
func (r *run) turn(ctx context.Context, n int) (*llm.Response, error) {
	request := r.request(n - 1)
	step := node.Step{Name: fmt.Sprintf("%sturn-%d", r.prefix, n), Kind: "turn", Title: r.settings.Models[0], Input: map[string]any{"messages": r.unsaid}}
	recorded, err := r.call.Step(ctx, step, func(ctx context.Context) (node.StepResult, error) {
		ctx, cancel, err := r.bounded(ctx)
		if err != nil {
			return node.StepResult{}, err
		}
		defer cancel()
		if err := r.take(); err != nil {
			return node.StepResult{}, err
		}
		if request.Messages, err = r.loaded(ctx, request.Messages); err != nil {
			r.spend(-1, node.Usage{})
			return node.StepResult{}, err
		}
		response, err := r.model.Generate(ctx, request, r.stream)
		if err != nil {
			r.spend(-1, node.Usage{})
			if cause := context.Cause(ctx); cause != nil && fault.As(cause) != nil {
				err = cause
			}
			return node.StepResult{}, err
		}
		mend(response.Message.Content)
		u := usageOf(response)
		r.spend(0, u)
		return node.StepResult{Output: response, Usage: u}, nil
	})
	if err != nil {
		return nil, err
	}
	var answer llm.Response
	if err := json.Unmarshal(recorded, &answer); err != nil {
		return nil, fmt.Errorf("read the recorded answer: %w", err)
	}
	return &answer, nil
}

// mend keeps arguments that are no JSON as a text, so that they can be stored;
// the schema of the tool refuses them and the model learns of it.
func mend(blocks []llm.Block) {
	for i, b := range blocks {
		if len(b.Arguments) > 0 && !json.Valid(b.Arguments) {
			blocks[i].Arguments, _ = json.Marshal(string(b.Arguments)) // a string: always written
		}
	}
}

func (r *run) request(before int) llm.Request {
	s := r.settings
	messages, cut := fit(remember(r.messages, s.Window), r.room())
	if cut != "" {
		r.call.Log("warn", cut, nil)
	}
	system := s.System
	if r.shape != nil {
		system += "\n\nAnswer with JSON only, without any text around it, that fits this JSON Schema:\n" + string(s.OutputSchema)
	}
	return llm.Request{System: system, Messages: messages, Tools: r.specs, MaxTokens: s.MaxTokens, Temperature: s.Temperature,
		OutputSchema: s.OutputSchema, Script: s.Script, Turn: before,
		Caller: r.caller()}
}

// caller is on whose behalf models are called.
func (r *run) caller() llm.Caller {
	return llm.Caller{UserID: r.call.UserID, WorkspaceID: r.call.WorkspaceID, WorkflowID: r.call.WorkflowID, ExecutionID: r.call.ExecutionID, NodeID: r.call.NodeID,
		Agent: r.settings.AgentID, Above: r.above(), APIKeyID: r.call.APIKeyID}
}

// above are the saved agents that called this one, the outermost first.
func (r *run) above() []string {
	var ids []string
	for p := r.parent; p != nil; p = p.parent {
		if p.settings.AgentID != "" {
			ids = append(ids, p.settings.AgentID)
		}
	}
	slices.Reverse(ids)
	return ids
}

func (r *run) stream(p llm.Part) {
	d := r.delta(string(p.Type), p.Text)
	if p.Type == llm.ToolCallPart {
		d.Data = map[string]string{"id": p.ID, "name": p.Name}
	}
	r.call.Delta(d)
}

func (r *run) delta(kind, text string) node.Delta {
	d := node.Delta{Kind: kind, Text: text}
	if r.parent != nil {
		d.Agent, d.Step = r.name, strings.TrimSuffix(r.prefix, "/")
	}
	return d
}

func usageOf(response *llm.Response) node.Usage {
	u := node.Usage{Model: response.Model, Input: response.Usage.Input, Output: response.Usage.Output,
		CacheRead: response.Usage.CacheRead, CacheWrite: response.Usage.CacheWrite, CostUnknown: response.CostMicros == nil}
	if response.CostMicros != nil {
		u.CostMicros = *response.CostMicros
	}
	return u
}

// finish turns the last answer into the output. nil, nil asks for one more
// turn: the model is shown what is wrong with its answer.
func (r *run) finish(answer *llm.Response, turn int) (*Output, error) {
	out := &Output{Text: answer.Text(), Model: answer.Model, StopReason: answer.StopReason, Steps: turn, Demo: answer.Demo}
	r.purse.total(out)
	if r.shape == nil {
		return out, nil
	}
	data, wrong := r.read(out.Text)
	if wrong == "" {
		out.Data = data
		return out, nil
	}
	if r.repaired {
		return nil, fault.New(fault.Invalid, "the answer does not fit output_schema, even after a second try: %s", wrong).WithCode("invalid_output")
	}
	r.repaired = true
	again := llm.Text(llm.User, "Your answer does not fit the schema:\n"+wrong+"\nAnswer again, with corrected JSON only.")
	r.add(again)
	r.unsaid = []llm.Message{again}
	return nil, nil //nolint:nilnil // neither an output nor a failure: ask again
}

// read parses and validates a structured answer; wrong says what is amiss.
func (r *run) read(text string) (data any, wrong string) {
	if err := json.Unmarshal([]byte(unfence(text)), &data); err != nil {
		return nil, "- it is not JSON: " + err.Error()
	}
	for _, f := range r.shape.Validate(data) {
		where := f.Path
		if where == "" {
			where = "the answer"
		}
		wrong += "- " + where + ": " + f.Message + "\n"
	}
	return data, wrong
}
