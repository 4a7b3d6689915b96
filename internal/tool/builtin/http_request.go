package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"unicode/utf8"

	"agentstudio/internal/node"
	"agentstudio/internal/outbound"
	"agentstudio/internal/tool"
)

type httpRequestArgs struct {
	Method  string            `json:"method,omitempty" jsonschema:"enum=GET,enum=POST,enum=PUT,enum=PATCH,enum=DELETE" jsonschema_description:"GET when left out."`
	URL     string            `json:"url" jsonschema:"required,minLength=1"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body,omitempty" jsonschema_description:"Text is sent as it is, any other value as JSON."`
}

func httpRequest(client Requester) tool.Tool {
	t := tool.Define(tool.Spec{Name: "http_request", Title: "HTTP request", Category: "web", Risk: node.RiskHigh, Effect: true, Limit: perMinute(120), Restrictions: []string{publicOnly},
		Description: "Calls an HTTP API and answers its status and body."},
		func(ctx context.Context, call tool.Call, a httpRequestArgs) (tool.Result, error) {
			req := outbound.Request{Method: a.Method, URL: a.URL, Header: http.Header{}}
			for name, value := range a.Headers {
				req.Header.Set(name, value)
			}
			if text, isText := a.Body.(string); isText {
				req.Body = []byte(text)
			} else if a.Body != nil {
				encoded, err := json.Marshal(a.Body)
				if err != nil {
					return tool.Result{}, err
				}
				req.Body = encoded
				if req.Header.Get("Content-Type") == "" {
					req.Header.Set("Content-Type", "application/json")
				}
			}
			if call.Key != "" && a.Method != "" && a.Method != http.MethodGet {
				req.Header.Set("Idempotency-Key", call.Key)
			}
			answer, err := client.Do(ctx, req)
			if err != nil {
				return tool.Result{}, err
			}
			body := "(binary)"
			if utf8.Valid(answer.Body) {
				body = string(answer.Body)
			}
			return tool.Result{Text: fmt.Sprintf("%d %s\n\n%s", answer.Status, http.StatusText(answer.Status), clip(body, readable)),
				Value: map[string]any{"status": answer.Status, "body": body}}, nil
		})
	return needs(t, client != nil, "HTTP client")
}
