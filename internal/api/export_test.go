package api

import (
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"
)

// Routes lists every method and path the server answers, in order.
func (s *Server) Routes() []string {
	var out []string
	note := func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		out = append(out, path+" "+method)
		return nil
	}
	if err := chi.Walk(s.router, note); err != nil {
		panic(err)
	}
	slices.Sort(out)
	return out
}
