package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"agentstudio/internal/access"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/workflow"
)

// hookPolicy keeps a page that a workflow answers with from acting as a page
// of the studio, on whose origin it is.
const hookPolicy = "sandbox allow-forms allow-scripts allow-popups; frame-ancestors 'none'"

// accepted is what callers hear who do not wait, or wait for a failure. What
// went wrong inside is for those who may read the execution.
type accepted struct {
	ExecutionID string           `json:"execution_id"`
	Status      execution.Status `json:"status"`
}

func (s *Server) answerHook(ctx context.Context, w http.ResponseWriter, by access.Actor, h *workflow.Webhook, in execution.StartInput) error {
	w.Header().Set("Content-Security-Policy", hookPolicy)
	if h.Respond != "when-finished" && h.Respond != "respond-node" {
		x, _, err := s.Executions.Start(ctx, by, in)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusAccepted, accepted{x.ID, x.Status})
		return nil
	}
	asked := h.Respond == "respond-node"
	x, err := s.Executions.Run(ctx, by, in, asked, s.cfg.HookTimeout)
	switch {
	case err != nil:
		return err
	case asked && x.Response != nil:
		writeResponse(w, x.Response)
	case x.Status == execution.Completed:
		writeOutput(w, x.Output)
	case x.Status.Over():
		writeJSON(w, http.StatusInternalServerError, accepted{x.ID, x.Status})
	default:
		return fault.New(fault.Timeout, "the execution %s has not answered within %s; it goes on", x.ID, s.cfg.HookTimeout)
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller may be gone
}

func writeOutput(w http.ResponseWriter, output json.RawMessage) {
	if output == nil {
		output = json.RawMessage("null")
	}
	writeJSON(w, http.StatusOK, output)
}

// writeResponse answers what a respond node has said.
func writeResponse(w http.ResponseWriter, said *node.Response) {
	h := w.Header()
	for name, value := range said.Headers {
		if ours(name) {
			continue
		}
		h.Set(name, value)
	}
	status := said.Status
	if status < 200 || status > 599 {
		status = http.StatusOK
	}
	text, isText := said.Body.(string)
	switch {
	case said.Body == nil || status == http.StatusNoContent || status == http.StatusNotModified:
		w.WriteHeader(status)
	case isText:
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "text/plain; charset=utf-8")
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text)) // the caller may be gone
	default:
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "application/json")
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(said.Body) // as above
	}
}

// ours reports whether a header is the server's to set: those that frame the
// answer, and those that guard the studio's origin.
func ours(name string) bool {
	switch strings.ToLower(name) {
	case "connection", "content-length", "transfer-encoding", "trailer", "upgrade", "keep-alive", "te", "date",
		"set-cookie", "content-security-policy", "x-content-type-options", "strict-transport-security", "clear-site-data", "service-worker-allowed",
		"x-request-id", "server-timing":
		return true
	}
	return false
}
