package api

import (
	"encoding/json"
	"fmt"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
)

// conversation reads messages as models are told them: the results of one turn
// together, each of a call that was made in the turn before.
func conversation(in []ChatMessage) (out []llm.Message, err error) {
	var found []fault.Detail
	find := func(i int, field, message string) {
		found = append(found, fault.Detail{Location: fmt.Sprintf("body.messages[%d].%s", i, field), Message: message})
	}
	open := map[string]string{} // the calls that wait for their results
	for i, m := range in {
		if m.Role == string(llm.Tool) {
			name, called := open[m.ToolCallID]
			if !called {
				find(i, "tool_call_id", "there is no call of this id in the assistant's message before, or it has its result")
				continue
			}
			delete(open, m.ToolCallID)
			result := llm.Block{Type: llm.ToolResultBlock, ID: m.ToolCallID, Name: name, Text: m.Content, Failed: m.Failed}
			if n := len(out); n > 0 && out[n-1].Role == llm.Tool {
				out[n-1].Content = append(out[n-1].Content, result)
			} else {
				out = append(out, llm.Message{Role: llm.Tool, Content: []llm.Block{result}})
			}
			continue
		}
		for id := range open {
			find(i, "role", fmt.Sprintf("the call %s has no result: a message of the role tool comes first", id))
		}
		clear(open)
		if m.Content == "" && len(m.ToolCalls) == 0 {
			find(i, "content", "the message is empty")
		}
		if len(m.ToolCalls) > 0 && m.Role != string(llm.Assistant) {
			find(i, "tool_calls", "only the assistant calls tools")
			continue
		}
		message := llm.Message{Role: llm.Role(m.Role)}
		if m.Content != "" {
			message.Content = append(message.Content, llm.Block{Type: llm.TextBlock, Text: m.Content})
		}
		for _, c := range m.ToolCalls {
			if _, twice := open[c.ID]; twice {
				find(i, "tool_calls", "two calls have the id "+c.ID)
			}
			open[c.ID] = c.Name
			arguments := json.RawMessage(c.Arguments)
			if len(arguments) == 0 {
				arguments = json.RawMessage("{}")
			}
			message.Content = append(message.Content, llm.Block{Type: llm.ToolCallBlock, ID: c.ID, Name: c.Name, Arguments: arguments})
		}
		out = append(out, message)
	}
	for id := range open {
		find(len(in)-1, "tool_calls", fmt.Sprintf("the call %s has no result: a message of the role tool comes after it", id))
	}
	if found != nil {
		return nil, fault.InvalidInput(found...)
	}
	return out, nil
}

func chatTools(in []ChatTool) (out []llm.ToolSpec, err error) {
	taken := map[string]bool{}
	for i, t := range in {
		if taken[t.Name] {
			return nil, fault.InvalidInput(fault.Detail{Location: fmt.Sprintf("body.tools[%d].name", i), Message: "two tools are called " + t.Name})
		}
		taken[t.Name] = true
		schema := json.RawMessage(t.InputSchema)
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object"}`)
		}
		out = append(out, llm.ToolSpec{Name: t.Name, Description: t.Description, Schema: schema})
	}
	return out, nil
}
