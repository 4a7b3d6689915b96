package llm

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"

	"agentstudio/internal/fault"
)

// The codes of Upstream faults.
const (
	Overloaded  = "overloaded"   // the provider has too much to do
	RateLimited = "rate_limited" // we asked too often
	ServerError = "server_error" // the provider failed
	Unreachable = "unreachable"  // no connection, or none that lasted to an answer
	StreamCut   = "stream_cut"   // the answer ended in the middle
	BadResponse = "bad_response" // the answer cannot be read
)

// ErrIdle is the cause a provider cancels its own call with when nothing came
// for too long.
var ErrIdle = errors.New("nothing came from the model for too long")

// Rejection is a provider's answer that is no success.
type Rejection struct {
	Provider   string
	Status     int    // of HTTP; 0 or 200 when it came inside a stream
	Type       string // the provider's own word, e.g. "overloaded_error"
	Message    string // the provider's own sentence
	RetryAfter string // the header, as it came
	KeyName    string // what an operator sets to configure the provider
}

// Fault returns the fault for a rejection. cause goes to the log only.
func (r Rejection) Fault(cause error) *fault.Error {
	after := fault.ParseRetryAfter(r.RetryAfter)
	switch {
	case r.Status == 529, strings.Contains(r.Type, "overloaded"), r.Status == 503:
		return fault.Wrap(fault.Upstream, cause, "%s is overloaded at the moment", r.Provider).WithCode(Overloaded).WithRetryAfter(after)
	case r.Status == 429, strings.Contains(r.Type, "rate_limit"):
		return fault.Wrap(fault.Upstream, cause, "%s takes no more requests for now%s", r.Provider, r.said()).WithCode(RateLimited).WithRetryAfter(after)
	case r.Status == 408, r.Type == "timeout_error":
		return fault.Wrap(fault.Timeout, cause, "%s gave up waiting for its own answer", r.Provider).WithRetryAfter(after)
	case r.Status == 401, r.Status == 403, r.Type == "authentication_error", r.Type == "permission_error":
		return fault.Wrap(fault.NotConfigured, cause, "%s refused the key it was given: check %s%s", r.Provider, r.KeyName, r.said())
	case r.Status == 409, r.Status >= 500, r.Type == "api_error", r.Type == "server_error":
		return fault.Wrap(fault.Upstream, cause, "%s failed%s", r.Provider, r.said()).WithCode(ServerError).WithRetryAfter(after)
	case r.Status == 404, r.Type == "not_found_error":
		return fault.Wrap(fault.Invalid, cause, "%s does not know what was asked for%s", r.Provider, r.said()).WithCode("unknown_model")
	case r.Status >= 400, r.Type != "":
		return fault.Wrap(fault.Invalid, cause, "%s refused the request%s", r.Provider, r.said()).WithCode("refused_request")
	}
	return fault.Wrap(fault.Upstream, cause, "%s failed%s", r.Provider, r.said()).WithCode(ServerError)
}

func (r Rejection) said() string {
	const longest = 500
	m := strings.TrimSpace(r.Message)
	if m == "" {
		return ""
	}
	if len(m) > longest {
		m = strings.ToValidUTF8(m[:longest], "") + "…"
	}
	return ": " + m
}

// Broken returns the fault for a call that ended without an answer of the
// provider: the caller's own cancel or deadline, silence, a connection that
// failed (begun false) or a stream that broke (begun true).
func Broken(ctx context.Context, provider string, begun bool, err error) *fault.Error {
	cause := context.Cause(ctx)
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	var network net.Error
	switch {
	case errors.Is(cause, ErrIdle):
		return fault.Wrap(fault.Timeout, err, "%s sent nothing for too long", provider)
	case errors.Is(cause, context.DeadlineExceeded):
		return fault.Wrap(fault.Timeout, err, "the call to %s took longer than its limit", provider)
	case cause != nil:
		return fault.Wrap(fault.Cancelled, errors.Join(cause, err), "the call to %s was cancelled", provider)
	case errors.As(err, &syntax), errors.As(err, &wrong):
		return fault.Wrap(fault.Upstream, err, "%s sent an answer that cannot be read", provider).WithCode(BadResponse)
	case !begun && errors.As(err, &network) && network.Timeout():
		return fault.Wrap(fault.Timeout, err, "%s did not answer in time", provider)
	case !begun && !errors.Is(err, io.ErrUnexpectedEOF):
		return fault.Wrap(fault.Upstream, err, "%s cannot be reached", provider).WithCode(Unreachable)
	}
	return fault.Wrap(fault.Upstream, err, "the answer of %s broke off in the middle", provider).WithCode(StreamCut)
}

// Counted returns err with what the provider had counted for the attempt.
func Counted(err error, u Usage) error { return &counted{err, u} }

// CountedOf returns what a provider had counted for an attempt that failed;
// false: it had not said.
func CountedOf(err error) (Usage, bool) {
	var c *counted
	if !errors.As(err, &c) {
		return Usage{}, false
	}
	return c.usage, true
}

type counted struct {
	error
	usage Usage
}

// Unwrap returns the error.
func (c *counted) Unwrap() error { return c.error }

// Transient reports whether an error of Generate may pass by itself. A stream
// that was cut, or an answer that stalled, after its first part counts too:
// the caller knows what it has passed on.
func Transient(err error) bool {
	f := fault.As(err)
	if f == nil {
		return false
	}
	return f.Kind == fault.Timeout || f.Kind == fault.Upstream && f.Code != BadResponse
}
