// Package model is a stand-in for model servers in measurements: it speaks the
// protocols of Anthropic and OpenAI, asks for tools a fixed number of times,
// answers, and remembers what it was asked.
package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// What every answer is reported to have used.
const (
	inputTokens  = 100
	outputTokens = 20
)

// longestRequest bounds the body of a request, in bytes.
const longestRequest = 32 << 20

// Stub answers conversations and remembers what it was asked. It is safe for
// concurrent use.
type Stub struct {
	latency time.Duration
	tools   int
	// Hold, when set before the first request, says which turns of which
	// conversations, known by their first text, are not answered before the
	// client goes away.
	Hold func(conversation string, turn int) bool

	mu    sync.Mutex
	asked map[string]map[int]int // first user text → turn, from 1 → times
}

// New returns a stub that answers after the latency, and whose conversations
// ask for a tool in so many turns before the one that answers.
func New(latency time.Duration, tools int) *Stub {
	return &Stub{latency: latency, tools: tools, asked: map[string]map[int]int{}}
}

// Handler serves Anthropic's protocol under /anthropic, OpenAI's under
// /openai/v1, and as /journal what was asked: conversation → turn → times.
func (s *Stub) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /openai/v1/chat/completions", s.answer(chatEvents))
	mux.HandleFunc("POST /anthropic/v1/messages", s.answer(messageEvents))
	mux.HandleFunc("GET /journal", s.journal)
	return mux
}

// request is what both protocols have in common.
type request struct {
	Model    string    `json:"model"`
	Stream   bool      `json:"stream"`
	Messages []message `json:"messages"`
	Tools    []struct {
		Name     string          `json:"name"`         // Anthropic
		Schema   json.RawMessage `json:"input_schema"` // Anthropic
		Function struct {        // OpenAI
			Name   string          `json:"name"`
			Schema json.RawMessage `json:"parameters"`
		} `json:"function"`
	} `json:"tools"`
}

type message struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

// reply is one answer: a tool to call, or a text.
type reply struct {
	turn            int
	tool, arguments string
	text            string
}

// answer serves a protocol, whose events say a reply in its words.
func (s *Stub) answer(events func(model string, r reply) []event) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var asked request
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, longestRequest)).Decode(&asked); err != nil {
			refuse(w, "the request is no JSON: "+err.Error())
			return
		}
		if !asked.Stream || len(asked.Messages) == 0 {
			refuse(w, "only streamed answers to at least one message are played here")
			return
		}
		answer := s.turn(asked)
		if s.Hold != nil && s.Hold(asked.conversation(), answer.turn) {
			<-r.Context().Done()
			return
		}
		timer := time.NewTimer(s.latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
		play(w, events(asked.Model, answer))
	}
}

func refuse(w http.ResponseWriter, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	// A client that is gone does not read it.
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "error", "error": map[string]any{"type": "invalid_request_error", "message": why}}) // a client that is gone does not read it
}

// turn notes that a turn was asked for and returns its answer, which depends
// on nothing but the question.
func (s *Stub) turn(asked request) reply {
	r := reply{turn: 1}
	for _, m := range asked.Messages {
		if m.Role == "assistant" {
			r.turn++
		}
	}
	conversation := asked.conversation()
	s.mu.Lock()
	if s.asked[conversation] == nil {
		s.asked[conversation] = map[int]int{}
	}
	s.asked[conversation][r.turn]++
	s.mu.Unlock()
	if r.turn > s.tools || len(asked.Tools) == 0 {
		r.text = fmt.Sprintf("This is the answer of turn %d.", r.turn)
		return r
	}
	tool := asked.Tools[(r.turn-1)%len(asked.Tools)]
	schema := tool.Schema
	if r.tool = tool.Name; r.tool == "" {
		r.tool, schema = tool.Function.Name, tool.Function.Schema
	}
	r.arguments = arguments(schema, r.turn)
	return r
}

// conversation returns the first user's text.
func (asked request) conversation() string {
	for _, m := range asked.Messages {
		if m.Role != "user" {
			continue
		}
		var text string
		if json.Unmarshal(m.Content, &text) == nil {
			return text
		}
		var parts []struct{ Text string }
		if json.Unmarshal(m.Content, &parts) != nil {
			return ""
		}
		var texts []string
		for _, p := range parts {
			if p.Text != "" {
				texts = append(texts, p.Text)
			}
		}
		return strings.Join(texts, "\n")
	}
	return ""
}

// Asked returns how often each turn of each conversation was asked for.
func (s *Stub) Asked() map[string]map[int]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]map[int]int, len(s.asked))
	for conversation, turns := range s.asked {
		out[conversation] = maps.Clone(turns)
	}
	return out
}

// journal says how often each turn of each conversation was asked for.
func (s *Stub) journal(w http.ResponseWriter, _ *http.Request) {
	text, err := json.Marshal(s.Asked())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // a client that is gone does not read it
}

// shape is the part of a JSON Schema that arguments are made from.
type shape struct {
	Type       any              `json:"type"`
	Properties map[string]shape `json:"properties"`
	Required   []string         `json:"required"`
	Enum       []any            `json:"enum"`
}

// arguments makes arguments a tool accepts; they differ from turn to turn, so
// that nobody takes them for a loop.
func arguments(schema json.RawMessage, turn int) string {
	var s shape
	if json.Unmarshal(schema, &s) != nil {
		return "{}"
	}
	text, err := json.Marshal(s.object(turn))
	if err != nil {
		return "{}"
	}
	return string(text)
}

func (s shape) object(turn int) map[string]any {
	out := map[string]any{}
	for _, name := range s.Required {
		out[name] = s.Properties[name].value(turn)
	}
	return out
}

func (s shape) value(turn int) any {
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	switch s.Type {
	case "integer", "number":
		return turn
	case "boolean":
		return false
	case "array":
		return []any{}
	case "object":
		return s.object(turn)
	}
	return fmt.Sprintf("%d+%d", turn, turn) // a text that can be calculated too
}
