package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// outgoing calls the outside twice, once in a loop, and asks a person.
const outgoing = `{"name":"Outgoing","nodes":[{"id":"start","kind":"manual-trigger"},
{"id":"fetch","kind":"http-request","config":{"url":"http://127.0.0.1:1/"}},
{"id":"each","kind":"loop","config":{"items":"{{ [1, 2] }}"}},
{"id":"mail","kind":"send-email","parent_id":"each","config":{"to":["a@example.com"],"subject":"s","text":"t"}},
{"id":"ask","kind":"approval","config":{"message":"ok?"}},
{"id":"end","kind":"set","config":{"values":{"status":"{{ nodes.fetch.output.status }}"}}}],
"connections":[{"source":"start","target":"fetch"},{"source":"fetch","target":"each"},{"source":"each","target":"ask"},{"source":"ask","target":"end","source_handle":"approved"}]}`

func TestADryRunReachesNothingOutside(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	text := strings.Replace(outgoing, `"kind":"approval",`, `"kind":"approval","pinned_output":{"decision":"approve"},`, 1)
	id := s.create(p.token, s.personal(p), text).text("id")
	start := func(pairs ...any) *answer {
		return s.do("POST", "/executions", p.token, with(`{"workflow_id":"`+id+`","dry_run":true}`, pairs...))
	}
	missing := start().problem(422, "invalid")
	if got := fmt.Sprint(missing.locations()); got != "[body.pinned_outputs.fetch body.pinned_outputs.mail]" {
		t.Errorf("faults at %s", got)
	}
	pinned := map[string]any{"fetch": map[string]any{"status": 200}, "mail": true}
	start("dry_run", false, "pinned_outputs", pinned).problem(422, "invalid")
	start("pinned_outputs", map[string]any{"nope": 1}).problem(422, "invalid")
	x := start("pinned_outputs", pinned, "wait", 20).expect(200).expectAt("status", "completed").expectAt("dry_run", true).expectAt("output.status", 200).expectAt("cost_usd", 0)
	s.do("GET", "/executions", p.token, nil).expect(200).expectAt("items.0.dry_run", true)
	again := s.do("POST", "/executions/"+x.text("id")+"/retry", p.token, `{"from":"start"}`).expect(202).expectAt("dry_run", true)
	s.until(p.token, again.text("id"), "completed")
	if n := s.count(`SELECT (SELECT count(*) FROM asks) + (SELECT count(*) FROM agent_steps)`); n != 0 {
		t.Error("a dry run has asked a person, or done a step of a letter")
	}
}

func TestTheEndOfADryRunStartsNothing(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	listens := s.create(p.token, s.personal(p), `{"name":"Listens","nodes":[{"id":"in","kind":"event-trigger","config":{"events":["failed"]}}],"connections":[]}`).text("id")
	s.publish(p.token, listens)
	id := s.create(p.token, s.personal(p), failing).text("id")
	dry := s.do("POST", "/executions", p.token, map[string]any{"workflow_id": id, "dry_run": true}).expect(202).text("id")
	s.until(p.token, dry, "failed")
	if n := s.count(`SELECT count(*) FROM follow_ups`); n != 0 {
		t.Errorf("the end of a dry run has called for %d executions", n)
	}
	real := s.do("POST", "/executions", p.token, map[string]any{"workflow_id": id}).expect(202).text("id")
	s.until(p.token, real, "failed")
	if n := s.count(`SELECT count(*) FROM follow_ups`); n != 1 {
		t.Errorf("the end of a run has called for %d executions", n)
	}
}

func (s *studio) count(query string) (n int) {
	s.t.Helper()
	if err := s.db.Read().QueryRowContext(s.t.Context(), query).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}
