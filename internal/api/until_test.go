package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// forked goes two ways, one of them through a loop.
const forked = `{"name":"Forked","nodes":[{"id":"start","kind":"manual-trigger"},{"id":"other","kind":"event-trigger","config":{"events":["failed"]}},{"id":"unfinished","kind":"http-request"},
{"id":"a","kind":"set","config":{"values":{"n":"{{ trigger.n }}"}}},
{"id":"b","kind":"set","config":{"values":{"m":"{{ nodes.a.output.n + 1 }}"}}},
{"id":"after","kind":"stop","config":{"message":"too far"}},
{"id":"aside","kind":"stop","config":{"message":"not asked for"}},
{"id":"each","kind":"split","config":{"items":"{{ [nodes.b.output.m, 2] }}"}},
{"id":"in","kind":"set","parent_id":"each","config":{"values":{"v":"{{ item }}"}}}],
"connections":[{"source":"start","target":"a"},{"source":"start","target":"aside"},{"source":"a","target":"b"},{"source":"b","target":"after"},{"source":"b","target":"each"}]}`

func nodesThatRan(a *answer) string {
	var out []string
	for i := range a.at("nodes").([]any) {
		if a.text(fmt.Sprintf("nodes.%d.status", i)) == "completed" {
			out = append(out, a.text(fmt.Sprintf("nodes.%d.node_id", i)))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestAnExecutionEndsAfterTheNodeItIsAskedToEndWith(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id := s.create(w.editor.token, w.id, forked).text("id")
	ask := func(until string) map[string]any {
		return map[string]any{"workflow_id": id, "trigger_data": map[string]any{"n": 7}, "until": until, "wait": 30}
	}
	done := s.do("POST", "/executions", w.executeKey, ask("b")).expect(200).expectAt("status", "completed").expectAt("lineage.until", "b").expectAt("output.m", 8.0).expectAt("total_nodes", 3.0)
	detail := s.do("GET", "/executions/"+done.text("id"), w.editor.token, nil).expect(200)
	if got := nodesThatRan(detail); got != "a b start" {
		t.Errorf("ran %q", got)
	}
	// Alone, on what was done before it.
	again := s.do("POST", "/executions/"+done.text("id")+"/retry", w.executeKey, `{"from":"b","until":"b"}`).expect(202).expectAt("lineage.until", "b")
	s.until(w.editor.token, again.text("id"), "completed").expectAt("lineage.reused", "[start a]")
	// A node of a loop's body ends with its whole loop.
	s.do("POST", "/executions", w.executeKey, ask("in")).expect(200).expectAt("status", "completed").expectAt("output.items", "[map[v:8] map[v:2]]")

	s.do("POST", "/executions", w.executeKey, ask("nope")).problem(422, "invalid").expectAt("errors.0.location", "body.until")
	with := ask("b")
	with["start_node"] = "other"
	s.do("POST", "/executions", w.executeKey, with).problem(422, "invalid").expectAt("errors.0.code", "not_reached")
	// What stands aside need not be finished; what leads there must be.
	s.do("POST", "/executions", w.executeKey, ask("unfinished")).problem(422, "invalid")
	s.do("GET", "/workflows/"+id, w.editor.token, nil).expect(200).expectAt("version", 1)
}

func TestTheSameKeyWithAnotherEndIsRefused(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	id := s.create(p.token, s.personal(p), forked).text("id")
	body := map[string]any{"workflow_id": id, "until": "a", "idempotency_key": "k"}
	first := s.do("POST", "/executions", p.token, body).expect(202).text("id")
	s.do("POST", "/executions", p.token, body).expect(202).expectAt("id", first)
	body["until"] = "b"
	s.do("POST", "/executions", p.token, body).problem(422, "invalid")
}
