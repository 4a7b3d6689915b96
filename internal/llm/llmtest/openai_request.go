package llmtest

import (
	"fmt"
	"regexp"
	"slices"
)

// wrongChat returns what the real server would refuse in a chat request; ""
// when it would take it.
func wrongChat(body map[string]any) string {
	if model, _ := body["model"].(string); model == "" {
		return "you must provide a model parameter"
	}
	if body["stream_options"] != nil && body["stream"] != true {
		return "The 'stream_options' parameter is only allowed when 'stream' is enabled."
	}
	if body["max_tokens"] != nil && body["max_completion_tokens"] != nil {
		return "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
	}
	if wrong := wrongTools(body["tools"]); wrong != "" {
		return wrong
	}
	if wrong := wrongFormat(body["response_format"]); wrong != "" {
		return wrong
	}
	messages, _ := body["messages"].([]any)
	if len(messages) == 0 {
		return "Invalid 'messages': empty array."
	}
	return wrongMessages(messages)
}

func wrongMessages(messages []any) string {
	var open []string // the calls that wait for their results
	for i, m := range messages {
		message, _ := m.(map[string]any)
		role, _ := message["role"].(string)
		if role != "tool" && len(open) > 0 {
			return fmt.Sprintf("An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: %v", open)
		}
		switch role {
		case "system", "developer", "user":
			if wrong := wrongContent(i, message["content"]); wrong != "" {
				return wrong
			}
		case "assistant":
			calls, wrong := callsOf(i, message)
			if wrong != "" {
				return wrong
			}
			open = calls
		case "tool":
			id, _ := message["tool_call_id"].(string)
			at := slices.Index(open, id)
			if _, isText := message["content"].(string); at < 0 || !isText {
				return fmt.Sprintf("Invalid parameter: messages[%d] with role 'tool' must be a response to a preceding message with 'tool_calls'.", i)
			}
			open = slices.Delete(open, at, at+1)
		default:
			return fmt.Sprintf("Invalid value: '%s'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.", role)
		}
	}
	if len(open) > 0 {
		return fmt.Sprintf("tool_call_ids without response messages: %v", open)
	}
	return ""
}

// callsOf returns the ids of an assistant message's calls.
func callsOf(i int, message map[string]any) (ids []string, wrong string) {
	calls, _ := message["tool_calls"].([]any)
	if _, isText := message["content"].(string); !isText && len(calls) == 0 {
		return nil, fmt.Sprintf("Invalid value for 'content': expected a string, got null. (messages[%d])", i)
	}
	for _, c := range calls {
		call, _ := c.(map[string]any)
		f, _ := call["function"].(map[string]any)
		id, _ := call["id"].(string)
		name, _ := f["name"].(string)
		if _, isText := f["arguments"].(string); id == "" || name == "" || !isText || call["type"] != "function" {
			return nil, fmt.Sprintf("Invalid 'messages[%d].tool_calls'.", i)
		}
		ids = append(ids, id)
	}
	return ids, ""
}

func wrongContent(i int, content any) string {
	parts, isList := content.([]any)
	if _, isText := content.(string); isText {
		return ""
	}
	if !isList || len(parts) == 0 {
		return fmt.Sprintf("Invalid type for 'messages[%d].content'.", i)
	}
	for _, p := range parts {
		part, _ := p.(map[string]any)
		image, _ := part["image_url"].(map[string]any)
		file, _ := part["file"].(map[string]any)
		_, hasText := part["text"].(string)
		switch {
		case part["type"] == "text" && hasText:
		case part["type"] == "image_url" && image["url"] != nil && image["url"] != "":
		case part["type"] == "file" && file["file_data"] != nil:
		default:
			return fmt.Sprintf("Invalid value in 'messages[%d].content'.", i)
		}
	}
	return ""
}

func wrongTools(tools any) string {
	list, isList := tools.([]any)
	if tools != nil && (!isList || len(list) == 0) {
		return "Invalid 'tools': empty array."
	}
	name := regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	for i, t := range list {
		tool, _ := t.(map[string]any)
		f, _ := tool["function"].(map[string]any)
		parameters, _ := f["parameters"].(map[string]any)
		if word, _ := f["name"].(string); tool["type"] != "function" || !name.MatchString(word) || parameters["type"] != "object" {
			return fmt.Sprintf("Invalid 'tools[%d].function'.", i)
		}
	}
	return ""
}

func wrongFormat(format any) string {
	if format == nil {
		return ""
	}
	f, _ := format.(map[string]any)
	s, _ := f["json_schema"].(map[string]any)
	schema, _ := s["schema"].(map[string]any)
	if name, _ := s["name"].(string); f["type"] != "json_schema" || name == "" || schema["type"] != "object" {
		return "Invalid schema for response_format."
	}
	return ""
}
