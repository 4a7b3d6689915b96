package outbound

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"agentstudio/internal/fault"
)

// Streaming returns a guarded client for answers that come piece by piece and
// may take as long as they like: their requests end with their contexts. What
// is no stream of events is bounded like any answer. Every request takes its
// turn under the operator's limits.
func (c *Client) Streaming() *http.Client {
	patient := c.transport.Clone()
	patient.ResponseHeaderTimeout = 0
	patient.IdleConnTimeout = 30 * time.Second
	return &http.Client{Transport: streaming{c, patient}, CheckRedirect: c.redirects(Request{})}
}

type streaming struct {
	client *Client
	next   *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (s streaming) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := s.client.turn(r.Context(), r.URL, ""); err != nil {
		return nil, err
	}
	if r.Header.Get("User-Agent") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("User-Agent", s.client.cfg.UserAgent)
	}
	answer, err := s.next.RoundTrip(r)
	if err != nil {
		return nil, explain(r.URL, s.client.cfg.Timeout, err)
	}
	if !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		answer.Body = &bounded{ReadCloser: answer.Body, left: s.client.cfg.MaxBody, host: r.URL.Host, most: s.client.cfg.MaxBody}
	}
	return answer, nil
}

// CloseIdleConnections is what http.Client calls.
func (s streaming) CloseIdleConnections() { s.next.CloseIdleConnections() }

// bounded is a body that fails when it is too large.
type bounded struct {
	io.ReadCloser
	left, most int64
	host       string
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 && (err == nil || errors.Is(err, io.EOF)) {
		return 0, fault.New(fault.TooLarge, "the answer of %s is over %s", b.host, size(b.most))
	}
	return n, err
}
