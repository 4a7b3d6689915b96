package api

import (
	"context"
	"net/http"
	"strings"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
)

// bearer returns the token of a request's Authorization header.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// identify returns who holds the token. Unauthenticated: nobody.
func (s *Server) identify(ctx context.Context, token string) (access.Actor, error) {
	c := callOf(ctx)
	if token == "" {
		return c.by, fault.New(fault.Unauthenticated, "sign in first: send Authorization: Bearer with an access token or an API key")
	}
	if len(token) > 4096 || !isText(token) {
		return c.by, fault.New(fault.Unauthenticated, "this is neither an access token nor an API key")
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ReadTime)
	defer cancel()
	by, err := s.Accounts.Authenticate(ctx, token)
	if err != nil {
		return c.by, err
	}
	by.IP, by.UserAgent = c.ip, c.agent
	return by, nil
}

// authenticated lets only known callers through and counts their requests.
// Failed attempts count against the address they come from.
func (s *Server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		c := callOf(ctx)
		by, err := s.identify(ctx, modelToken(r))
		if err != nil {
			if over := s.take(ctx, w.Header(), "anonymous", c.ip, s.cfg.Limits.Anonymous); over != nil {
				err = over
			}
			s.fail(w, r, err)
			return
		}
		c.by = by
		if err := s.take(ctx, w.Header(), "user", by.UserID, s.cfg.Limits.User); err != nil {
			s.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// anonymous counts the requests of callers who need not be known. Credentials
// that are sent all the same are taken in when they are good.
func (s *Server) anonymous(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		c := callOf(ctx)
		if err := s.take(ctx, w.Header(), "anonymous", c.ip, s.cfg.Limits.Anonymous); err != nil {
			s.fail(w, r, err)
			return
		}
		if token := bearer(r); token != "" {
			if by, err := s.identify(ctx, token); err == nil {
				c.by = by
			}
		}
		next.ServeHTTP(w, r)
	})
}
