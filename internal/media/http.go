package media

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
)

// bounded reads no more of an answer than one may have, and follows nowhere:
// requests carry keys.
func bounded() *http.Client {
	return &http.Client{
		Transport:     limitedTransport{http.DefaultTransport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type limitedTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t limitedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	if err == nil {
		answer.Body = &limitedBody{ReadCloser: answer.Body, left: maxAnswer, host: r.URL.Host}
	}
	return answer, err
}

type limitedBody struct {
	io.ReadCloser
	left int64
	host string
}

// Read implements io.Reader.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fault.New(fault.TooLarge, "the answer of %s is over %d MiB", b.host, maxAnswer>>20)
	}
	return n, err
}

// endpoint is where a provider is called.
type endpoint struct {
	name    string
	base    string
	keyName string
	client  *http.Client
}

// usable says why a base URL is none.
func usable(name, base string) error {
	if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fault.New(fault.NotConfigured, "the base URL of %s is not a web address", name)
	}
	return nil
}

func notSetUp(name, keyName string) error {
	return fault.New(fault.NotConfigured, "%s is not set up here: set %s", name, keyName)
}

// post sends a body and reads the JSON answer into out. complain finds a
// provider's own word and sentence in an answer that is no success.
func (e endpoint) post(ctx context.Context, path string, header http.Header, body []byte, out any, complain func([]byte) (kind, message string)) error {
	if err := usable(e.name, e.base); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.base+path, bytes.NewReader(body))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the request to %s cannot be made", e.name)
	}
	req.Header = header
	answer, err := e.client.Do(req)
	if err != nil {
		return broken(ctx, e.name, err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return broken(ctx, e.name, err)
	}
	if answer.StatusCode/100 != 2 {
		kind, message := complain(text)
		return llm.Rejection{Provider: e.name, Status: answer.StatusCode, Type: kind, Message: message, RetryAfter: answer.Header.Get("Retry-After"), KeyName: e.keyName}.Fault(nil)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return unreadable(e.name, err)
	}
	return nil
}

// broken is the fault of a call that ended without an answer.
func broken(ctx context.Context, name string, err error) error {
	if f := fault.As(err); f != nil {
		return f
	}
	return llm.Broken(ctx, name, false, err)
}
