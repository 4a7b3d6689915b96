package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
)

// asking says that an agent which was called waits for people.
type asking struct{ asks []node.Ask }

func (a *asking) Error() string { return "an agent waits for people" }

// errand is what a model says when it calls another agent.
type errand struct {
	Task      string         `json:"task"`
	Reason    string         `json:"reason"`
	Variables map[string]any `json:"variables"`
}

// read checks the arguments of a call; wrong says what is amiss.
func (o other) read(arguments json.RawMessage) (e errand, wrong string) {
	var value any
	if err := json.Unmarshal(arguments, &value); err != nil {
		return e, "the arguments are not JSON: " + err.Error()
	}
	for _, f := range o.rules.Validate(value) {
		wrong += "\n- " + f.Path + ": " + f.Message
	}
	if wrong != "" {
		return e, "the arguments do not fit:" + wrong
	}
	if err := json.Unmarshal(arguments, &e); err != nil {
		return e, "the arguments do not fit: " + err.Error()
	}
	return e, ""
}

// answered is the result of an agent that was called.
type answered struct {
	Agent string `json:"agent"`
	Text  string `json:"text"`
	Data  any    `json:"data,omitempty"`
	Steps int    `json:"steps"`
	Model string `json:"model"`
}

// delegate gives a task to another agent. The agent's own turns and tools are
// steps under this one, so that it goes on after a crash where it was. A
// failure of its own is for the model; one that is not ends the run.
func (r *run) delegate(ctx context.Context, name string, o other, arguments json.RawMessage) (outcome, error) {
	e, wrong := o.read(arguments)
	if wrong != "" {
		return outcome{Text: wrong, Failed: true}, nil
	}
	out, err := r.runner.work(ctx, start{call: r.call, past: r.past, parent: r, prefix: name + "/",
		settings: Settings{AgentID: o.ID, Variables: e.Variables}, messages: []llm.Message{llm.Text(llm.User, e.Task)}})
	switch {
	case err != nil && ctx.Err() != nil:
		return outcome{}, context.Cause(ctx)
	case err != nil && r.spent() != nil:
		return outcome{}, r.spent()
	case err != nil && !forModel(err):
		return outcome{}, err
	case err != nil:
		return outcome{Text: "the agent " + o.Name + " failed: " + words(err), Failed: true}, nil
	case len(out.Asks) > 0:
		return outcome{}, &asking{out.Asks}
	}
	result := answered{Agent: o.Name, Text: out.Text, Data: out.Data, Steps: out.Steps, Model: out.Model}
	if out.Agent != "" {
		result.Agent = out.Agent
	}
	return outcome{Text: out.Text, Value: result}, nil
}

// forModel reports whether a model can do something about an agent's failure.
// What passes by itself is left to the retries of the node.
func forModel(err error) bool {
	f := fault.As(err)
	return f != nil && !llm.Transient(err) && f.Kind != fault.Unavailable && f.Kind != fault.Cancelled && f.Code != "budget_exceeded"
}

// handOver gives the conversation to another agent, whose answer is the run's.
func (r *run) handOver(ctx context.Context, name string, o other, c llm.Block, conversation []llm.Message) error {
	e, wrong := o.read(c.Arguments)
	if wrong != "" {
		return fault.New(fault.Invalid, "the conversation cannot be handed over to %s: %s", o.Name, wrong)
	}
	step := node.Step{Name: name, Kind: "handoff", Title: o.Name, Input: c.Arguments}
	recorded, err := r.call.Step(ctx, step, func(ctx context.Context) (node.StepResult, error) {
		said := llm.Text(llm.User, "[The conversation was handed over to you, because: "+e.Reason+"]")
		settings := Settings{AgentID: o.ID, Variables: e.Variables}
		if len(r.settings.OutputSchema) > 0 {
			settings.OutputSchema = r.settings.OutputSchema // whoever asked expects it
		}
		out, err := r.runner.work(ctx, start{call: r.call, past: r.past, parent: r, prefix: name + "/", settings: settings, messages: merge(append(transcript(conversation), said))})
		if err == nil && len(out.Asks) > 0 {
			err = &asking{out.Asks}
		}
		if err == nil && out.Agent == "" {
			out.Agent = o.Name
		}
		return node.StepResult{Output: out}, err
	})
	var waits *asking
	if errors.As(err, &waits) {
		r.asks = append(r.asks, waits.asks...)
		return nil
	}
	if err != nil {
		return err
	}
	r.handed = &Output{}
	if err := json.Unmarshal(recorded, r.handed); err != nil {
		return fmt.Errorf("read the recorded answer of %s: %w", o.Name, err)
	}
	r.purse.total(r.handed)
	return nil
}

// transcript is a conversation as another agent can read it, which has other
// tools: calls and results become words.
func transcript(messages []llm.Message) []llm.Message {
	var out []llm.Message
	for _, m := range messages {
		said := llm.Message{Role: m.Role}
		if m.Role == llm.Tool {
			said.Role = llm.User
		}
		for _, b := range m.Content {
			switch b.Type {
			case llm.ThinkingBlock:
			case llm.ToolCallBlock:
				said.Content = append(said.Content, llm.Block{Type: llm.TextBlock, Text: "[used " + b.Name + " with " + string(b.Arguments) + "]"})
			case llm.ToolResultBlock:
				said.Content = append(said.Content, llm.Block{Type: llm.TextBlock, Text: "[" + b.Name + " answered: " + b.Text + "]"})
			default:
				said.Content = append(said.Content, b)
			}
		}
		if len(said.Content) > 0 {
			out = append(out, said)
		}
	}
	return out
}

// merge joins neighbours of one role, as providers want them.
func merge(messages []llm.Message) []llm.Message {
	var out []llm.Message
	for _, m := range messages {
		if n := len(out); n > 0 && out[n-1].Role == m.Role {
			out[n-1].Content = append(out[n-1].Content[:len(out[n-1].Content):len(out[n-1].Content)], m.Content...)
			continue
		}
		out = append(out, m)
	}
	return out
}

// handoffs returns the call that hands the conversation over, -1 for none. A
// second one in the same turn is refused.
func (r *run) handoffs(calls []llm.Block, refusals []string) int {
	at := -1
	for i, c := range calls {
		o, known := r.others[c.Name]
		if !known || !o.Handoff {
			continue
		}
		if _, wrong := o.read(c.Arguments); wrong != "" {
			refusals[i] = wrong
			continue
		}
		if at >= 0 {
			refusals[i] = "the conversation goes to " + strings.TrimPrefix(calls[at].Name, "handoff_") + " already"
			continue
		}
		at = i
	}
	return at
}
