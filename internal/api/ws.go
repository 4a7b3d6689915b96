package api

import (
	"context"
	"net/http"
	"strings"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/fault"

	"github.com/coder/websocket"
	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
)

const (
	// protocol is the sub-protocol of our sockets; a client that cannot set
	// headers sends its token beside it, behind tokenPrefix.
	protocol    = "agentstudio"
	tokenPrefix = "bearer."
)

func (s *Server) socketRoutes() {
	s.socket("/ws", "connect", "Everything one subscribes to, over one socket", func(access.Actor, string) []string { return nil })
	s.socket("/ws/executions/{id}", "connect-execution", "One execution, from its first event on", func(_ access.Actor, id string) []string { return []string{event.ExecutionRoom(id)} })
	s.socket("/ws/collaboration/{id}", "connect-workspace", "One workspace", func(_ access.Actor, id string) []string { return []string{event.WorkspaceRoom(id)} })
	s.socket("/ws/analytics", "connect-analytics", "The analytics of the personal workspace", func(by access.Actor, _ string) []string { return []string{"analytics:" + by.Personal} })
}

// socket puts a WebSocket address on the router and into the document.
func (s *Server) socket(path, id, summary string, rooms func(by access.Actor, id string) []string) {
	o := op{Method: "GET", Path: path, ID: id, Tag: "realtime", Summary: summary, Status: http.StatusSwitchingProtocols,
		Notes: "A WebSocket of JSON frames. Authenticate by ?ticket= (from /auth/ws-ticket), by Authorization, or by the sub-protocols agentstudio and bearer.<token>. " +
			"Send subscribe {room_id, after_seq?}, unsubscribe {room_id}, presence {room_id, x?, y?, node_id?} and ping; rooms are execution:, workflow:, workspace:, analytics: and user: with an id. " +
			"subscription/missed says that events of a room that keeps none may have been lost: load what you show anew. " +
			"Closes with 4401 when the session ends and with 1013 when the client is too slow."}.operation()
	o.Responses["101"] = &huma.Response{Description: "Switching protocols"}
	o.Parameters = append(o.Parameters, &huma.Param{Name: "ticket", In: "query", Schema: &huma.Schema{Type: "string"}},
		&huma.Param{Name: "after_seq", In: "query", Description: "Where to go on in the room that is subscribed at once", Schema: &huma.Schema{Type: "integer"}})
	if strings.Contains(path, "{id}") {
		o.Parameters = append(o.Parameters, &huma.Param{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: "string", Format: "uuid"}})
	}
	s.api.OpenAPI().AddOperation(&o)
	s.router.Get(base+path, func(w http.ResponseWriter, r *http.Request) {
		by, renew, err := s.socketActor(w, r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		callOf(r.Context()).by = by
		if err := s.accept(w, r, by, renew, rooms(by, chi.URLParam(r, "id"))); err != nil {
			s.fail(w, r, err)
		}
	})
}

// renewal finds out again who is at the other end; Unauthenticated when the
// session or key has ended.
type renewal func(context.Context) (access.Actor, error)

// socketActor finds out who wants to connect, and counts the attempt.
func (s *Server) socketActor(w http.ResponseWriter, r *http.Request) (by access.Actor, renew renewal, err error) {
	ctx := r.Context()
	if ticket := r.URL.Query().Get("ticket"); ticket != "" {
		by, err = s.Accounts.SpendTicket(ctx, ticket)
		holder := by
		renew = func(ctx context.Context) (access.Actor, error) { return s.Accounts.Renew(ctx, holder) }
	} else {
		token := bearer(r)
		if token == "" {
			token = protocolToken(r)
		}
		by, err = s.identify(ctx, token)
		renew = func(ctx context.Context) (access.Actor, error) { return s.Accounts.Authenticate(ctx, token) }
	}
	if err != nil {
		if over := s.take(ctx, w.Header(), "anonymous", callOf(ctx).ip, s.cfg.Limits.Anonymous); over != nil {
			err = over
		}
		return by, nil, err
	}
	return by, renew, s.take(ctx, w.Header(), "user", by.UserID, s.cfg.Limits.User)
}

// protocolToken returns the token among the sub-protocols offered.
func protocolToken(r *http.Request) string {
	for offered := range strings.SplitSeq(strings.Join(r.Header.Values("Sec-WebSocket-Protocol"), ","), ",") {
		if token, found := strings.CutPrefix(strings.TrimSpace(offered), tokenPrefix); found {
			return token
		}
	}
	return ""
}

// accept turns the request into a socket and serves it until it ends.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, by access.Actor, renew renewal, rooms []string) error {
	for _, room := range rooms { // refused before the upgrade, where a status can be told
		if _, err := s.enterRoom(r.Context(), by, room); err != nil {
			return err
		}
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Upgrade", "websocket")
		return fault.New(fault.Malformed, "this address speaks WebSocket: ask for an upgrade")
	}
	if !s.enter() {
		return fault.New(fault.Unavailable, "the studio is stopping; try again in a moment")
	}
	over := &upgrade{ResponseWriter: w}
	conn, err := websocket.Accept(over, r, &websocket.AcceptOptions{Subprotocols: []string{protocol}, OriginPatterns: s.cfg.AllowedOrigins})
	if err != nil { // Accept has answered
		s.live.Done()
		s.cfg.Log.InfoContext(r.Context(), "socket refused", "request_id", callOf(r.Context()).id, "error", err.Error())
		return nil
	}
	conn.SetReadLimit(maxFrame)
	after := int64(0)
	if text := r.URL.Query().Get("after_seq"); text != "" {
		after = max(0, parseSeq(text))
	}
	sock := &socket{server: s, conn: conn, wire: over.wire, by: by, renew: renew, rooms: map[string]*follower{}}
	// The connection is ours now: the request, and what answering it took, may go.
	go s.keep(context.WithValue(context.Background(), callKey{}, &call{id: callOf(r.Context()).id}), sock, rooms, after)
	return nil
}

// keep serves a socket that has entered until it ends.
func (s *Server) keep(ctx context.Context, sock *socket, rooms []string, after int64) {
	defer s.live.Done()
	if s.Observer != nil {
		s.Observer.SocketOpened()
		defer s.Observer.SocketClosed()
	}
	sock.serve(ctx, rooms, after)
}

// recheck makes whoever follows for a user, on every replica, look at once
// whether the session is still alive. Who is out of reach looks within a
// heartbeat.
func (s *Server) recheck(ctx context.Context, userID string) {
	s.Bus.Publish(ctx, event.Event{Room: event.UserRoom(userID), Type: event.Session, Name: "changed", At: s.cfg.Now()})
}
