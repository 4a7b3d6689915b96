package api_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"agentstudio/internal/api"
)

// journal gathers what is logged as JSON.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

// requests returns the lines of requests by their pattern, the last of each.
func (j *journal) requests(t *testing.T) map[string]map[string]any {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[string]map[string]any{}
	for line := range bytes.Lines(j.text.Bytes()) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		if m["msg"] == "request" {
			route, _ := m["http.route"].(string)
			out[route] = m
		}
	}
	return out
}

func TestEachRequestIsOneLineWithoutSecrets(t *testing.T) {
	log := &journal{}
	s := open(t, options{config: func(c *api.Config) {
		c.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}})
	p := s.signIn("a@example.com")
	s.do("GET", "/workspaces?limit=3&secret=canary-q", p.token, nil).expect(422)
	s.do("GET", "/workspaces?limit=3", p.token, nil).expect(200)
	s.do("POST", "/invitations/canary-t/accept", p.token, nil)
	for _, path := range []string{"/hooks/_callback/canary-k", "/hooks/canary-s/canary-w", "/hooks/_approval/canary-l", "/canary-n", "/healthz"} {
		answer, err := s.http.Client().Get(s.http.URL + path + "?canary-q")
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s.http.Close() // the last lines are written after the answers
	found := log.requests(t)
	line := found["/api/v1/workspaces"]
	if line["http.request.method"] != "GET" || line["url.path"] != "/api/v1/workspaces" || line["http.response.status_code"] != 200.0 || line["user.id"] != p.id || line["level"] != "INFO" {
		t.Errorf("got %v", line)
	}
	for _, name := range []string{"event.duration", "duration_ms", "http.request.id", "client.ip", "http.response.body.bytes"} {
		if line[name] == nil || line[name] == "" {
			t.Errorf("%s is missing in %v", name, line)
		}
	}
	if found["unmatched"]["http.response.status_code"] != 404.0 || found["/hooks/{slug}/*"] == nil || found["/hooks/_callback/{key}"] == nil {
		t.Errorf("got %v", found)
	}
	if found["/healthz"] != nil {
		t.Error("a health check is logged at info")
	}
	if text := log.text.String(); strings.Contains(text, "canary") || strings.Contains(text, p.token) {
		t.Errorf("a secret is in the log:\n%s", text)
	}
}

func TestAQuietLogHoldsNoRequests(t *testing.T) {
	log := &journal{}
	s := open(t, options{config: func(c *api.Config) {
		c.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}})
	s.signIn("a@example.com")
	s.http.Close()
	if found := log.requests(t); len(found) != 0 {
		t.Errorf("got %v", found)
	}
}
