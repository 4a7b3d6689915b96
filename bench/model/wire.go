package model

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
)

type object = map[string]any

// event is one server-sent event; data that is a string is sent as it is.
type event struct {
	name string
	data any
}

// play streams the events; a client that goes away ends it.
func play(w http.ResponseWriter, events []event) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	flusher := http.NewResponseController(w)
	for _, e := range events {
		text, isText := e.data.(string)
		if !isText {
			encoded, err := json.Marshal(e.data)
			if err != nil {
				panic(err) // maps of plain values: cannot be
			}
			text = string(encoded)
		}
		text = "data: " + text + "\n\n"
		if e.name != "" {
			text = "event: " + e.name + "\n" + text
		}
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
		if flusher.Flush() != nil {
			return
		}
	}
}

// pieces cuts a text into what a stream brings at a time.
func pieces(text string) []string { return strings.SplitAfter(text, " ") }

// chatEvents is a reply in the words of Chat Completions.
func chatEvents(model string, r reply) []event {
	var out []event
	chunk := func(choices []object, more object) {
		c := object{"id": fmt.Sprintf("chatcmpl-%d", r.turn), "object": "chat.completion.chunk", "created": 1_790_000_000, "model": model, "choices": choices}
		maps.Copy(c, more)
		out = append(out, event{data: c})
	}
	delta := func(d object, finish any) {
		chunk([]object{{"index": 0, "delta": d, "finish_reason": finish}}, object{"usage": nil})
	}
	delta(object{"role": "assistant", "content": ""}, nil)
	if r.tool != "" {
		delta(object{"tool_calls": []object{{"index": 0, "id": fmt.Sprintf("call_%d", r.turn), "type": "function", "function": object{"name": r.tool, "arguments": ""}}}}, nil)
		for _, p := range pieces(r.arguments) {
			delta(object{"tool_calls": []object{{"index": 0, "function": object{"arguments": p}}}}, nil)
		}
		delta(object{}, "tool_calls")
	} else {
		for _, p := range pieces(r.text) {
			delta(object{"content": p}, nil)
		}
		delta(object{}, "stop")
	}
	chunk([]object{}, object{"usage": object{"prompt_tokens": inputTokens, "completion_tokens": outputTokens, "total_tokens": inputTokens + outputTokens}})
	return append(out, event{data: "[DONE]"})
}

// messageEvents is a reply in the words of Messages.
func messageEvents(model string, r reply) []event {
	var out []event
	add := func(kind string, fields object) {
		fields["type"] = kind
		out = append(out, event{name: kind, data: fields})
	}
	add("message_start", object{"message": object{"id": fmt.Sprintf("msg_%d", r.turn), "type": "message", "role": "assistant", "model": model, "content": []any{},
		"stop_reason": nil, "stop_sequence": nil, "usage": object{"input_tokens": inputTokens, "output_tokens": 1, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}}})
	add("ping", object{})
	block, field, text, stop := object{"type": "text", "text": ""}, "text", r.text, "end_turn"
	if r.tool != "" {
		block = object{"type": "tool_use", "id": fmt.Sprintf("toolu_%d", r.turn), "name": r.tool, "input": object{}}
		field, text, stop = "partial_json", r.arguments, "tool_use"
	}
	kind := map[string]string{"text": "text_delta", "partial_json": "input_json_delta"}[field]
	add("content_block_start", object{"index": 0, "content_block": block})
	for _, p := range pieces(text) {
		add("content_block_delta", object{"index": 0, "delta": object{"type": kind, field: p}})
	}
	add("content_block_stop", object{"index": 0})
	add("message_delta", object{"delta": object{"stop_reason": stop, "stop_sequence": nil}, "usage": object{"output_tokens": outputTokens}})
	add("message_stop", object{})
	return out
}
