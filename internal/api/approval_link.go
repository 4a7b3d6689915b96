package api

import (
	"html/template"
	"net/http"

	"agentstudio/internal/access"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"

	"github.com/go-chi/chi/v5"
)

// approvalPath is what the links in letters to approvers begin with.
const approvalPath = "/hooks/_approval/"

// approvalLinkRoutes are the pages behind the links of letters. Looking at one
// decides nothing: programs that check mail follow links.
func (s *Server) approvalLinkRoutes() {
	s.router.Get(approvalPath+"{link}", s.approvalPage)
	s.router.Post(approvalPath+"{link}", s.approvalPage)
}

// linkPage is what the page shows.
type linkPage struct {
	Ask     *execution.Ask
	Approve bool
	Done    bool
	Trouble string
}

func (s *Server) approvalPage(w http.ResponseWriter, r *http.Request) {
	page, status := s.byLink(w, r)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = linkTemplate().Execute(w, page) // the reader may be gone
}

func (s *Server) byLink(w http.ResponseWriter, r *http.Request) (linkPage, int) {
	ctx := r.Context()
	c := callOf(ctx)
	failed := func(err error) (linkPage, int) {
		p := s.problem(ctx, err)
		return linkPage{Trouble: p.Detail}, p.Status
	}
	if err := s.take(ctx, w.Header(), "anonymous", c.ip, s.cfg.Limits.Anonymous); err != nil {
		return failed(err)
	}
	if s.Links == nil {
		return failed(fault.New(fault.NotConfigured, "this studio writes no such links"))
	}
	link, err := s.Links.Read(chi.URLParam(r, "link"), s.cfg.Now())
	if err != nil {
		return failed(err)
	}
	by := access.Actor{IP: c.ip, UserAgent: c.agent}
	if r.Method != http.MethodPost {
		a, _, err := s.Executions.Linked(ctx, by, link)
		if err != nil {
			return failed(err)
		}
		return linkPage{Ask: a, Approve: link.Approve}, http.StatusOK
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	a, err := s.Executions.DecideByLink(ctx, by, link, r.PostFormValue("comment"))
	if err != nil {
		return failed(err)
	}
	return linkPage{Ask: a, Approve: link.Approve, Done: true}, http.StatusOK
}

func linkTemplate() *template.Template {
	return template.Must(template.New("link").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Your decision</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:10vh auto;padding:0 1rem}pre{white-space:pre-wrap;font:inherit;border-left:3px solid #999;padding-left:1rem}textarea{width:100%;font:inherit}button{font:inherit;padding:.5rem 1.5rem}</style>
{{if .Trouble}}<h1>This cannot be decided here</h1><p>{{.Trouble}}</p>
{{else if .Done}}<h1>{{if .Approve}}Approved{{else}}Rejected{{end}}</h1><p>The workflow “{{.Ask.WorkflowName}}” goes on. You can close this page.</p>
{{else}}<h1>{{if .Approve}}Approve{{else}}Reject{{end}}?</h1><p>The workflow “{{.Ask.WorkflowName}}” asks at “{{.Ask.NodeTitle}}”:</p><pre>{{.Ask.Message}}</pre>
<form method="post"><p><label>Comment<br><textarea name="comment" maxlength="4000" rows="3"></textarea></label></p><button>{{if .Approve}}Approve{{else}}Reject{{end}}</button></form>{{end}}</html>
`))
}
