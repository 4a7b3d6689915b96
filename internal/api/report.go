package api

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

// Observer counts what the server answers. It must not block.
type Observer interface {
	// Request hears of a request once it is answered. route is the pattern that
	// fits, or "unmatched"; size is that of the body, negative when the caller has
	// not told it; lasting ones are streams and sockets.
	Request(route, method string, status int, size int64, took time.Duration, lasting bool)
	SocketOpened()
	SocketClosed()
}

// noteRoute notes which pattern fits. It stands inside the router, which takes
// its knowledge back when it is done.
func noteRoute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { callOf(r.Context()).route = chi.RouteContext(r.Context()).RoutePattern() }()
		next.ServeHTTP(w, r)
	})
}

// report counts a request and writes its line into the log.
func (s *Server) report(w *response, r *http.Request, c *call) {
	took := s.cfg.Now().Sub(w.started)
	route, method, status := c.route, methodOf(r), w.status
	if route == "" {
		route = "unmatched"
	}
	if status == 0 {
		status = http.StatusOK // what net/http says for a handler that said nothing
	}
	if s.Observer != nil {
		s.Observer.Request(route, method, status, r.ContentLength, took, w.lasting)
	}
	level := slog.LevelInfo
	switch route {
	case "/healthz", "/readyz", "/metrics":
		level = slog.LevelDebug
	}
	if !s.cfg.Log.Enabled(r.Context(), level) {
		return
	}
	line := append(make([]slog.Attr, 0, 12), // the names are those of the Elastic Common Schema
		slog.String("http.request.method", method), slog.String("http.route", route), slog.String("url.path", shownPath(r.URL.Path, route)),
		slog.Int("http.response.status_code", status), slog.Int64("http.response.body.bytes", w.written),
		slog.Int64("event.duration", took.Nanoseconds()), slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("http.request.id", c.id), slog.String("client.ip", c.ip))
	if c.by.UserID != "" {
		line = append(line, slog.String("user.id", c.by.UserID))
	}
	if c.by.APIKeyID != "" {
		line = append(line, slog.String("api_key.id", c.by.APIKeyID))
	}
	s.cfg.Log.LogAttrs(r.Context(), level, "request", line...)
}

// methodOf is one of the known methods: anything else is a caller's invention.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// shownPath is a path without what must not stand in a log: links and keys of
// addresses that let in whoever knows them, and paths that are no addresses of
// ours.
func shownPath(path, route string) string {
	if route == "unmatched" || strings.HasPrefix(route, "/hooks/") || strings.Contains(route, "{token}") {
		return route
	}
	return path
}
