// Package fault names the kinds of failure a caller can react to, and carries
// the sentence that tells a person what to do about one.
//
// An error that is not a fault is internal: it is logged at the edge and its
// text never reaches a user.
package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind classifies a failure by what the caller can do about it.
type Kind string

// The kinds. Each maps to one HTTP status at the edge.
const (
	Internal        Kind = "internal"        // ours: retry later, quote the request id
	Malformed       Kind = "malformed"       // cannot be read at all
	Invalid         Kind = "invalid"         // read, but against the rules; see Details
	Unauthenticated Kind = "unauthenticated" // no, bad, expired or revoked credentials
	Forbidden       Kind = "forbidden"       // a member whose role is too low
	NotFound        Kind = "not_found"       // not there, or not yours
	Conflict        Kind = "conflict"        // the state forbids it
	Stale           Kind = "stale"           // somebody else changed it first
	TooMany         Kind = "too_many"        // a rate limit; see RetryAfter
	TooLarge        Kind = "too_large"       // body or value over its bound
	OverBudget      Kind = "budget_exceeded" // money or tokens are used up
	Upstream        Kind = "upstream"        // a model, server or site we called failed
	Timeout         Kind = "timeout"         // it took longer than its limit
	Unavailable     Kind = "unavailable"     // a part of ours is down; come back later
	NotConfigured   Kind = "not_configured"  // the operator has not set this up
	Cancelled       Kind = "cancelled"       // somebody stopped it
)

// Detail is one fault of several in an input.
type Detail struct {
	Location string `json:"location"`        // where: "body.nodes[2].config.url"
	Code     string `json:"code,omitempty"`  // machine-readable reason
	Message  string `json:"message"`         // a sentence a person can act on
	Value    any    `json:"value,omitempty"` // the offending value, if it is safe to repeat
}

// Error is a failure with a kind. Its Message may be shown to users; the
// wrapped cause may not.
type Error struct {
	Kind       Kind
	Code       string // refines Kind for programs, e.g. "loop_detected"; may be empty
	Message    string
	Details    []Detail
	RetryAfter time.Duration // with TooMany, Upstream, Unavailable: when to come back; 0 = unknown
	cause      error
}

// New returns a fault of the kind whose message is the formatted text.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns a fault of the kind with a message for people and a cause for
// the log. errors.Is and errors.As see the cause.
func Wrap(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), cause: cause}
}

// InvalidInput returns one fault holding every detail found.
func InvalidInput(details ...Detail) *Error {
	message := "the input breaks a rule"
	if len(details) > 1 {
		message = fmt.Sprintf("the input breaks %d rules", len(details))
	}
	return &Error{Kind: Invalid, Message: message, Details: details}
}

// WithCode returns e with its Code set.
func (e *Error) WithCode(code string) *Error { e.Code = code; return e }

// WithRetryAfter returns e with its RetryAfter set.
func (e *Error) WithRetryAfter(d time.Duration) *Error { e.RetryAfter = d; return e }

// Error returns the message, the details and the cause, for logs.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	for _, d := range e.Details {
		b.WriteString("; ")
		if d.Location != "" {
			b.WriteString(d.Location)
			b.WriteString(": ")
		}
		b.WriteString(d.Message)
	}
	if e.cause != nil {
		b.WriteString(": ")
		b.WriteString(e.cause.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// As returns the first fault in err's chain, or nil when there is none.
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// KindOf returns the kind of the first fault in err's chain; Internal when
// there is none; "" when err is nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if e := As(err); e != nil {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is a fault of the kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Message returns the sentence that may be shown to a user: the fault's own
// message, or a general one for an internal error.
func Message(err error) string {
	if e := As(err); e != nil {
		return e.Message
	}
	return "something went wrong on our side"
}
