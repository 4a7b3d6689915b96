package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/fault"

	"github.com/google/uuid"
)

// MCP is the studio as an MCP server.
type MCP interface {
	// ServeMCP answers a POST of somebody who may read the workspace.
	ServeMCP(w http.ResponseWriter, r *http.Request, by access.Actor, workspaceID string)
}

// mcpRoutes are where MCP clients come in. They stay outside of the documented
// operations: what goes over them is the protocol's.
func (s *Server) mcpRoutes() {
	if s.MCP == nil {
		return
	}
	answer := func(handle func(w http.ResponseWriter, r *http.Request, by access.Actor, workspaceID string) error) http.Handler {
		return s.authenticated(s.bodied(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			by := callOf(r.Context()).by
			workspaceID, err := mcpWorkspace(by, r)
			if err == nil {
				err = by.Need(workspaceID, access.Read)
			}
			if err == nil {
				err = handle(w, r, by, workspaceID)
			}
			if err != nil {
				s.fail(w, r, err)
			}
		})))
	}
	s.router.Method(http.MethodPost, "/mcp", answer(s.mcpPost))
	s.router.Method(http.MethodGet, "/mcp", answer(s.mcpListen))
	s.router.Method(http.MethodDelete, "/mcp", answer(func(w http.ResponseWriter, _ *http.Request, _ access.Actor, _ string) error {
		w.WriteHeader(http.StatusNoContent) // there is nothing to end: sessions are kept nowhere
		return nil
	}))
}

// mcpWorkspace is the workspace whose workflows are offered.
func mcpWorkspace(by access.Actor, r *http.Request) (string, error) {
	id := r.URL.Query().Get("workspace_id")
	if id == "" {
		return by.Personal, nil
	}
	if _, err := uuid.Parse(id); err != nil || len(id) != 36 {
		return "", wanted("query.workspace_id", "this is no id")
	}
	return strings.ToLower(id), nil
}

// errStopping is why requests end when the server does.
var errStopping = fault.New(fault.Unavailable, "the studio is stopping; try again in a moment")

// mcpPost answers one message. The answer may be a stream that lasts as long
// as an execution.
func (s *Server) mcpPost(w http.ResponseWriter, r *http.Request, by access.Actor, workspaceID string) error {
	if !s.enter() {
		return errStopping
	}
	defer s.live.Done()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer s.onStop(func() { cancel(errStopping) })()
	s.MCP.ServeMCP(w, r.WithContext(ctx), by, workspaceID)
	return nil
}

// toolsChanged is what clients are told when a workflow is published or taken
// back.
const toolsChanged = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n"

// mcpListen tells a client that the tools have changed, until it goes, may not
// know any more, or the server stops.
func (s *Server) mcpListen(w http.ResponseWriter, r *http.Request, by access.Actor, workspaceID string) error {
	if !strings.Contains(r.Header.Get("Accept"), eventStream) {
		w.Header().Set("Allow", "POST, GET, DELETE")
		s.writeProblem(w, r, s.newProblem(r.Context(), kindNamed("method_not_allowed"), "GET opens a stream: send Accept: text/event-stream"))
		return nil
	}
	if !s.enter() {
		return errStopping
	}
	defer s.live.Done()
	ctx := r.Context()
	sub := s.Bus.Subscribe(event.WorkspaceRoom(workspaceID), event.UserRoom(by.UserID))
	defer sub.Close()
	out := newSSE(w)
	err := out.send(": listening\n\n")
	beat := time.NewTicker(s.cfg.Heartbeat)
	defer beat.Stop()
	for err == nil {
		select {
		case <-ctx.Done():
			return nil
		case <-s.stopping:
			return nil
		case <-beat.C:
			if err = s.stillReads(ctx, r, workspaceID); err == nil {
				err = out.send(": still here\n\n")
			}
		case e := <-sub.C():
			switch {
			case e.Type == event.Session:
				err = s.stillReads(ctx, r, workspaceID)
			case sub.Lagged(), e.Type == event.WorkflowUpdate && e.Name != "created":
				err = out.send(toolsChanged)
			}
		}
	}
	s.noteStream(ctx, err)
	return nil
}

// stillReads returns an error when the caller may not read any more.
func (s *Server) stillReads(ctx context.Context, r *http.Request, workspaceID string) error {
	by, err := s.identify(ctx, bearer(r))
	if err != nil {
		return err
	}
	return by.Need(workspaceID, access.Read)
}
