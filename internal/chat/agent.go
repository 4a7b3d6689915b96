package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/agent"
	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
)

// askAgent has an agent answer. Its own tools run here; with the calls of the
// question's tools it ends, and what it had done until then is kept, so that it
// goes on from there when their results come.
func (s *Service) askAgent(ctx context.Context, by access.Actor, workspaceID string, m Model, q Question, onText func(string)) (*Answer, error) {
	messages, err := s.restore(ctx, owner(by, workspaceID, m), q.Messages)
	if err != nil {
		return nil, err
	}
	a, err := s.agents.Find(ctx, by, m.is)
	if err != nil {
		return nil, err
	}
	said := &speech{onText: onText}
	whole := len(q.OutputSchema)+len(a.OutputSchema) > 0 // it may need a second try: only the last is told
	t, err := s.agents.Converse(ctx, by, m.is, agent.Conversation{Messages: messages, System: q.System, Tools: q.Tools, MaxTokens: q.MaxTokens, Temperature: q.Temperature, OutputSchema: q.OutputSchema},
		agent.Watcher{Delta: func(d node.Delta) {
			switch {
			case whole || d.Agent != "" || d.Step != "":
			case d.Kind == string(llm.TextPart):
				said.say(d.Text)
			case d.Kind != string(llm.ThinkingPart):
				said.gap = true
			}
		}})
	if err != nil {
		return nil, err
	}
	out := &Answer{Model: m.ID, Usage: llm.Usage{Input: t.Usage.Input, Output: t.Usage.Output, CacheRead: t.Usage.CacheRead, CacheWrite: t.Usage.CacheWrite}}
	if f := fault.As(t.Err); f != nil && f.Code == "refused" {
		out.Text, out.Stop = string(said.all), llm.Refusal
		return out, nil
	}
	if t.Err != nil {
		return nil, t.Err
	}
	if o := t.Output; whole || o.Agent != "" || len(said.all) == 0 {
		said.gap = true
		said.say(o.Text)
	}
	out.Text, out.Stop, out.Demo = string(said.all), t.Output.StopReason, t.Output.Demo
	out.Calls, err = s.keep(ctx, owner(by, workspaceID, m), t.Output)
	return out, err
}

// keptFor is how long a conversation may wait for the results of its calls and
// still go on with everything the agent had done.
const keptFor = 24 * time.Hour

// mostKept bounds what is kept, in bytes.
const mostKept = 4 << 20

// kept is what an agent did and said until it called tools of whoever asked.
type kept struct {
	Messages []llm.Message     `json:"messages"`
	IDs      map[string]string `json:"ids"` // of the calls: as told, as the model said
}

func owner(by access.Actor, workspaceID string, m Model) string {
	return "chat:" + workspaceID + ":" + m.is + ":" + by.UserID
}

// callPrefix begins the ids of calls; the number of the call follows the key
// that everything is kept under.
const callPrefix = "call_"

func (s *Service) keep(ctx context.Context, owner string, o *agent.Output) ([]llm.Block, error) {
	if len(o.Calls) == 0 {
		return nil, nil
	}
	key := strings.ReplaceAll(s.cfg.NewID(), "-", "")
	k := kept{Messages: o.Said, IDs: map[string]string{}}
	calls := make([]llm.Block, len(o.Calls))
	for i, c := range o.Calls {
		calls[i] = c
		calls[i].ID = fmt.Sprintf("%s%s_%d", callPrefix, key, i+1)
		k.IDs[calls[i].ID] = c.ID
	}
	text, err := json.Marshal(k)
	if err != nil {
		return nil, fmt.Errorf("keep a conversation: %w", err)
	}
	if len(text) > mostKept {
		return nil, fault.New(fault.TooLarge, "what the agent has done until it called your tools is over %d MiB", mostKept>>20)
	}
	return calls, s.shelf.Keep(ctx, owner, callPrefix+key, text, s.cfg.Now().Add(keptFor))
}

// restore puts what agents had done in the place of the calls that were told
// of it. Calls that nothing is kept of stay as they are.
func (s *Service) restore(ctx context.Context, owner string, messages []llm.Message) ([]llm.Message, error) {
	var out []llm.Message
	ids := map[string]string{}
	for _, m := range messages {
		if key := keyOf(m); key != "" {
			text, err := s.shelf.Kept(ctx, owner, key, s.cfg.Now())
			if err == nil {
				var k kept
				if err := json.Unmarshal(text, &k); err != nil {
					return nil, fmt.Errorf("read a kept conversation: %w", err)
				}
				ids = k.IDs
				out = append(out, k.Messages...)
				continue
			}
			if !fault.Is(err, fault.NotFound) {
				return nil, err
			}
		}
		if m.Role != llm.Tool {
			out = append(out, m)
			continue
		}
		results := make([]llm.Block, len(m.Content))
		for i, b := range m.Content {
			results[i] = b
			if id, known := ids[b.ID]; known {
				results[i].ID = id
			}
		}
		if n := len(out); n > 0 && out[n-1].Role == llm.Tool {
			results = append(out[n-1].Content, results...)
			out = out[:n-1]
		}
		out = append(out, llm.Message{Role: llm.Tool, Content: results})
	}
	return out, nil
}

// keyOf is what is kept of the calls in a message, "" when they are not ours.
func keyOf(m llm.Message) string {
	const length = len(callPrefix) + 32
	for _, b := range m.Content {
		if m.Role == llm.Assistant && b.Type == llm.ToolCallBlock && strings.HasPrefix(b.ID, callPrefix) && len(b.ID) > length && b.ID[length] == '_' {
			return b.ID[:length]
		}
	}
	return ""
}
