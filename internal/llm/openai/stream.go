package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
)

// read feeds the stream to the answer until the stream is over. Its error is
// a fault; nil means the answer is whole.
func (p *Provider) read(ctx context.Context, response *http.Response, a *answer) error {
	events := 0
	decoder := ssestream.NewDecoder(response)
	for decoder.Next() {
		data := bytes.TrimSpace(decoder.Event().Data)
		if bytes.Equal(data, []byte("[DONE]")) {
			return nil
		}
		if len(data) == 0 {
			continue
		}
		events++
		chunk, err := p.chunk(data)
		if err != nil {
			return err
		}
		a.add(chunk)
	}
	switch err := decoder.Err(); {
	case a.ended():
		return nil
	case err != nil || context.Cause(ctx) != nil:
		return llm.Broken(ctx, p.cfg.Name, true, err)
	case events == 0 && !strings.Contains(response.Header.Get("Content-Type"), "event-stream"):
		return p.unreadable(nil)
	}
	return llm.Broken(ctx, p.cfg.Name, true, io.ErrUnexpectedEOF)
}

// chunk reads one event; an error the server sent in its place is a fault.
func (p *Provider) chunk(data []byte) (*sdk.ChatCompletionChunk, error) {
	if data[0] == '[' { // Gemini puts its errors into a list
		return nil, p.broke(data)
	}
	var chunk sdk.ChatCompletionChunk
	if err := json.Unmarshal(data, &chunk); err != nil {
		return nil, p.unreadable(err)
	}
	failed := chunk.Object == "error"
	if raw := chunk.JSON.ExtraFields["error"].Raw(); raw != "" && raw != "null" {
		failed = true
	}
	for _, c := range chunk.Choices {
		failed = failed || c.FinishReason == "error"
	}
	if failed {
		return nil, p.broke(data)
	}
	return &chunk, nil
}

func (p *Provider) unreadable(err error) *fault.Error {
	return fault.Wrap(fault.Upstream, err, "%s sent an answer that cannot be read: check that its base URL speaks the OpenAI protocol", p.cfg.Name).WithCode(llm.BadResponse)
}

// rejected returns the fault for an answer with an HTTP error status.
func (p *Provider) rejected(response *http.Response, cause error) *fault.Error {
	body, err := io.ReadAll(response.Body)
	if err != nil {
		body = nil // the status says enough
	}
	c := complaintOf(body)
	return llm.Rejection{Provider: p.cfg.Name, Status: response.StatusCode, Type: c.kind, Message: c.message,
		RetryAfter: retryAfter(response.Header), KeyName: p.cfg.KeyName}.Fault(cause)
}

// retryAfter returns the Retry-After header, or OpenAI's finer one.
func retryAfter(h http.Header) string {
	if ms := json.Number(h.Get("Retry-After-Ms")); ms != "" {
		if _, err := ms.Float64(); err == nil {
			return string(ms) + "e-3"
		}
	}
	return h.Get("Retry-After")
}

// broke returns the fault for an error inside the stream: the server's own
// failure, unless it says something else.
func (p *Provider) broke(data []byte) *fault.Error {
	c := complaintOf(data)
	if c.status == 0 && !strings.HasPrefix(c.kind, "invalid_") {
		c.status = http.StatusInternalServerError
	}
	return llm.Rejection{Provider: p.cfg.Name, Status: c.status, Type: c.kind, Message: c.message, KeyName: p.cfg.KeyName}.Fault(nil)
}

// complaint is an error in a server's words.
type complaint struct {
	message string
	kind    string
	status  int // 0 when the error itself does not say
}

// complaintOf reads {"error": {…}}, {"error": "…"}, a list of one, a bare
// error object, or {"detail": "…"}; of anything else it takes nothing.
func complaintOf(body []byte) complaint {
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil && len(list) > 0 {
		body = list[0]
	}
	var outer struct {
		Error  json.RawMessage `json:"error"`
		Detail json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &outer) != nil {
		return complaint{}
	}
	for _, raw := range []json.RawMessage{outer.Error, outer.Detail} {
		var sentence string
		if json.Unmarshal(raw, &sentence) == nil && sentence != "" {
			return complaint{message: sentence}
		}
	}
	if len(outer.Error) > 0 && outer.Error[0] == '{' {
		body = outer.Error
	}
	var inner struct {
		Message string `json:"message"`
		Type    string `json:"type"`
		Code    any    `json:"code"`
	}
	// A field of another type than expected leaves the others read.
	_ = json.Unmarshal(body, &inner)
	c := complaint{message: inner.Message, kind: inner.Type}
	switch code := inner.Code.(type) {
	case float64:
		if code >= http.StatusBadRequest && code < 600 {
			c.status = int(code)
		}
	case string:
		if c.kind == "" || strings.Contains(code, "rate_limit") || strings.Contains(code, "overloaded") {
			c.kind = code
		}
	}
	return c
}
