package llmtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"

	"agentstudio/internal/llm"
)

// Anthropic starts a stand-in for the Messages API that plays the replies in
// turn, the last one again and again. It refuses what the API refuses: see
// claudeFaults. It ends with the test; url is its base URL.
func Anthropic(t testingT, replies ...Reply) (url string, j *Journal) {
	t.Helper()
	if len(replies) == 0 {
		t.Fatalf("a stand-in needs at least one reply")
	}
	c := &claude{replies: replies, journal: NewJournal()}
	server := httptest.NewServer(c)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL, c.journal
}

type claude struct {
	replies []Reply
	journal *Journal
}

// ServeHTTP answers one request.
func (c *claude) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const longest = 32 << 20 // the API's limit for a request
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longest))
	if err != nil {
		claudeError(w, http.StatusRequestEntityTooLarge, "", err.Error())
		return
	}
	var body map[string]any
	unreadable := json.Unmarshal(text, &body)
	n := c.journal.Add(Request{Path: r.URL.Path, Header: r.Header.Clone(), Body: body})
	switch {
	case r.URL.Path != "/v1/messages":
		claudeError(w, http.StatusNotFound, "", "Not found")
		return
	case r.Method != http.MethodPost:
		claudeError(w, http.StatusMethodNotAllowed, "invalid_request_error", "Method Not Allowed")
		return
	case r.Header.Get("X-Api-Key") == "":
		claudeError(w, http.StatusUnauthorized, "", "x-api-key header is required")
		return
	case r.Header.Get("Anthropic-Version") == "":
		claudeError(w, http.StatusBadRequest, "", "anthropic-version: header is required")
		return
	case unreadable != nil:
		claudeError(w, http.StatusBadRequest, "", "The request body is not valid JSON: "+unreadable.Error())
		return
	}
	if wrong := claudeFaults(body, c.signatures()); wrong != "" {
		claudeError(w, http.StatusBadRequest, "", wrong)
		return
	}
	c.answer(w, r, body, n)
}

func (c *claude) signatures() map[string]bool {
	known := map[string]bool{}
	for _, r := range c.replies {
		known[r.Signature] = true
	}
	return known
}

func (c *claude) answer(w http.ResponseWriter, r *http.Request, body map[string]any, n int) {
	reply := c.replies[min(n, len(c.replies)-1)]
	model, _ := body["model"].(string) // checked before
	stream, _ := body["stream"].(bool) // absent means no
	message := claudeMessage(reply, fmt.Sprintf("msg_%05d", n), model)
	switch {
	case reply.Status >= 400 && !reply.MidError:
		if reply.RetryAfter != "" {
			w.Header().Set("Retry-After", reply.RetryAfter)
		}
		claudeError(w, reply.Status, reply.ErrorType, reply.ErrorText)
	case reply.Stall:
		<-r.Context().Done()
		c.journal.Leave()
	case !stream:
		for _, b := range message["content"].([]map[string]any) {
			if arguments, ok := b["input"].(string); ok {
				b["input"] = json.RawMessage(arguments)
			}
		}
		writeJSON(w, http.StatusOK, message)
	default:
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		c.stream(w, r, reply, message)
	}
}

// stream plays a reply as events, up to where it breaks.
func (c *claude) stream(w http.ResponseWriter, r *http.Request, reply Reply, message map[string]any) {
	if reply.Garbage {
		_, _ = io.WriteString(w, "event: message_start\ndata: {\"type\":\"message_st\n\n") // whoever left does not care
		return
	}
	flush := http.NewResponseController(w).Flush
	for _, e := range claudeEvents(reply, message) {
		if e.piece && reply.CutBefore {
			panic(http.ErrAbortHandler)
		}
		data, err := json.Marshal(e.data)
		if err == nil {
			_, err = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e.data["type"], data)
		}
		if err != nil || flush() != nil || r.Context().Err() != nil {
			c.journal.Leave()
			return
		}
		switch {
		case !e.piece:
		case reply.CutAfter:
			panic(http.ErrAbortHandler)
		case reply.MidError:
			failure, _ := json.Marshal(claudeFailure(reply.Status, reply.ErrorType, reply.ErrorText)) // maps of texts: always written
			_, _ = fmt.Fprintf(w, "event: error\ndata: %s\n\n", failure)                              // whoever left does not care
			return
		}
	}
	if reply.CutBefore || reply.CutAfter {
		panic(http.ErrAbortHandler) // there was no piece
	}
}

type claudeEvent struct {
	data  map[string]any
	piece bool // carries a piece of the answer
}

// claudeEvents is the sequence the API streams a message in.
func claudeEvents(reply Reply, message map[string]any) []claudeEvent {
	content := message["content"].([]map[string]any)
	usage, _ := message["usage"].(map[string]any) // absent with NoUsage
	start := maps.Clone(message)
	start["content"], start["stop_reason"] = []any{}, nil
	if usage != nil {
		begun := maps.Clone(usage)
		begun["output_tokens"] = 1
		start["usage"] = begun
	}
	out := []claudeEvent{{data: map[string]any{"type": "message_start", "message": start}}, {data: map[string]any{"type": "ping"}}}
	for i, b := range content {
		empty, deltas := claudeDeltas(reply, b)
		out = append(out, claudeEvent{data: map[string]any{"type": "content_block_start", "index": i, "content_block": empty}})
		for _, d := range deltas {
			out = append(out, claudeEvent{piece: true, data: map[string]any{"type": "content_block_delta", "index": i, "delta": d}})
		}
		out = append(out, claudeEvent{data: map[string]any{"type": "content_block_stop", "index": i}})
	}
	last := map[string]any{"type": "message_delta", "delta": map[string]any{"stop_reason": message["stop_reason"], "stop_sequence": nil}}
	if usage != nil {
		last["usage"] = map[string]any{"output_tokens": usage["output_tokens"]}
	}
	return append(out, claudeEvent{data: last}, claudeEvent{data: map[string]any{"type": "message_stop"}})
}

// claudeDeltas returns how a block begins and what comes to it.
func claudeDeltas(reply Reply, block map[string]any) (empty map[string]any, deltas []map[string]any) {
	empty = maps.Clone(block)
	switch block["type"] {
	case "thinking":
		empty["thinking"], empty["signature"] = "", ""
		for _, piece := range halves(reply.Thinking) {
			deltas = append(deltas, map[string]any{"type": "thinking_delta", "thinking": piece})
		}
		deltas = append(deltas, map[string]any{"type": "signature_delta", "signature": reply.Signature})
	case "text":
		empty["text"] = ""
		for _, piece := range reply.Text {
			deltas = append(deltas, map[string]any{"type": "text_delta", "text": piece})
		}
	case "tool_use":
		arguments := block["input"].(string)
		empty["input"] = map[string]any{}
		for _, piece := range append([]string{""}, halves(arguments)...) {
			deltas = append(deltas, map[string]any{"type": "input_json_delta", "partial_json": piece})
		}
	}
	return empty, deltas
}

func halves(s string) []string {
	runes := []rune(s)
	if len(runes) < 2 {
		return []string{s}
	}
	return []string{string(runes[:len(runes)/2]), string(runes[len(runes)/2:])}
}

// claudeMessage is the reply as a message. The input of tool calls is the text
// of the reply, which need not be JSON.
func claudeMessage(reply Reply, id, model string) map[string]any {
	content := []map[string]any{}
	if reply.Thinking != "" || reply.Signature != "" {
		content = append(content, map[string]any{"type": "thinking", "thinking": reply.Thinking, "signature": reply.Signature})
	}
	if len(reply.Text) > 0 {
		content = append(content, map[string]any{"type": "text", "text": strings.Join(reply.Text, "")})
	}
	for _, call := range reply.ToolCalls {
		content = append(content, map[string]any{"type": "tool_use", "id": call.ID, "name": call.Name, "input": call.Arguments})
	}
	message := map[string]any{"id": id, "type": "message", "role": "assistant", "model": model, "content": content,
		"stop_reason": claudeStop(reply), "stop_sequence": nil}
	if u := reply.Usage; !reply.NoUsage {
		message["usage"] = map[string]any{"input_tokens": u.Input, "output_tokens": u.Output, "service_tier": "standard",
			"cache_read_input_tokens": u.CacheRead, "cache_creation_input_tokens": u.CacheWrite}
	}
	return message
}

func claudeStop(reply Reply) string {
	switch {
	case reply.Stop == llm.Pause:
		return "pause_turn"
	case reply.Stop != "":
		return string(reply.Stop)
	case len(reply.ToolCalls) > 0:
		return "tool_use"
	}
	return "end_turn"
}
