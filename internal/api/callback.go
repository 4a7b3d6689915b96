package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"

	"github.com/go-chi/chi/v5"
)

// callbackPath is what the addresses that nodes wait on begin with. No
// workspace can be called so, and none can take a webhook there.
const callbackPath = "/hooks/_callback/"

// callbackRoutes are the addresses that waiting nodes open. Like webhooks they
// stay outside of the documented operations.
func (s *Server) callbackRoutes() {
	take := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := s.callback(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
	s.router.Get(callbackPath+"{key}", take)
	s.router.Post(callbackPath+"{key}", take)
}

// called is what the node answers with.
type called struct {
	Method  string            `json:"method"`
	Query   map[string]any    `json:"query"`
	Headers map[string]string `json:"headers"`
	Body    any               `json:"body"`
}

// callback has a waiting node go on. Whatever is answered with 2xx is
// committed; the key is spent.
func (s *Server) callback(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if r.Method == http.MethodHead { // those who look whether a link works do not mean to call it
		return fault.New(fault.NotFound, "an address is called by GET or POST")
	}
	key := chi.URLParam(r, "key")
	a, err := s.Executions.AskByKey(ctx, key)
	if fault.Is(err, fault.NotFound) {
		if over := s.take(ctx, w.Header(), "anonymous", callOf(ctx).ip, s.cfg.Limits.Anonymous); over != nil {
			return over
		}
	}
	if err != nil {
		return err
	}
	if err := s.take(ctx, w.Header(), "webhook", a.WorkflowID, s.cfg.Limits.Webhook); err != nil {
		return err
	}
	body, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.New(fault.Malformed, "the query of the address cannot be read")
	}
	d := called{Method: r.Method, Query: fields(query), Headers: make(map[string]string, len(r.Header)), Body: parsed(r.Header.Get("Content-Type"), body)}
	for name, values := range r.Header {
		if name != "Authorization" && name != "Cookie" { // secrets are not kept with the execution
			d.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	data, err := json.Marshal(d)
	if err != nil {
		return fault.Wrap(fault.Malformed, err, "the call cannot be written as JSON")
	}
	if a, err = s.Executions.Callback(ctx, key, data); err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, accepted{a.ExecutionID, execution.Running})
	return nil
}
