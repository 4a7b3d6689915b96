package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"

	"github.com/go-chi/chi/v5"
)

// call is what is known of the request in hand; made by outer, completed by
// authenticate.
type call struct {
	id    string
	ip    string
	agent string
	// origin is scheme and host as the caller wrote them.
	origin string
	by     access.Actor
	route  string // the pattern that fits; "" when none does
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// response notes what was answered and adds the time it took.
type response struct {
	http.ResponseWriter
	started time.Time
	now     func() time.Time
	status  int
	written int64
	lasting bool // a stream or a socket
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
		w.lasting = status == http.StatusSwitchingProtocols || strings.HasPrefix(w.Header().Get("Content-Type"), eventStream)
		took := float64(w.now().Sub(w.started).Microseconds()) / 1000
		w.Header().Set("Server-Timing", "app;dur="+strconv.FormatFloat(took, 'f', 1, 64))
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(b)
	w.written += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController flush, hijack and set deadlines.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// outer is what every request passes through.
func (s *Server) outer(next http.Handler) http.Handler {
	inner := s.checkURL(s.cors(s.crossOrigin(next)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{id: requestID(r, s.cfg.NewID), ip: s.clientIP(r), agent: agentOf(r), origin: s.originOf(r)}
		c.by = access.Actor{IP: c.ip, UserAgent: c.agent}
		out := &response{ResponseWriter: w, started: s.cfg.Now(), now: s.cfg.Now}
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		h := w.Header()
		h.Set("X-Request-Id", c.id)
		s.secure(h, r)
		defer s.report(out, r, c)
		defer s.recover(out, r)
		s.hasten(w, r)
		inner.ServeHTTP(out, r)
	})
}

// timed ends a request that takes longer than reading may take.
func (s *Server) timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.cfg.ReadTime)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// recover answers a request whose handler panicked, and logs it once.
func (s *Server) recover(w *response, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	if r.Context().Err() == nil {
		s.cfg.Log.ErrorContext(r.Context(), "handler panicked", "request_id", callOf(r.Context()).id, "method", r.Method, "path", r.URL.Path,
			"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
	if w.status == 0 {
		id := callOf(r.Context()).id
		s.writeProblem(w, r, s.newProblem(r.Context(), kindNamed(string(fault.Internal)), "something went wrong on our side; quote the request id "+id+" when you ask about it"))
	}
}

// requestID takes over the caller's id when it is harmless.
func requestID(r *http.Request, newID func() string) string {
	id := r.Header.Get("X-Request-Id")
	if id == "" || len(id) > 128 {
		return newID()
	}
	for _, c := range id {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.:/+=", c) {
			return newID()
		}
	}
	return id
}

func agentOf(r *http.Request) string {
	agent := strings.ToValidUTF8(r.UserAgent(), "")
	if len(agent) > 500 {
		agent = strings.ToValidUTF8(agent[:500], "")
	}
	return agent
}

// clientIP is the address of the caller: of the connection, or what a trusted
// proxy says of it.
func (s *Server) clientIP(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	ip := peer.Addr().Unmap()
	if !s.trusted(ip) {
		return ip.String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		before, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		if ip = before.Unmap(); !s.trusted(ip) {
			break
		}
	}
	return ip.WithZone("").String()
}

// originOf is scheme and host of the address that was asked for.
func (s *Server) originOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && s.trusted(peer.Addr().Unmap()) && r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

func (s *Server) trusted(ip netip.Addr) bool {
	return slices.ContainsFunc(s.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func (s *Server) secure(h http.Header, r *http.Request) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if s.cfg.SecureCookies || r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// checkURL refuses addresses that hold what no text may: NUL and broken UTF-8.
func (s *Server) checkURL(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var bad []fault.Detail
		if !isText(r.URL.Path) {
			bad = append(bad, fault.Detail{Location: "path", Code: "not_text", Message: "the path holds a NUL or is not UTF-8"})
		}
		if strings.Contains(r.URL.RawQuery, "%") || !isText(r.URL.RawQuery) {
			for name, values := range r.URL.Query() {
				if !isText(name) {
					bad = append(bad, fault.Detail{Location: "query", Code: "not_text", Message: "a parameter's name holds a NUL or is not UTF-8"})
				} else if slices.ContainsFunc(values, func(v string) bool { return !isText(v) }) {
					bad = append(bad, fault.Detail{Location: "query." + name, Code: "not_text", Message: "the value holds a NUL or is not UTF-8"})
				}
			}
		}
		if len(bad) > 0 {
			s.fail(w, r, fault.InvalidInput(bad...))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// cors lets pages of the allowed origins call the API; there are none by default.
func (s *Server) cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if len(s.cfg.AllowedOrigins) > 0 {
			w.Header().Add("Vary", "Origin")
		}
		if origin == "" || !slices.Contains(s.cfg.AllowedOrigins, origin) {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.Set("Access-Control-Expose-Headers", "ETag, Location, X-Request-Id, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
			h.Set("Access-Control-Allow-Headers", strings.Join(append([]string{"Authorization, Content-Type, If-Match, Idempotency-Key, Last-Event-ID, X-Request-Id, X-Api-Key"}, ofClients(r)...), ", "))
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ofClients returns which of the headers that a page asks leave for are those
// that the official clients of models send on their own account.
func ofClients(r *http.Request) (names []string) {
	for name := range strings.SplitSeq(strings.ToLower(r.Header.Get("Access-Control-Request-Headers")), ",") {
		if name = strings.TrimSpace(name); clientHeader.MatchString(name) {
			names = append(names, name)
		}
	}
	return names
}

var clientHeader = regexp.MustCompile(`^(x-stainless|anthropic|openai)-[a-z-]{1,64}$`)

// crossOrigin refuses what another site's page makes a browser send. Webhooks
// carry no cookies and may come from anywhere.
func (s *Server) crossOrigin(next http.Handler) http.Handler {
	p := http.NewCrossOriginProtection()
	for _, origin := range s.cfg.AllowedOrigins {
		if err := p.AddTrustedOrigin(origin); err != nil {
			s.cfg.Log.Error("allowed origin cannot be used", "origin", origin, "error", err.Error())
		}
	}
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, fault.New(fault.Forbidden, "this request comes from another site's page, whose origin is not allowed here").WithCode("cross_origin"))
	}))
	guarded := p.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/hooks/") {
			next.ServeHTTP(w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// allowed lists the methods an address knows.
func (s *Server) allowed(path string) []string {
	var out []string
	for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if s.router.Match(chi.NewRouteContext(), m, path) {
			out = append(out, m)
		}
	}
	return out
}
