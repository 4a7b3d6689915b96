package outbound_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"agentstudio/internal/fault"
	"agentstudio/internal/outbound"
)

func TestStreamsAreGuardedAndAnswersBounded(t *testing.T) {
	big := strings.Repeat("x", 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		_, _ = io.WriteString(w, big)
	}))
	defer s.Close()
	get := func(c *outbound.Client, path string) (string, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.Streaming().Do(req)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		return string(text), err
	}
	strict, err := outbound.New(outbound.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get(strict, "/"); fault.As(err) == nil || fault.As(err).Code != "address_refused" {
		t.Errorf("loopback was reached: %v", err)
	}
	open, err := outbound.New(outbound.Config{Allow: []string{strings.TrimPrefix(s.URL, "http://")}, MaxBody: 50})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get(open, "/"); !fault.Is(err, fault.TooLarge) {
		t.Errorf("an answer over the bound: %v", err)
	}
	if text, err := get(open, "/events"); err != nil || text != big {
		t.Errorf("a stream: %q, %v", text, err)
	}
}
