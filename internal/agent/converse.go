package agent

import (
	"context"
	"encoding/json"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
)

// Conversation is what an agent is asked that is talked to as a model is.
type Conversation struct {
	Messages []llm.Message // the last one from the user or with results of tools
	System   string        // instructions behind the agent's own
	// Tools are those of whoever asks: the model is offered them beside the
	// agent's own, and the run ends with its calls of them.
	Tools        []llm.ToolSpec
	MaxTokens    int             // of one answer; the agent's own bound holds beside it
	Temperature  *float64        // in place of the agent's own
	OutputSchema json.RawMessage // in place of the agent's own
}

// Converse has an agent answer a conversation, as Try does. Nobody can be asked
// in it: where a person would be, the call is refused to the model. Invalid,
// code tool_name_taken: the agent has a tool that is called as one of Tools.
func (s *Service) Converse(ctx context.Context, by access.Actor, id string, in Conversation, w Watcher) (*Trial, error) {
	a, err := s.load(ctx, by, id, access.Execute)
	if err != nil {
		return nil, err
	}
	settings := Settings{AgentID: a.ID, MaxTokens: in.MaxTokens, Temperature: in.Temperature, OutputSchema: in.OutputSchema}
	if a.MaxTokens > 0 && in.MaxTokens > a.MaxTokens {
		settings.MaxTokens = a.MaxTokens
	}
	now := s.now()
	refuses := &node.Answer{Decision: node.Rejected, Comment: "it needs somebody's consent, and nobody can be asked in this conversation", Asked: now, At: now}
	return s.try(ctx, by, a, start{settings: settings, messages: in.Messages, added: in.System, offered: in.Tools}, &trialHost{watcher: w, decides: refuses})
}

// offer adds what whoever asks has brought.
func (r *run) offer(s start) error {
	if s.added != "" {
		if r.settings.System != "" {
			r.settings.System += "\n\n"
		}
		r.settings.System += s.added
	}
	taken := map[string]bool{}
	for _, t := range r.specs {
		taken[t.Name] = true
	}
	r.elsewhere = make(map[string]bool, len(s.offered))
	for _, t := range s.offered {
		if taken[t.Name] {
			return fault.New(fault.Invalid, "%s has a tool called %s itself: give yours another name", r.title(), t.Name).WithCode("tool_name_taken")
		}
		taken[t.Name], r.elsewhere[t.Name] = true, true
		r.specs = append(r.specs, t)
	}
	return nil
}

// keepOwn adds the results of the agent's own tools to the conversation; those
// of the calls that are left come from whoever asked.
func (r *run) keepOwn(calls, results []llm.Block) {
	var own []llm.Block
	for i, c := range calls {
		if !r.elsewhere[c.Name] {
			own = append(own, results[i])
		}
	}
	if len(own) > 0 {
		r.add(llm.Message{Role: llm.Tool, Content: own})
	}
}

// leftWith is the output of a run that ends with calls of others' tools.
func (r *run) leftWith(answer *llm.Response, turn int) *Output {
	out := &Output{Text: answer.Text(), Model: answer.Model, StopReason: llm.ToolUse, Steps: turn, Demo: answer.Demo, Calls: r.left, Said: r.since}
	r.purse.total(out)
	return out
}
