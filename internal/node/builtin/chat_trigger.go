package builtin

import (
	"context"

	"agentstudio/internal/node"
)

type chatTriggerConfig struct {
	Title   string `json:"title,omitempty" jsonschema:"title=Title,maxLength=255" jsonschema_description:"What the conversation is called; left out: the workflow's name."`
	Welcome string `json:"welcome,omitempty" jsonschema:"title=Welcome,maxLength=2000" jsonschema_description:"What people read before they write."`
}

// InputSchema returns the schema of a message and what came before it.
func (chatTriggerConfig) InputSchema() map[string]any {
	text := func() map[string]any { return map[string]any{"type": "string"} }
	turn := map[string]any{"type": "object", "required": []any{"role", "content"}, "properties": map[string]any{
		"role": map[string]any{"type": "string", "enum": []any{"user", "assistant", "system"}}, "content": text()}}
	return map[string]any{"type": "object", "required": []any{"message"}, "properties": map[string]any{
		"message":         map[string]any{"type": "string", "minLength": 1, "description": "What the person says"},
		"conversation_id": map[string]any{"type": "string", "maxLength": 255, "description": "The same for every message of a conversation"},
		"history":         map[string]any{"type": "array", "maxItems": 1000, "items": turn, "description": "What was said before, oldest first"}}}
}

func chatTrigger() node.Type {
	return node.Define(node.Spec{
		Kind: "chat-trigger", Title: "Chat", Group: node.Trigger, Category: "start", Icon: "message-circle",
		Description: "Starts the workflow with a message of a conversation.",
		NoInput:     true, Starts: []string{"chat"}, Instant: true, Risk: node.RiskLow,
		Docs: `Starts with a message: through the API, an execution with ` + "`trigger_type: chat`" + `. Its output is
` + "`{message, conversation_id, history}`" + `, conversation_id and history empty when they were left out; history is a list of
` + "`{role, content}`" + `, oldest first. What the last node answers is the reply.

` + "```yaml" + `
config: {welcome: "What shall I look up?"}
` + "```",
	}, func(_ context.Context, c node.Call, _ chatTriggerConfig) (node.Result, error) {
		said, _ := c.Trigger.(map[string]any)
		out := map[string]any{"message": "", "conversation_id": "", "history": []any{}}
		for name, value := range said {
			out[name] = value
		}
		return node.Output("", out), nil
	})
}
