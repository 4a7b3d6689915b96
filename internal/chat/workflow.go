package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
)

// maxHistory is how much of a conversation a chat trigger takes.
const maxHistory = 1000

// turn is one message of a conversation as a chat trigger takes it.
type turn struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// message is what a chat trigger starts with.
type message struct {
	Message string `json:"message"`
	History []turn `json:"history"`
}

// askWorkflow has a workflow answer: an execution, which is cancelled when
// nobody waits for it any more.
func (s *Service) askWorkflow(ctx context.Context, by access.Actor, workspaceID string, m Model, q Question, onText func(string)) (*Answer, error) {
	in, err := words(q)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("write the trigger data: %w", err)
	}
	start := execution.StartInput{WorkspaceID: workspaceID, WorkflowID: m.is, Version: m.offer.Version, TriggerType: "chat", StartNode: m.offer.NodeID, TriggerData: data, ID: s.cfg.NewID()}
	said := &speech{onText: onText}
	silent := func() {}
	if onText != nil {
		silent = s.follow(start.ID, m.offer.Ends, said)
	}
	x, err := s.executions.Run(ctx, by, start, true, s.cfg.Longest)
	silent()
	if ctx.Err() != nil {
		s.abandon(ctx, by, start.ID)
		return nil, fault.Wrap(fault.Cancelled, context.Cause(ctx), "nobody waits for the answer any more")
	}
	if err != nil {
		return nil, inBody(err)
	}
	if err := failure(x, s.cfg.Longest); err != nil {
		return nil, err
	}
	said.finish(reply(x))
	u := x.Usage
	return &Answer{Model: m.ID, Text: string(said.all), Stop: llm.EndTurn, Usage: llm.Usage{Input: u.Input, Output: u.Output, CacheRead: u.CacheRead, CacheWrite: u.CacheWrite}}, nil
}

// words is a conversation of texts. Invalid: it holds what a workflow cannot be
// told.
func words(q Question) (message, error) {
	var faults []fault.Detail
	find := func(place, format string, args ...any) {
		faults = append(faults, fault.Detail{Location: "body." + place, Code: "unsupported", Message: fmt.Sprintf(format, args...)})
	}
	if len(q.Tools) > 0 {
		find("tools", "a workflow works with its own tools only: leave these out, or ask an agent")
	}
	if len(q.OutputSchema) > 0 {
		find("response_format", "a workflow answers in its own form: leave this out, or ask an agent")
	}
	in := message{History: []turn{}}
	if q.System != "" {
		in.History = append(in.History, turn{"system", q.System})
	}
	for i, m := range q.Messages {
		var texts []string
		for _, b := range m.Content {
			if b.Type != llm.TextBlock {
				find(fmt.Sprintf("messages[%d]", i), "a workflow takes texts only, this is a %s: leave it out, or ask an agent", strings.ReplaceAll(string(b.Type), "_", " "))
				continue
			}
			texts = append(texts, b.Text)
		}
		in.History = append(in.History, turn{string(m.Role), strings.Join(texts, "\n\n")})
	}
	if len(faults) > 0 {
		return in, fault.InvalidInput(faults...)
	}
	last := len(in.History) - 1
	in.Message, in.History = in.History[last].Content, in.History[:last]
	in.History = in.History[max(0, len(in.History)-maxHistory):]
	if in.Message == "" {
		return in, refuse("messages", "the last message is empty")
	}
	return in, nil
}

// inBody says where in the request the trigger data came from.
func inBody(err error) error {
	if f := fault.As(err); f != nil {
		for i, d := range f.Details {
			f.Details[i].Location = strings.Replace(d.Location, "body.trigger_data", "body.messages", 1)
		}
	}
	return err
}

// follow tells what the nodes that end the workflow say as they say it, until
// the function it returns is called.
func (s *Service) follow(executionID string, ends []string, said *speech) (silent func()) {
	sub := s.bus.Subscribe(event.ExecutionRoom(executionID))
	quit, over := make(chan struct{}), make(chan struct{})
	hear := func(e *event.Event) {
		var d struct {
			NodeID string `json:"node_id"`
			Status string `json:"status"`
			Kind   string `json:"kind"`
			Text   string `json:"text"`
			Agent  string `json:"agent"`
		}
		if e == nil || e.Type != event.NodeOutput && e.Type != event.NodeUpdate || json.Unmarshal(e.Data, &d) != nil || !slices.Contains(ends, d.NodeID) || d.Agent != "" {
			return
		}
		switch {
		case e.Type == event.NodeUpdate:
			said.gap = said.gap || d.Status == "running" // another try, or another node
		case d.Kind == string(llm.TextPart):
			said.say(d.Text)
		case d.Kind != string(llm.ThinkingPart):
			said.gap = true
		}
	}
	go func() {
		defer close(over)
		for {
			select {
			case e := <-sub.C():
				hear(e)
			case <-quit:
				for { // what has come by now
					select {
					case e, open := <-sub.C():
						if !open {
							return
						}
						hear(e)
					default:
						return
					}
				}
			}
		}
	}()
	return func() {
		close(quit)
		<-over
		sub.Close()
	}
}

// finish says what is left of the reply. What was said before stays said.
func (t *speech) finish(reply string) {
	if rest, begun := strings.CutPrefix(reply, t.latest()); begun && !t.gap {
		t.say(rest)
		return
	}
	if reply != t.latest() {
		t.gap = true
		t.say(reply)
	}
}

// reply is what a workflow answers, as a text.
func reply(x *execution.Execution) string {
	var v any
	if x.Response != nil {
		v = x.Response.Body
	} else if json.Unmarshal(x.Output, &v) != nil {
		return ""
	}
	switch said := v.(type) {
	case nil:
		return ""
	case string:
		return said
	case map[string]any:
		if text, ok := said["text"].(string); ok {
			return text
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}

// failure says why an execution has no answer, or nil.
func failure(x *execution.Execution, limit time.Duration) error {
	switch {
	case x.Response != nil || x.Status == execution.Completed:
		return nil
	case x.Status == execution.Cancelled:
		return fault.New(fault.Cancelled, "the execution %s was cancelled", x.ID)
	case x.Status != execution.Failed:
		return fault.New(fault.Timeout, "the execution %s has not answered within %s and goes on: it is %s", x.ID, limit, x.Status)
	case x.Error == nil:
		return fault.New(fault.Upstream, "the execution %s failed", x.ID)
	case x.Error.Code == "budget_exceeded":
		return fault.New(fault.OverBudget, "%s", x.Error.Message).WithCode(x.Error.Code)
	}
	return fault.New(fault.Upstream, "the workflow failed: %s (execution %s)", x.Error.Message, x.ID).WithCode(x.Error.Code)
}

// abandonTime bounds how long a cancellation may take.
const abandonTime = 10 * time.Second

// abandon cancels an execution whose caller is gone. It may never have begun,
// or be over.
func (s *Service) abandon(ctx context.Context, by access.Actor, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTime)
	defer cancel()
	_, _ = s.executions.Cancel(ctx, by, id)
}
