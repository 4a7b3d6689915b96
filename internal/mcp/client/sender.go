package client

import (
	"errors"
	"net/http"
	"net/url"
	"sync"

	"agentstudio/internal/fault"
	"agentstudio/internal/mcp"
)

// sender makes the requests of one connection, with the headers of its server.
type sender struct {
	http    *http.Client
	target  *url.URL
	headers map[string]mcp.Secret

	mu      sync.Mutex // guards refused
	refused error      // why a request was not made; the SDK keeps the text only
}

func newSender(h *http.Client, t mcp.Target) *sender {
	u, err := url.Parse(t.URL)
	if err != nil {
		u = &url.URL{}
	}
	return &sender{http: h, target: u, headers: t.Headers}
}

func (s *sender) client() *http.Client {
	out := *s.http
	out.Transport = s
	return &out
}

// RoundTrip implements http.RoundTripper. Headers go to the server's own origin
// only, not where it redirects to.
func (s *sender) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == s.target.Scheme && r.URL.Host == s.target.Host {
		r = r.Clone(r.Context())
		for name, value := range s.headers {
			r.Header.Set(name, value.Reveal())
		}
	}
	next := s.http.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	answer, err := next.RoundTrip(r)
	if err != nil && fault.As(err) != nil {
		s.mu.Lock()
		s.refused = err
		s.mu.Unlock()
	}
	if err == nil && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden) {
		s.mu.Lock()
		s.refused = fault.New(fault.Upstream, "it answered %d %s: set the credentials it wants in headers", answer.StatusCode, http.StatusText(answer.StatusCode)).WithCode("mcp_credentials")
		s.mu.Unlock()
	}
	return answer, err
}

// explain gives back why a request was not made.
func (s *sender) explain(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	refused := s.refused
	s.refused = nil
	if f := fault.As(refused); err != nil && f != nil {
		return errors.Join(f, err)
	}
	return err
}
