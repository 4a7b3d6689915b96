package agent

import (
	"fmt"
	"slices"
	"strings"

	"agentstudio/internal/llm"
)

// answerRoom is kept free for the answer when max_tokens does not say.
const answerRoom = 4_096

// room returns how many tokens the conversation may take; 0 when the model's
// window is not known.
func (r *run) room() int {
	window := r.runner.models.ContextTokens(r.settings.Models)
	if window == 0 {
		return 0
	}
	answer := r.settings.MaxTokens
	if answer == 0 {
		answer = min(answerRoom, window/4)
	}
	used := tokens(len(r.settings.System)+len(r.settings.OutputSchema)) + r.shown
	for _, t := range r.specs {
		used += tokens(len(t.Description) + len(t.Schema))
	}
	return max(window-answer-used, window/8)
}

// tokens estimates how many tokens a text takes: three bytes each, which is
// on the safe side for English and code.
func tokens(bytes int) int { return (bytes + 2) / 3 }

// imageTokens is what an image or a page of a document takes, about.
const imageTokens = 1_600

func weigh(m llm.Message) int {
	n := 4
	for _, b := range m.Content {
		n += tokens(len(b.Text) + len(b.Arguments) + len(b.Name))
		if b.FileID == "" && (len(b.Data) > 0 || b.URL != "") { // room has counted files
			n += imageTokens
		}
	}
	return n
}

// turns cuts a conversation behind its first message: each part begins with
// an answer of the model and holds the results or the words that followed.
func turns(messages []llm.Message) [][]llm.Message {
	var out [][]llm.Message
	for _, m := range messages[1:] {
		if m.Role == llm.Assistant || len(out) == 0 {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], m)
	}
	return out
}

func join(first llm.Message, parts [][]llm.Message) []llm.Message {
	return append([]llm.Message{first}, slices.Concat(parts...)...)
}

// remember keeps the task and the last n turns; all when n is 0.
func remember(messages []llm.Message, n int) []llm.Message {
	parts := turns(messages)
	if n == 0 || len(parts) <= n {
		return messages
	}
	return join(messages[0], parts[len(parts)-n:])
}

// removed stands where a tool's result was cut.
const removed = "[removed: the conversation is longer than the model's window]"

// fit makes a conversation fit into so many tokens: results of tools go first,
// oldest first, then whole turns. The task and the last turn stay. cut says
// what was left out; "" when nothing was.
func fit(messages []llm.Message, room int) (fitted []llm.Message, cut string) {
	total := 0
	for _, m := range messages {
		total += weigh(m)
	}
	if room == 0 || total <= room {
		return messages, ""
	}
	parts := turns(messages)
	results := 0
	for i := 0; i < len(parts)-1 && total > room; i++ {
		for j, m := range parts[i] {
			if m.Role != llm.Tool || total <= room {
				continue
			}
			shorter := shorten(m)
			total -= weigh(m) - weigh(shorter)
			parts[i][j] = shorter
			results++
		}
	}
	dropped := 0
	for len(parts) > 1 && total > room {
		for _, m := range parts[0] {
			total -= weigh(m)
		}
		parts = parts[1:]
		dropped++
	}
	return join(messages[0], parts), fmt.Sprintf("the conversation is longer than the model's window: left out the results of %d tool turns and %d whole turns, oldest first", results, dropped)
}

func shorten(m llm.Message) llm.Message {
	m.Content = slices.Clone(m.Content)
	for i := range m.Content {
		if len(m.Content[i].Text) > len(removed) {
			m.Content[i].Text = removed
		}
	}
	return m
}

// unfence takes the Markdown fence off an answer that is wrapped in one.
func unfence(text string) string {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "```") || !strings.HasSuffix(text, "```") || len(text) < 6 {
		return text
	}
	text = strings.TrimSuffix(text[3:], "```")
	if first, rest, ok := strings.Cut(text, "\n"); ok && !strings.ContainsAny(first, "{[\"") {
		text = rest
	}
	return strings.TrimSpace(text)
}
