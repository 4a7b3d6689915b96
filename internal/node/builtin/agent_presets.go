package builtin

import "agentstudio/internal/node"

// agentPresets are agents for what people do most.
func agentPresets() []node.Preset {
	return []node.Preset{
		{Name: "claude", Title: "Claude agent", Icon: "sparkles", Description: "An agent on a Claude model.",
			Config: map[string]any{"model": "anthropic/claude-sonnet-5-5", "system_prompt": "You are a careful assistant. Say so when you are not sure."}},
		{Name: "saved", Title: "Saved agent", Icon: "contact", Description: "One of the workspace's agents, with what was set there.",
			Config: map[string]any{"agent_id": ""}},
		{Name: "research", Title: "Research agent", Icon: "telescope", Description: "Searches the web, reads what it finds, and answers with sources.",
			Config: map[string]any{"tools": []any{"web_search", "web_read", "current_time"}, "limits": map[string]any{"max_steps": 16},
				"system_prompt": "You research questions. Search for several angles, read the pages that matter, compare what they say, and answer with the address of the source behind each claim. Say what you could not find out."}},
		{Name: "code", Title: "Code interpreter", Icon: "square-terminal", Description: "Works things out by running code in a sandbox.",
			Config: map[string]any{"tools": []any{"code_run"},
				"system_prompt": "You solve tasks by writing JavaScript and running it with code_run. Compute rather than estimate, check the result, then answer in a sentence."}},
		{Name: "vision", Title: "Vision agent", Icon: "eye", Description: "Looks at pictures and says what it sees.",
			Config: map[string]any{"images": []any{"{{ trigger.image }}"}, "prompt": "Describe the picture: what it shows, what is written on it, and what stands out."}},
	}
}
