package engine_test

import (
	"encoding/json"
	"fmt"
	"net/http"

	"agentstudio/internal/llm"
	"agentstudio/internal/llm/anthropic"
	"agentstudio/internal/llm/openai"
	"agentstudio/internal/llm/scripted"
)

// meant is a request as a stand-in understands it.
type meant struct {
	agent string // its instructions
	turn  int    // answers in the conversation so far
}

// protocol is how a stand-in speaks.
type protocol struct {
	provider func(url string, client *http.Client) llm.Provider
	read     func(body []byte) meant
	busy     int // the status that says so
	// events are an answer: each with what it says was used until then, nil
	// when it says nothing. first is the first one with a piece in it.
	events func(line scripted.Line, n int, u llm.Usage) (events []billed, first int)
	broken string // an event that tells a failure
}

type billed struct {
	text string
	used *llm.Usage
}

func written(name string, data any) string {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	if name != "" {
		name = "event: " + name + "\n"
	}
	return name + "data: " + string(text) + "\n\n"
}

type object = map[string]any

func protocols() map[string]protocol {
	return map[string]protocol{
		"anthropic": {
			provider: func(url string, client *http.Client) llm.Provider {
				return anthropic.New(anthropic.Config{Key: "k", BaseURL: url, HTTPClient: client})
			},
			read: func(body []byte) (m meant) {
				var in struct {
					System   []struct{ Text string }
					Messages []struct{ Role string }
				}
				if json.Unmarshal(body, &in) == nil && len(in.System) > 0 {
					m.agent = in.System[0].Text
				}
				for _, said := range in.Messages {
					if said.Role == "assistant" {
						m.turn++
					}
				}
				return m
			},
			busy: 529, broken: written("error", object{"type": "error", "error": object{"type": "overloaded_error", "message": "busy"}}),
			events: func(line scripted.Line, n int, u llm.Usage) (out []billed, first int) {
				begun := u
				begun.Output = 1
				add := func(used *llm.Usage, name string, data object) {
					data["type"] = name
					out = append(out, billed{written(name, data), used})
				}
				add(&begun, "message_start", object{"message": object{"id": "m", "type": "message", "role": "assistant", "content": []any{}, "model": "m", "usage": object{
					"input_tokens": u.Input, "output_tokens": 1, "cache_read_input_tokens": u.CacheRead, "cache_creation_input_tokens": u.CacheWrite}}})
				block := func(i int, begin, delta object) {
					add(nil, "content_block_start", object{"index": i, "content_block": begin})
					add(nil, "content_block_delta", object{"index": i, "delta": delta})
					add(nil, "content_block_stop", object{"index": i})
				}
				reason := "end_turn"
				if line.Text != "" {
					block(0, object{"type": "text", "text": ""}, object{"type": "text_delta", "text": line.Text})
				}
				for i, c := range line.ToolCalls {
					reason = "tool_use"
					block(i, object{"type": "tool_use", "id": fmt.Sprintf("c%d_%d", n, i), "name": c.Name, "input": object{}}, object{"type": "input_json_delta", "partial_json": string(c.Arguments)})
				}
				add(&u, "message_delta", object{"delta": object{"stop_reason": reason}, "usage": object{"output_tokens": u.Output}})
				add(nil, "message_stop", object{})
				return out, 1 // a call is told when its block begins
			},
		},
		"openai": {
			provider: func(url string, client *http.Client) llm.Provider {
				return openai.New(openai.Config{Key: "k", BaseURL: url + "/v1", HTTPClient: client})
			},
			read: func(body []byte) (m meant) {
				var in struct {
					Messages []struct {
						Role    string
						Content any
					}
				}
				if json.Unmarshal(body, &in) != nil {
					return m
				}
				for _, said := range in.Messages {
					switch said.Role {
					case "system":
						m.agent, _ = said.Content.(string)
					case "assistant":
						m.turn++
					}
				}
				return m
			},
			busy: 503, broken: written("", object{"error": object{"type": "server_error", "message": "broke"}}),
			events: func(line scripted.Line, n int, u llm.Usage) (out []billed, first int) {
				add := func(used *llm.Usage, choices []any, more object) {
					chunk := object{"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": choices}
					for k, v := range more {
						chunk[k] = v
					}
					out = append(out, billed{written("", chunk), used})
				}
				choice := func(delta object, reason any) []any {
					return []any{object{"index": 0, "delta": delta, "finish_reason": reason}}
				}
				add(nil, choice(object{"role": "assistant"}, nil), nil)
				reason := "stop"
				if line.Text != "" {
					add(nil, choice(object{"content": line.Text}, nil), nil)
				}
				for i, c := range line.ToolCalls {
					reason = "tool_calls"
					add(nil, choice(object{"tool_calls": []any{object{"index": i, "id": fmt.Sprintf("c%d_%d", n, i), "type": "function", "function": object{"name": c.Name, "arguments": string(c.Arguments)}}}}, nil), nil)
				}
				add(nil, choice(object{}, reason), nil)
				add(&u, []any{}, object{"usage": object{"prompt_tokens": u.Input + u.CacheRead, "completion_tokens": u.Output,
					"prompt_tokens_details": object{"cached_tokens": u.CacheRead}, "completion_tokens_details": object{"reasoning_tokens": u.Reasoning}}})
				return append(out, billed{"data: [DONE]\n\n", nil}), 1
			},
		},
	}
}
