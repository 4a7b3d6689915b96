package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// fixable fails in b, which reads what is not there.
const fixable = `{"name":"Fixable","nodes":[{"id":"start","kind":"manual-trigger"},
{"id":"a","kind":"set","config":{"values":{"n":"{{ trigger.n }}"}}},
{"id":"side","kind":"set","config":{"values":{"side":true}}},
{"id":"b","kind":"set","config":{"values":{"m":"{{ nodes.a.output.missing.m }}"}}},
{"id":"c","kind":"set","config":{"values":{"n":"{{ nodes.a.output.n }}","b":"{{ nodes.b.output }}"}}}],
"connections":[{"source":"start","target":"a"},{"source":"start","target":"side"},{"source":"a","target":"b"},{"source":"b","target":"c"}]}`

// broken runs the workflow until it has failed.
func (s *studio) broken(token, id string) string {
	s.t.Helper()
	x := s.do("POST", "/executions", token, map[string]any{"workflow_id": id, "trigger_data": map[string]any{"n": 7}}).expect(202).text("id")
	s.until(token, x, "failed")
	return x
}

func reusedNodes(a *answer) string {
	var out []string
	for i := range a.at("nodes").([]any) {
		if a.at(fmt.Sprintf("nodes.%d.reused", i)) == true {
			out = append(out, a.text(fmt.Sprintf("nodes.%d.node_id", i)))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestARetryRunsAnEditedConfigurationAndWhatComesAfterIt(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id := s.create(w.editor.token, w.id, fixable).text("id")
	x := "/executions/" + s.broken(w.editor.token, id)
	fix := map[string]any{"config": map[string]any{"b": map[string]any{"values": map[string]any{"m": "{{ nodes.a.output.n + 1 }}"}}}}
	s.do("POST", x+"/retry", w.executeKey, fix).problem(403, "forbidden")
	s.do("POST", x+"/retry", w.viewer.token, fix).problem(403, "forbidden")
	again := s.do("POST", x+"/retry", w.editor.token, fix).expect(202).expectAt("lineage.config", "[b]").expectAt("lineage.edited", true).expectAt("workflow_version", 1)
	done := s.until(w.editor.token, again.text("id"), "completed").expectAt("lineage.reused", "[start a side]")
	if got := reusedNodes(done); got != "a side start" {
		t.Errorf("reused %q", got)
	}
	s.do("GET", "/executions/"+again.text("id")+"/nodes", w.editor.token, nil).expect(200).expectAt("items.0.reused", true)
	s.do("GET", "/workflows/"+id, w.editor.token, nil).expect(200).expectAt("version", 1)
	// What runs an edited definition is retried with it.
	third := s.do("POST", "/executions/"+again.text("id")+"/retry", w.executeKey, `{"from":"c"}`).expect(202).expectAt("lineage.edited", true).expectAt("lineage.config", "[]")
	s.until(w.editor.token, third.text("id"), "completed").expectAt("lineage.reused", "[start a side b]")
	bad := s.do("POST", x+"/retry", w.editor.token, `{"config":{"b":{"value":5},"a":{"values":{"n":"{{ nodes.c.output }}"}}}}`).problem(422, "invalid")
	if got := fmt.Sprint(bad.locations()); !strings.Contains(got, "body.config.b") || !strings.Contains(got, "body.config.a.values.n") {
		t.Errorf("faults at %s", got)
	}
	s.do("POST", x+"/retry", w.editor.token, `{"config":{"nope":{}}}`).problem(422, "invalid")
	// A change before what is done has it done again.
	early := s.do("POST", x+"/retry", w.editor.token, with(`{}`, "config", map[string]any{"a": map[string]any{"values": map[string]any{"n": 1}}, "b": fix["config"].(map[string]any)["b"]})).expect(202)
	s.until(w.editor.token, early.text("id"), "completed").expectAt("lineage.reused", "[start side]").expectAt("lineage.config", "[a b]")
}

func TestARetryTakesGivenOutputsAndOtherTriggerData(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id := s.create(w.editor.token, w.id, fixable).text("id")
	x := "/executions/" + s.broken(w.editor.token, id)
	given := `{"outputs":{"b":{"ok":[true]}}}`
	s.do("POST", x+"/retry", w.executeKey, given).problem(403, "forbidden")
	again := s.do("POST", x+"/retry", w.editor.token, given).expect(202).expectAt("lineage.outputs", "[b]")
	done := s.until(w.editor.token, again.text("id"), "completed")
	if !strings.Contains(string(done.Body), `"b":{"ok":[true]}`) {
		t.Errorf("what follows did not see the given output: %s", done.Body)
	}
	s.do("POST", x+"/retry", w.editor.token, `{"outputs":{"start":1,"nope":2}}`).problem(422, "invalid")
	other := s.do("POST", x+"/retry", w.executeKey, `{"trigger_data":{"n":8}}`).expect(202).expectAt("lineage.trigger_data", true).expectAt("trigger_data.n", 8)
	s.until(w.editor.token, other.text("id"), "failed").expectAt("lineage.reused", "[]")
	large := s.do("POST", x+"/retry", w.editor.token, map[string]any{"outputs": map[string]any{"b": strings.Repeat("x", 100_000)}}).expect(202)
	s.until(w.editor.token, large.text("id"), "completed")
}

func TestARetryOnAnotherVersionRunsWhatDiffers(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	id := s.create(p.token, s.personal(p), fixable).text("id")
	x := "/executions/" + s.broken(p.token, id)
	fixed := with(strings.Replace(fixable, "missing.m", "n", 1))
	s.do("PUT", "/workflows/"+id, p.token, map[string]any{"nodes": fixed["nodes"]}).expect(200).expectAt("version", 2)
	again := s.do("POST", x+"/retry", p.token, `{"version":2}`).expect(202).expectAt("workflow_version", 2).expectAt("lineage.version", 1).expectAt("lineage.edited", false)
	s.until(p.token, again.text("id"), "completed").expectAt("lineage.reused", "[start a side]")
	s.do("POST", x+"/retry", p.token, `{"version":9}`).problem(404, "not_found")
}

// looped goes through a loop after a node that failed and let it go on, and
// fails at its end.
const looped = `{"name":"Looped","nodes":[{"id":"start","kind":"manual-trigger"},
{"id":"early","kind":"set","config":{"values":{"n":1}}},
{"id":"soft","kind":"set","on_error":"continue","config":{"values":{"n":"{{ nodes.early.output.no.n }}"}}},
{"id":"each","kind":"loop","config":{"items":"{{ [1, 2, 3] }}"}},
{"id":"in","kind":"set","parent_id":"each","config":{"values":{"n":"{{ item }}"}}},
{"id":"after","kind":"set","config":{"values":{"n":"{{ len(nodes.each.output.items) }}"}}},
{"id":"end","kind":"stop","config":{"status":"failed","message":"no"}}],
"connections":[{"source":"start","target":"early"},{"source":"start","target":"each"},{"source":"early","target":"soft"},{"source":"soft","target":"after"},{"source":"each","target":"after"},{"source":"after","target":"end"}]}`

func TestARetryReusesOnlyWhatNothingBeforeItChanges(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	id := s.create(p.token, s.personal(p), looped).text("id")
	x := "/executions/" + s.broken(p.token, id)
	for body, want := range map[string]string{
		`{}`:                                             "[start early each in]", // after stands behind what failed
		`{"from":"each"}`:                                "[start early]",
		`{"from":"in"}`:                                  "[start early]",
		`{"from":"end"}`:                                 "[start early each in]",
		`{"from":"start"}`:                               "[]",
		`{"trigger_data":{}}`:                            "[]",
		`{"outputs":{"soft":{}}}`:                        "[start early each in]",
		`{"outputs":{"each":[1]}}`:                       "[start early]",
		`{"config":{"in":{"values":{"n":0}}}}`:           "[start early]",
		`{"config":{"after":{"values":{"n":0}}}}`:        "[start early each in]",
		`{"config":{"early":{"values":{"n":1}}}}`:        "[start early each in]", // it is what it was
		`{"config":{"early":{"values":{"no":{"n":1}}}}}`: "[start each in]",
	} {
		again := s.do("POST", x+"/retry", p.token, body).expect(202).text("id")
		s.until(p.token, again, "failed").expectAt("lineage.reused", want)
	}
	for _, body := range []string{`{"outputs":{"in":1}}`, `{"config":{"early":[]}}`, `{"config":{"early":{"values":{"n":"{{ 1 +"}}}}`, `{"from":"nowhere"}`, `{"version":0}`} {
		s.do("POST", x+"/retry", p.token, body).problem(422, "invalid")
	}
}
