package api_test

import (
	"strings"
	"testing"
)

// bounded is a gated workflow of which one may run at a time.
func bounded(strategy string) string {
	return strings.Replace(gated, `{"name":"Gated",`, `{"name":"Gated","settings":{"concurrency":{"limit":1,"strategy":"`+strategy+`"}},`, 1)
}

func TestAHeldExecutionSaysWhatItWaitsFor(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	id := s.create(p.token, s.personal(p), bounded("queue")).text("id")
	start := func() *answer {
		return s.do("POST", "/executions", p.token, map[string]any{"workflow_id": id}).expect(202)
	}
	first, second, third := start(), start(), start()
	const why = "a place: at most 1 execution of this workflow runs at a time"
	second.expectAt("status", "pending").expectAt("held", true).expectAt("waiting_for", why)
	s.do("GET", "/executions", p.token, nil).expect(200).expectAt("items.0.waiting_for", why)
	s.do("POST", "/executions/"+third.text("id")+"/cancel", p.token, nil).expect(200).expectAt("status", "cancelled")
	s.pass("one")
	s.until(p.token, first.text("id"), "completed")
	done := s.until(p.token, second.text("id"), "completed")
	if done.at("held") != nil {
		t.Errorf("a finished execution is held: %s", done.Body)
	}
}

func TestStartsBeyondTheLimitAreAnsweredWithConflict(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	def := `{"name":"Hook","settings":{"concurrency":{"limit":1,"strategy":"reject","key":"{{ trigger.body.customer }}"}},"nodes":[{"id":"in","kind":"webhook-trigger","config":{"path":"now"}},{"id":"g","kind":"gate","config":{"name":"one"}}],"connections":[{"source":"in","target":"g"}]}`
	id := s.create(w.editor.token, w.id, def).text("id")
	s.publish(w.editor.token, id)
	call := func(customer string) *answer {
		return s.do("POST", "/hooks/"+w.slug+"/now", "", `{"customer":"`+customer+`"}`)
	}
	a := call("a").expect(202)
	refused := call("a").problem(409, "conflict").expectAt("code", "concurrency_limit").expectAt("detail", `at most 1 execution of this workflow runs at a time with the key "a": wait until one ends`)
	if refused.Header.Get("Location") != "" {
		t.Error("a refusal names an execution")
	}
	b := call("b").expect(202)
	s.pass("one")
	s.until(w.viewer.token, a.text("execution_id"), "completed")
	s.until(w.viewer.token, b.text("execution_id"), "completed")
	wrong := with(def, "settings", map[string]any{"concurrency": map[string]any{"limit": 1, "key": "{{ nodes.g.output }}"}})
	s.do("POST", "/workflows/validate", w.editor.token, wrong).expect(200).expectAt("errors.0.path", "settings.concurrency.key")
}
