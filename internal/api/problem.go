package api

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"agentstudio/internal/fault"

	"github.com/danielgtaylor/huma/v2"
)

const problemType = "application/problem+json"

// Problem is how every failure is told, after RFC 9457.
type Problem struct {
	Type     string         `json:"type" doc:"Stable name of the kind of problem, explained at its address"`
	Title    string         `json:"title" doc:"The kind of problem in a few words"`
	Status   int            `json:"status"`
	Code     string         `json:"code,omitempty" doc:"What exactly, for programs"`
	Detail   string         `json:"detail" doc:"What happened, and what can be done about it"`
	Instance string         `json:"instance,omitempty" doc:"This very occurrence: urn:request:<request id>"`
	Errors   []ProblemEntry `json:"errors,omitempty" doc:"Every fault found in the input"`

	retryAfter time.Duration
}

// ProblemEntry is one fault of an input.
type ProblemEntry struct {
	Location string `json:"location" doc:"Where: body.nodes[2].config.url, query.limit"`
	Code     string `json:"code,omitempty"`
	Message  string `json:"message"`
	Value    any    `json:"value,omitempty"`
}

// problemKind says how a kind of failure is told over HTTP.
type problemKind struct {
	Kind   string
	Status int
	Title  string
	Advice string
}

// problemKinds maps each kind of fault to its status; the one place that does.
// The last ones come from HTTP itself.
func problemKinds() []problemKind {
	return []problemKind{
		{string(fault.Malformed), 400, "Cannot be read", "The body is no JSON, or no text at all. Mend what the detail names."},
		{string(fault.Unauthenticated), 401, "Not signed in", "The credentials are missing, wrong, expired or revoked. Sign in again, or refresh the token."},
		{string(fault.OverBudget), 402, "Budget used up", "Money or tokens of the workspace are spent. Raise the budget, or wait for the next period."},
		{string(fault.Forbidden), 403, "Not allowed", "Your role, or the scopes of the key, are too low. Ask an admin of the workspace."},
		{string(fault.NotFound), 404, "Not found", "There is no such thing, or it is not yours to see."},
		{"method_not_allowed", 405, "Method not allowed", "The address exists, but does not know this method: see the Allow header."},
		{"not_acceptable", 406, "Not acceptable", "The server speaks JSON: change the Accept header."},
		{string(fault.Conflict), 409, "Not in this state", "The present state forbids it. The detail names the state."},
		{string(fault.Cancelled), 409, "Cancelled", "Somebody stopped it."},
		{string(fault.Stale), 412, "Changed meanwhile", "Somebody else has changed it since you read it. Load it again, then repeat your change."},
		{string(fault.TooLarge), 413, "Too large", "The body or a value is over its bound. Send less, or upload a file and pass its id."},
		{"unsupported_media_type", 415, "Unsupported media type", "Send application/json."},
		{string(fault.Invalid), 422, "Against the rules", "Every fault of the input is listed in errors. Mend them all and send it again."},
		{string(fault.TooMany), 429, "Too many requests", "A limit is reached. Come back after the seconds of the Retry-After header."},
		{string(fault.Internal), 500, "Our fault", "Something went wrong on our side. Try again, and quote the request id if it stays."},
		{string(fault.NotConfigured), 501, "Not set up", "The operator of this studio has not set this up."},
		{string(fault.Upstream), 502, "A service we call failed", "A model, server or site that was called failed. The detail names it."},
		{string(fault.Unavailable), 503, "Not available just now", "A part of the studio is down or stopping. Try again in a moment."},
		{string(fault.Timeout), 504, "Took too long", "It took longer than its limit."},
	}
}

func kindNamed(kind string) problemKind {
	for _, k := range problemKinds() {
		if k.Kind == kind {
			return k
		}
	}
	return kindNamed(string(fault.Internal))
}

func kindOfStatus(status int) problemKind {
	for _, k := range problemKinds() {
		if k.Status == status {
			return k
		}
	}
	if status < 500 {
		return problemKind{Kind: string(fault.Malformed), Status: status, Title: http.StatusText(status)}
	}
	return kindNamed(string(fault.Internal))
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return problemType }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(p.retryAfter.Seconds())))))
	}
	return h
}

func (s *Server) newProblem(ctx context.Context, kind problemKind, detail string) *Problem {
	return &Problem{Type: "/docs/problems#" + kind.Kind, Title: kind.Title, Status: kind.Status, Detail: detail, Instance: "urn:request:" + callOf(ctx).id}
}

// problem tells a failure. Failures that are ours are logged here, once, and
// keep their text to themselves.
func (s *Server) problem(ctx context.Context, err error) *Problem {
	var told *Problem
	if errors.As(err, &told) {
		return told
	}
	f := fault.As(err)
	if f == nil || f.Kind == fault.Internal {
		return s.internal(ctx, err)
	}
	p := s.newProblem(ctx, kindNamed(string(f.Kind)), f.Message)
	p.Code, p.retryAfter = f.Code, f.RetryAfter
	for _, d := range f.Details {
		p.Errors = append(p.Errors, ProblemEntry{Location: d.Location, Code: d.Code, Message: d.Message, Value: presentable(d.Location, d.Value)})
	}
	if p.Status >= 500 {
		s.cfg.Log.WarnContext(ctx, "request failed", "request_id", callOf(ctx).id, "kind", string(f.Kind), "error", err.Error())
	}
	return p
}

func (s *Server) internal(ctx context.Context, err error) *Problem {
	if ctx.Err() != nil { // the caller is gone, or took too long: nobody's fault
		return s.newProblem(ctx, kindNamed(string(fault.Unavailable)), "the request was given up before it was answered")
	}
	id := callOf(ctx).id
	s.cfg.Log.ErrorContext(ctx, "request failed", "request_id", id, "error", err.Error())
	return s.newProblem(ctx, kindNamed(string(fault.Internal)), "something went wrong on our side; quote the request id "+id+" when you ask about it")
}

// presentable returns a value that may be repeated to the caller: short, and
// not a secret.
func presentable(location string, v any) any {
	for _, secret := range []string{"code", "token", "secret", "password", "key"} {
		if strings.HasSuffix(location, secret) {
			return nil
		}
	}
	switch x := v.(type) {
	case string:
		if len(x) > 200 || !utf8.ValidString(x) {
			return nil
		}
		return x
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil
		}
		return x
	case bool, int, int64:
		return x
	}
	return nil
}

// translate turns the library's own refusals (wrong types, unknown fields,
// bad parameters) into problems.
func (s *Server) translate(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	kind := kindOfStatus(m.Status)
	p := s.newProblem(ctx.Context(), kind, m.Detail)
	p.Status = m.Status
	for _, d := range m.Errors {
		p.Errors = append(p.Errors, ProblemEntry{Location: d.Location, Message: d.Message, Value: presentable(d.Location, d.Value)})
	}
	switch {
	case m.Status == http.StatusUnprocessableEntity:
		p.Detail = fault.InvalidInput(make([]fault.Detail, len(m.Errors))...).Message
	case m.Status == http.StatusBadRequest && len(m.Errors) > 0:
		p.Detail = "the body cannot be read as JSON: " + m.Errors[0].Message
		p.Errors = nil
	case m.Status == http.StatusUnsupportedMediaType:
		p.Detail, p.Errors = "send the body as application/json", nil
	}
	return p, nil
}

// fail answers a request with a failure, outside of the operations.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.writeProblem(w, r, s.problem(r.Context(), err))
}

func (s *Server) writeProblem(w http.ResponseWriter, r *http.Request, p *Problem) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	if isModelPath(r.URL.Path) {
		s.writeModelProblem(w, r, p)
		return
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller may be gone
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, fault.New(fault.NotFound, "there is nothing at this address"))
}

func (s *Server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	allowed := s.allowed(r.URL.Path)
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	s.writeProblem(w, r, s.newProblem(r.Context(), kindNamed("method_not_allowed"), "this address knows "+strings.Join(allowed, ", ")+" only"))
}
