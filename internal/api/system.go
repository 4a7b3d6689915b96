package api

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"

	"agentstudio/internal/fault"
)

//go:embed pages
var pages embed.FS

// readyTime bounds what is asked to find out whether the studio is ready.
const readyTime = 3 * time.Second

// systemRoutes are the addresses beside the API itself.
func (s *Server) systemRoutes() {
	s.router.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { s.write(w, "text/plain; charset=utf-8", []byte("ok\n")) })
	s.router.Get("/readyz", s.readyz)
	if s.Metrics != nil {
		s.router.Method(http.MethodGet, "/metrics", s.Metrics)
	}
	s.router.Get("/openapi.json", s.openapi("application/json", func(d *document) []byte { return d.json }))
	s.router.Get("/openapi.yaml", s.openapi("application/yaml", func(d *document) []byte { return d.yaml }))
	s.router.Get("/schemas/workflow.json", func(w http.ResponseWriter, _ *http.Request) { s.write(w, "application/schema+json", s.Codec.Schema()) })
	s.router.Get("/docs", s.docs())
	s.router.Get("/docs/problems", s.problems)
	s.router.Get("/docs/style.css", func(w http.ResponseWriter, r *http.Request) {
		style, err := pages.ReadFile("pages/style.css")
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.write(w, "text/css; charset=utf-8", style)
	})
}

func (s *Server) write(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(body) // the caller may be gone
}

// notReady returns the reason why the studio cannot serve, or "".
func (s *Server) notReady(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if s.Ready == nil {
		return ""
	}
	if err := s.Ready(ctx); err != nil {
		return fault.Message(err)
	}
	return ""
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	answer := map[string]string{"status": "ready", "version": s.cfg.Version}
	reason := s.notReady(r.Context())
	if reason != "" {
		answer["status"], answer["reason"] = "not ready", reason
	}
	w.Header().Set("Content-Type", "application/json")
	if reason != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // the caller may be gone
}

func (s *Server) openapi(contentType string, part func(*document) []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d, err := s.document()
		if err != nil {
			s.fail(w, r, err)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		s.write(w, contentType, part(d))
	}
}

// page shows a template, styled by our own sheet and without scripts.
func (s *Server) page(w http.ResponseWriter, r *http.Request, name string, data any) {
	t, err := template.ParseFS(pages, "pages/"+name)
	var out bytes.Buffer
	if err == nil {
		err = t.Execute(&out, data)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	s.write(w, "text/html; charset=utf-8", out.Bytes())
}

func (s *Server) home(w http.ResponseWriter, r *http.Request) {
	s.page(w, r, "home.html", map[string]any{"Version": s.cfg.Version, "Reason": s.notReady(r.Context())})
}

func (s *Server) problems(w http.ResponseWriter, r *http.Request) {
	s.page(w, r, "problems.html", problemKinds())
}

// section is what the documentation shows of one noun.
type section struct {
	Name, About string
	Operations  []entry
}

// entry is one operation in the documentation.
type entry struct {
	ID, Method, Path, Summary, Notes string
	Public                           bool
	Parameters                       []parameter
	Body, Answer                     string // schemas as text
}

type parameter struct{ Name, In, About, Schema string }

// docs shows the OpenAPI document as a page that needs nothing else.
func (s *Server) docs() http.HandlerFunc {
	sections := sync.OnceValue(s.sections)
	return func(w http.ResponseWriter, r *http.Request) {
		s.page(w, r, "docs.html", map[string]any{"Version": s.cfg.Version, "Sections": sections()})
	}
}

func (s *Server) sections() []section {
	doc := s.api.OpenAPI()
	byTag := map[string][]entry{}
	for path, item := range doc.Paths {
		for _, o := range operationsOf(item) {
			e := entry{ID: o.OperationID, Method: o.Method, Path: path, Summary: o.Summary, Notes: o.Description, Public: len(o.Security) == 0}
			for _, p := range o.Parameters {
				e.Parameters = append(e.Parameters, parameter{p.Name, p.In, p.Description, pretty(p.Schema)})
			}
			if o.RequestBody != nil && o.RequestBody.Content["application/json"] != nil {
				e.Body = pretty(resolve(doc, o.RequestBody.Content["application/json"].Schema))
			}
			for status, response := range o.Responses {
				if content := response.Content["application/json"]; strings.HasPrefix(status, "2") && content != nil {
					e.Answer = pretty(resolve(doc, content.Schema))
				}
			}
			byTag[o.Tags[0]] = append(byTag[o.Tags[0]], e)
		}
	}
	var out []section
	for _, t := range doc.Tags {
		operations := byTag[t.Name]
		sort.Slice(operations, func(i, j int) bool {
			return operations[i].Path+operations[i].Method < operations[j].Path+operations[j].Method
		})
		out = append(out, section{Name: t.Name, About: t.Description, Operations: operations})
	}
	return out
}

func pretty(v any) string {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return ""
	}
	return string(text)
}
