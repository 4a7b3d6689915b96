package llmtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

func claudeError(w http.ResponseWriter, status int, kind, message string) {
	writeJSON(w, status, claudeFailure(status, kind, message))
}

// claudeFailure is the body of an error; kind "" is the usual one of a status.
func claudeFailure(status int, kind, message string) map[string]any {
	if kind == "" {
		kind = map[int]string{401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large",
			429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}[status]
	}
	if kind == "" {
		kind = "invalid_request_error"
	}
	return map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": message}, "request_id": "req_stand_in"}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // whoever left does not care
}

// claudeFaults returns what the API refuses about a request, "" when nothing:
// missing fields, roles that do not alternate, empty texts, results without
// their calls and calls without their results, thinking it did not sign,
// parameters the model does not take, more than four cache marks.
func claudeFaults(body map[string]any, signatures map[string]bool) string {
	model, _ := body["model"].(string)
	limit, _ := body["max_tokens"].(float64)
	list, _ := body["messages"].([]any)
	switch {
	case model == "":
		return "model: Field required"
	case limit < 1:
		return "max_tokens: Field required"
	case len(list) == 0:
		return "messages: at least one message is required"
	}
	if wrong := claudeParameters(body, model, limit); wrong != "" {
		return wrong
	}
	if text, err := json.Marshal(body); err == nil && strings.Count(string(text), `"cache_control":{`) > 4 {
		return "A maximum of 4 blocks with cache_control may be provided."
	}
	open := map[string]bool{} // calls of the message before
	role := "assistant"
	for i, item := range list {
		m, _ := item.(map[string]any) // nil has no fields
		content, ok := m["content"].([]any)
		if text, short := m["content"].(string); short {
			content, ok = []any{map[string]any{"type": "text", "text": text}}, true
		}
		said, _ := m["role"].(string)
		if said == role || said != "user" && said != "assistant" {
			return fmt.Sprintf("messages.%d.role: roles must alternate between \"user\" and \"assistant\", but found %q", i, said)
		}
		role = said
		if !ok || len(content) == 0 {
			return fmt.Sprintf("messages.%d: all messages must have non-empty content", i)
		}
		var wrong string
		if open, wrong = claudeTurn(fmt.Sprintf("messages.%d", i), role, content, open, signatures); wrong != "" {
			return wrong
		}
	}
	return ""
}

var claudeToolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// claudeFresh are the models that take neither temperature nor a budget.
var claudeFresh = regexp.MustCompile(`^claude-[a-z]+-(4-[789]|[5-9])`)

func claudeParameters(body map[string]any, model string, limit float64) string {
	tools, _ := body["tools"].([]any)
	for i, item := range tools {
		tool, _ := item.(map[string]any)
		name, _ := tool["name"].(string)
		schema, _ := tool["input_schema"].(map[string]any)
		if !claudeToolName.MatchString(name) {
			return fmt.Sprintf("tools.%d.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", i)
		}
		if schema["type"] != "object" {
			return fmt.Sprintf("tools.%d.custom.input_schema.type: Input should be 'object'", i)
		}
	}
	if _, sent := body["temperature"]; sent && claudeFresh.MatchString(model) {
		return "`temperature` is deprecated for this model."
	}
	thinking, _ := body["thinking"].(map[string]any)
	if thinking["type"] == "enabled" {
		budget, _ := thinking["budget_tokens"].(float64)
		switch {
		case claudeFresh.MatchString(model):
			return `"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.`
		case budget < 1024:
			return "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
		case budget >= limit:
			return "`max_tokens` must be greater than `thinking.budget_tokens`."
		}
	}
	return ""
}

// claudeTurn checks one message against the calls of the one before and
// returns its own.
func claudeTurn(where, role string, content []any, open, signatures map[string]bool) (calls map[string]bool, wrong string) {
	calls = map[string]bool{}
	unanswered := open
	others := false
	for i, item := range content {
		b, _ := item.(map[string]any)
		at := fmt.Sprintf("%s.content.%d", where, i)
		if b["type"] != "tool_result" {
			others = true
		}
		switch b["type"] {
		case "tool_use":
			id, _ := b["id"].(string)
			calls[id] = true
			if _, object := b["input"].(map[string]any); !object {
				return nil, at + ".tool_use.input: Input should be a valid dictionary"
			}
		case "tool_result":
			id, _ := b["tool_use_id"].(string)
			switch {
			case !open[id]:
				return nil, fmt.Sprintf("%s: unexpected `tool_use_id` found in `tool_result` blocks: %s. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.", at, id)
			case others:
				return nil, at + ": `tool_result` blocks must come first in the content"
			}
			unanswered = without(unanswered, id)
		default:
			if wrong := claudeBlock(b, signatures); wrong != "" {
				return nil, at + wrong
			}
		}
	}
	if len(unanswered) > 0 {
		return nil, where + ": `tool_use` ids were found without `tool_result` blocks immediately after: " + strings.Join(slices.Sorted(maps.Keys(unanswered)), ", ")
	}
	last, _ := content[len(content)-1].(map[string]any)
	if role == "assistant" && (last["type"] == "thinking" || last["type"] == "redacted_thinking") {
		return nil, where + ": The final block in an assistant message cannot be `thinking`."
	}
	return calls, ""
}

func claudeBlock(b map[string]any, signatures map[string]bool) string {
	source, _ := b["source"].(map[string]any)
	switch b["type"] {
	case "text":
		if text, _ := b["text"].(string); strings.TrimSpace(text) == "" {
			return ": text content blocks must be non-empty"
		}
	case "thinking":
		if s, _ := b["signature"].(string); s == "" || !signatures[s] {
			return ": Invalid `signature` in `thinking` block"
		}
	case "redacted_thinking":
		if b["data"] == nil {
			return ".redacted_thinking.data: Field required"
		}
	case "image", "document":
		if source["type"] != "url" && source["data"] == nil {
			return ".source.base64.data: Field required"
		}
	default:
		return fmt.Sprintf(": Input tag '%v' found using 'type' does not match any of the expected tags", b["type"])
	}
	return ""
}

func without(set map[string]bool, gone string) map[string]bool {
	left := maps.Clone(set)
	delete(left, gone)
	return left
}
