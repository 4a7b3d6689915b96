package llmtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"agentstudio/internal/llm"
)

// OpenAI starts a stand-in for a server of the Chat Completions protocol that
// plays the replies in turn (the last one again and again) and returns its
// base URL. A request the real one would refuse is answered with 401 or 400
// and uses up no reply. It ends with the test.
func OpenAI(t testingT, replies ...Reply) (url string, j *Journal) {
	t.Helper()
	if len(replies) == 0 {
		t.Fatalf("the stand-in needs a reply to play")
	}
	o := &openAI{replies: replies, journal: NewJournal(), over: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", o.complete)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		close(o.over)
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL + "/v1", o.journal
}

type openAI struct {
	replies []Reply
	journal *Journal
	over    chan struct{} // closed when the test is

	mu     sync.Mutex
	played int
}

// chat is a reply in the words of the protocol.
type chat struct{ Reply }

// next returns the reply to play.
func (o *openAI) next() chat {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(o.played, len(o.replies)-1)
	o.played++
	return chat{o.replies[n]}
}

func (o *openAI) complete(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	err := json.NewDecoder(r.Body).Decode(&body)
	o.journal.Add(Request{Path: r.URL.Path, Header: r.Header.Clone(), Body: body})
	switch key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); {
	case !bearer || key == "":
		refuseChat(w, http.StatusUnauthorized, "You didn't provide an API key.")
		return
	case err != nil:
		refuseChat(w, http.StatusBadRequest, "We could not parse the JSON body of your request.")
		return
	}
	if wrong := wrongChat(body); wrong != "" {
		refuseChat(w, http.StatusBadRequest, wrong)
		return
	}
	reply := o.next()
	switch {
	case reply.Status != 0 && !reply.MidError:
		reply.fail(w)
	case body["stream"] != true:
		writeChat(w, reply.completion(body["model"]))
	default:
		o.stream(w, r, body, reply)
	}
}

func refuseChat(w http.ResponseWriter, status int, why string) {
	chat{Reply{Status: status, ErrorType: "invalid_request_error", ErrorText: why}}.fail(w)
}

func (reply chat) fail(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	if reply.RetryAfter != "" {
		w.Header().Set("Retry-After", reply.RetryAfter)
	}
	w.WriteHeader(reply.Status)
	writeChat(w, reply.complaint())
}

func (reply chat) complaint() map[string]any {
	return map[string]any{"error": map[string]any{"message": reply.ErrorText, "type": reply.ErrorType, "param": nil, "code": nil}}
}

// writeChat writes a value; a client that is gone is no failure.
func writeChat(w http.ResponseWriter, v any) {
	_ = json.NewEncoder(w).Encode(v)
}

// stream plays a reply as server-sent events.
func (o *openAI) stream(w http.ResponseWriter, r *http.Request, body map[string]any, reply chat) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	flusher := http.NewResponseController(w)
	send := func(data any) {
		text, isText := data.(string)
		if !isText {
			encoded, err := json.Marshal(data)
			if err != nil {
				panic(err) // maps of plain values: cannot be
			}
			text = string(encoded)
		}
		_, err := fmt.Fprintf(w, "data: %s\n\n", text)
		if err != nil || flusher.Flush() != nil || r.Context().Err() != nil {
			o.left(r)
		}
	}
	switch {
	case reply.Stall && len(reply.Text) == 0:
		_ = flusher.Flush() // gone or not, the wait below ends
		o.stall(r)
	case reply.CutBefore:
		_ = flusher.Flush() // cut either way
		panic(http.ErrAbortHandler)
	case reply.Garbage:
		send(`{"id":"chatcmpl-stand-in","object":"chat.comple`)
		return
	}
	options, _ := body["stream_options"].(map[string]any)
	for i, chunk := range reply.chunks(body["model"], options["include_usage"] == true) {
		send(chunk)
		if i != 1 { // 0 says the role, 1 is the first piece
			continue
		}
		switch {
		case reply.Stall:
			o.stall(r)
		case reply.CutAfter:
			panic(http.ErrAbortHandler)
		case reply.MidError:
			send(reply.complaint())
			return
		}
	}
	send("[DONE]")
}

// stall waits until the client, or the test, is gone.
func (o *openAI) stall(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-o.over:
	}
	o.left(r)
}

// left ends a reply whose client, or whose test, is gone.
func (o *openAI) left(r *http.Request) {
	select {
	case <-o.over:
	default:
		if r.Context().Err() != nil {
			o.journal.Leave()
		}
	}
	panic(http.ErrAbortHandler)
}

// chunks returns the events of a reply as the real server cuts them.
func (reply chat) chunks(model any, withUsage bool) []any {
	chunk := func(choices []any) map[string]any {
		return map[string]any{"id": "chatcmpl-stand-in", "object": "chat.completion.chunk", "created": 1_790_000_000,
			"model": model, "system_fingerprint": "fp_stand_in", "choices": choices}
	}
	var out []any
	add := func(delta map[string]any, finish any) {
		c := chunk([]any{map[string]any{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish}})
		if withUsage {
			c["usage"] = nil
		}
		out = append(out, c)
	}
	add(map[string]any{"role": "assistant", "content": "", "refusal": nil}, nil)
	for piece := range strings.SplitAfterSeq(reply.Thinking, " ") {
		if piece != "" {
			add(map[string]any{"reasoning_content": piece}, nil)
		}
	}
	field := "content"
	if reply.Stop == llm.Refusal {
		field = "refusal"
	}
	for _, text := range reply.Text {
		add(map[string]any{field: text}, nil)
	}
	for _, calls := range reply.callPieces() {
		add(map[string]any{"tool_calls": calls}, nil)
	}
	add(map[string]any{}, reply.finish())
	if withUsage && !reply.NoUsage {
		c := chunk([]any{})
		c["usage"] = reply.usage()
		out = append(out, c)
	}
	return out
}

// callPieces returns the pieces of the calls: the heads, then the halves of
// the arguments in turn.
func (reply chat) callPieces() [][]any {
	var heads, halves, rest [][]any
	for i, c := range reply.ToolCalls {
		half := len(c.Arguments) / 2
		heads = append(heads, []any{map[string]any{"index": i, "id": c.ID, "type": "function", "function": map[string]any{"name": c.Name, "arguments": ""}}})
		for at, part := range []string{c.Arguments[:half], c.Arguments[half:]} {
			piece := []any{map[string]any{"index": i, "function": map[string]any{"arguments": part}}}
			switch {
			case part == "":
			case at == 0:
				halves = append(halves, piece)
			default:
				rest = append(rest, piece)
			}
		}
	}
	return append(append(heads, halves...), rest...)
}

func (reply chat) finish() string {
	switch {
	case reply.Stop == llm.MaxTokens:
		return "length"
	case reply.Stop == llm.Refusal && len(reply.Text) == 0:
		return "content_filter"
	case reply.Stop == llm.ToolUse, reply.Stop == "" && len(reply.ToolCalls) > 0:
		return "tool_calls"
	}
	return "stop"
}

func (reply chat) usage() map[string]any {
	u := reply.Usage
	prompt := u.Input + u.CacheRead + u.CacheWrite
	return map[string]any{"prompt_tokens": prompt, "completion_tokens": u.Output, "total_tokens": prompt + u.Output,
		"prompt_tokens_details":     map[string]any{"cached_tokens": u.CacheRead, "cache_write_tokens": u.CacheWrite, "audio_tokens": 0},
		"completion_tokens_details": map[string]any{"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}
}

// completion returns a reply in one piece.
func (reply chat) completion(model any) map[string]any {
	message := map[string]any{"role": "assistant", "content": strings.Join(reply.Text, ""), "refusal": nil}
	var calls []any
	for _, c := range reply.ToolCalls {
		calls = append(calls, map[string]any{"id": c.ID, "type": "function", "function": map[string]any{"name": c.Name, "arguments": c.Arguments}})
	}
	if calls != nil {
		message["tool_calls"] = calls
	}
	out := map[string]any{"id": "chatcmpl-stand-in", "object": "chat.completion", "created": 1_790_000_000, "model": model,
		"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": reply.finish()}}}
	if !reply.NoUsage {
		out["usage"] = reply.usage()
	}
	return out
}
