package api_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"agentstudio/internal/api"
)

// BenchmarkWebhook is a whole synchronous call: three nodes and the answer,
// every node durable. 32 callers at a time, as grouped commits need company.
func BenchmarkWebhook(b *testing.B) {
	s := open(b, options{})
	p := s.signIn("a@example.com")
	ws := s.personal(p)
	s.arm(p, ws, `{"path":"b","respond":"when-finished"}`, `{"kind":"set","config":{"values":{"a":"{{ trigger.body.n }}"}}}`, `{"kind":"set","config":{"values":{"ok":true}}}`)
	slug := s.do("GET", "/workspaces/"+ws, p.token, nil).expect(200).text("slug")
	address := s.http.URL + "/hooks/" + slug + "/b"
	s.http.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	calls := make(chan struct{})
	var callers sync.WaitGroup
	b.ResetTimer()
	for range 32 {
		callers.Go(func() {
			for range calls {
				resp, err := s.http.Client().Post(address, "application/json", strings.NewReader(`{"n":1}`))
				if err != nil {
					b.Error(err)
					continue
				}
				if resp.StatusCode != http.StatusOK {
					b.Errorf("status %d", resp.StatusCode)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					b.Error(err)
				}
				resp.Body.Close()
			}
		})
	}
	for range b.N {
		calls <- struct{}{}
	}
	close(calls)
	callers.Wait()
}

// BenchmarkReads is what an open studio asks for, without the network.
func BenchmarkReads(b *testing.B) {
	s := open(b, options{})
	p := s.signIn("a@example.com")
	var workflows, executions []string
	for range 20 {
		workflows = append(workflows, s.do("POST", "/workflows", p.token, json.RawMessage(`{"name":"w","nodes":[{"id":"in","kind":"manual-trigger"},{"id":"a","kind":"set","config":{"values":{"n":1}}},{"id":"b","kind":"set","config":{"values":{"n":2}}}],"connections":[{"source":"in","target":"a"},{"source":"a","target":"b"}]}`)).expect(201).text("id"))
	}
	for i := range 200 {
		executions = append(executions, s.do("POST", "/executions", p.token, map[string]any{"workflow_id": workflows[i%20], "wait": 30}).expect(200).text("id"))
	}
	key := s.do("POST", "/auth/api-keys", p.token, map[string]any{"name": "k", "scopes": []string{"read"}}).expect(201).text("key")
	for name, path := range map[string]string{
		"me": "/auth/me", "workflow": "/workflows/" + workflows[3], "execution": "/executions/" + executions[7], "nodes": "/executions/" + executions[7] + "/nodes",
		"executions": "/executions?limit=20", "workflows": "/workflows?limit=20",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodGet, "/api/v1"+path, http.NoBody)
				r.Header.Set("Authorization", "Bearer "+key)
				w := httptest.NewRecorder()
				s.http.Config.Handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatalf("status %d: %s", w.Code, w.Body)
				}
			}
		})
	}
}

// BenchmarkRead is one small read by somebody who is signed in: whom it costs
// what to count and log it.
func BenchmarkRead(b *testing.B) {
	for name, change := range map[string]func(*api.Config){
		"silent": func(*api.Config) {},
		"logged": func(c *api.Config) { c.Log = slog.New(slog.NewJSONHandler(io.Discard, nil)) },
	} {
		b.Run(name, func(b *testing.B) {
			s := open(b, options{config: func(c *api.Config) { c.Log = slog.New(slog.DiscardHandler); change(c) }})
			p := s.signIn("a@example.com")
			request := httptest.NewRequestWithContext(b.Context(), "GET", "/api/v1/workspaces", nil)
			request.Header.Set("Authorization", "Bearer "+p.token)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				w := httptest.NewRecorder()
				s.server.ServeHTTP(w, request)
				if w.Code != http.StatusOK {
					b.Fatalf("status %d", w.Code)
				}
			}
		})
	}
}
