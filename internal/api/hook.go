package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"agentstudio/internal/access"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/signature"
	"agentstudio/internal/workflow"

	"github.com/go-chi/chi/v5"
)

// hookRoutes are the addresses of webhook triggers. They stay outside of the
// documented operations: what they take and answer is the workflow's own.
func (s *Server) hookRoutes() {
	s.router.HandleFunc("/hooks/{slug}/*", func(w http.ResponseWriter, r *http.Request) {
		if err := s.hook(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// hook starts the workflow that is armed at the address and answers as its
// trigger says. Whatever is answered with 2xx is committed.
func (s *Server) hook(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	path := strings.Trim(chi.URLParam(r, "*"), "/")
	h, err := s.Workflows.ArmedWebhook(ctx, chi.URLParam(r, "slug"), path)
	if err != nil {
		return err
	}
	if method := asGet(r.Method); !slices.Contains(h.Methods, method) {
		w.Header().Set("Allow", strings.Join(h.Methods, ", "))
		s.writeProblem(w, r, s.newProblem(ctx, kindNamed("method_not_allowed"), "this webhook takes "+strings.Join(h.Methods, ", ")+" only"))
		return nil
	}
	if err := s.take(ctx, w.Header(), "webhook", h.WorkflowID, s.cfg.Limits.Webhook); err != nil {
		return err
	}
	body, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	if err := s.checkSender(ctx, h, r.Header, body); err != nil {
		return err
	}
	data, err := triggerData(r, h, path, body)
	if err != nil {
		return err
	}
	c := callOf(ctx)
	by := access.SystemActor("webhook")
	by.IP, by.UserAgent = c.ip, c.agent
	in := execution.StartInput{WorkspaceID: h.WorkspaceID, WorkflowID: h.WorkflowID, Version: h.Version, TriggerType: "webhook", StartNode: h.NodeID,
		TriggerData: data, DedupeKey: h.DedupeKey, Once: delivery(h, r.Header, body)}
	return s.answerHook(ctx, w, by, h, in)
}

// delivery is what the sender of a signed call knows it by, when the workflow
// does not say itself what repeated deliveries have in common.
func delivery(h *workflow.Webhook, header http.Header, body []byte) string {
	scheme, known := signature.Find(h.Scheme)
	if !known || h.Auth != "hmac" || h.DedupeKey != "" {
		return ""
	}
	id := scheme.Delivery(signature.Headers(header), body)
	if id == "" {
		return ""
	}
	return strings.Join([]string{h.WorkflowID, h.NodeID, id}, " ")
}

// asGet reads HEAD as the GET it stands for.
func asGet(method string) string {
	if method == http.MethodHead {
		return http.MethodGet
	}
	return method
}

// checkSender refuses callers who cannot show the trigger's secret.
func (s *Server) checkSender(ctx context.Context, h *workflow.Webhook, header http.Header, body []byte) error {
	if h.Auth == "" || h.Auth == "none" {
		return nil
	}
	if s.WebhookSecret == nil {
		return fault.New(fault.NotConfigured, "this studio keeps no credentials, which this webhook needs")
	}
	refused := fault.New(fault.Unauthenticated, "the secret or signature that this webhook asks for is missing or wrong")
	secret, err := s.WebhookSecret(ctx, h.WorkspaceID, h.Credential)
	if fault.Is(err, fault.NotFound) || err == nil && len(secret) == 0 {
		s.cfg.Log.WarnContext(ctx, "webhook has no secret to check with", "workflow_id", h.WorkflowID, "credential", h.Credential)
		return refused
	}
	if err != nil {
		return err
	}
	given := header.Get(h.Header)
	if h.Auth == "hmac" {
		scheme, known := signature.Find(h.Scheme)
		options := signature.Options{Header: h.Header, Prefix: h.Prefix, Encoding: h.Encoding}
		if known && scheme.Genuine(secret, signature.Headers(header), body, options, s.cfg.Now()) {
			return nil
		}
		return refused
	}
	// Hashes have one length, so the comparison tells nothing about the secret's.
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256(secret)
	if h.Auth == "header" && given != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1 {
		return nil
	}
	return refused
}

// hookData is what the workflow reads as trigger.
type hookData struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Query   map[string]any    `json:"query"`
	Headers map[string]string `json:"headers"`
	Body    any               `json:"body"`
	Raw     string            `json:"raw"`
}

func triggerData(r *http.Request, h *workflow.Webhook, path string, body []byte) (json.RawMessage, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.New(fault.Malformed, "the query of the address cannot be read")
	}
	d := hookData{Method: r.Method, Path: path, Query: fields(query), Headers: make(map[string]string, len(r.Header)), Raw: string(body)}
	for name, values := range r.Header {
		switch {
		case name == "Authorization" || name == "Cookie" || strings.EqualFold(name, h.Header):
			continue // secrets are not kept with the execution
		default:
			d.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	d.Body = parsed(r.Header.Get("Content-Type"), body)
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "the call cannot be written as JSON")
	}
	return text, nil
}

// fields shows one value as a text and several as a list.
func fields(values url.Values) map[string]any {
	out := make(map[string]any, len(values))
	for name, list := range values {
		if len(list) == 1 {
			out[name] = list[0]
		} else {
			out[name] = list
		}
	}
	return out
}

// parsed reads a body that is JSON or a form; any other is its text.
func parsed(contentType string, body []byte) any {
	if len(body) == 0 {
		return nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && media == "application/x-www-form-urlencoded":
		if form, err := url.ParseQuery(string(body)); err == nil {
			return fields(form)
		}
	case (contentType == "" || media == "application/json" || strings.HasSuffix(media, "+json")) && utf8.Valid(body) && json.Valid(body):
		return json.RawMessage(body)
	}
	return string(body)
}
