package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"agentstudio/internal/api"
)

const greeter = `{"name":"Greeter","description":"says 100% hello_world","tags":[" Demo ","demo","Fun"],
"nodes":[{"id":"in","kind":"webhook-trigger","config":{"path":"greet","respond":"when-finished"}},
{"id":"hello","kind":"set","config":{"values":{"text":"hello {{ trigger.body.name }}"}}}],
"connections":[{"source":"in","target":"hello"}]}`

// with returns a definition with further keys.
func with(definition string, pairs ...any) map[string]any {
	var out map[string]any
	if err := json.Unmarshal([]byte(definition), &out); err != nil {
		panic(err)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

func (s *studio) create(token, workspace, definition string) *answer {
	s.t.Helper()
	return s.do("POST", "/workflows", token, with(definition, "workspace_id", workspace)).expect(201)
}

func (s *studio) publish(token, id string) *answer {
	s.t.Helper()
	return s.do("PATCH", "/workflows/"+id+"/status", token, `{"status":"published"}`).expect(200)
}

func TestWorkflowsAreSavedInVersions(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	a := s.do("POST", "/workflows", p.token, greeter).expect(201).expectAt("status", "draft").expectAt("version", 1).expectAt("published_version", nil).
		expectAt("tags", []any{"demo", "fun"}).expectAt("nodes.0.type", "trigger").expectAt("workspace_id", s.personal(p)).expectAt("user_id", p.id)
	id, tag := a.text("id"), a.Header.Get("ETag")
	path := "/workflows/" + id
	if a.Header.Get("Location") != "/api/v1"+path {
		t.Errorf("Location is %q", a.Header.Get("Location"))
	}
	b := s.do("PUT", path, p.token, `{"description":null,"message":"shorter"}`, "If-Match", tag).expect(200).expectAt("version", 2).expectAt("description", "").expectAt("name", "Greeter")
	s.do("PUT", path, p.token, `{"name":"Other"}`, "If-Match", tag).problem(412, "stale")
	s.do("PUT", path, p.token, `{}`, "If-Match", b.Header.Get("ETag")).expect(200).expectAt("version", 2)
	s.do("PUT", path, p.token, `{"tags":null,"settings":null}`).expect(200).expectAt("tags", []any{})
	var read map[string]any
	s.do("GET", path, p.token, nil).expect(200).into(&read)
	s.do("PUT", path, p.token, map[string]any{"nodes": read["nodes"], "connections": read["connections"]}).expect(200).expectAt("version", 3) // as read
	s.do("PUT", path, p.token, `{"nodes":[],"connections":[]}`).expect(200).expectAt("version", 4)

	s.do("GET", path+"/versions?limit=2", p.token, nil).expect(200).expectAt("total", 4).expectAt("items.0.version", 4)
	s.do("GET", path+"/versions/2", p.token, nil).expect(200).expectAt("message", "shorter").expectAt("definition.name", "Greeter")
	s.do("GET", path+"/versions/9", p.token, nil).problem(404, "not_found")
	s.do("GET", path+"/versions/0", p.token, nil).problem(422, "invalid")
	s.do("GET", path+"/diff?from=1&to=4", p.token, nil).expect(200).expectAt("nodes.0.change", "removed").expectAt("fields.0.path", "description")
	s.do("GET", path+"/diff?from=1", p.token, nil).problem(422, "invalid")
	s.do("POST", path+"/versions/1/restore", p.token, nil).expect(200).expectAt("version", 5).expectAt("description", "says 100% hello_world")
	last := s.do("GET", path, p.token, nil)
	s.do("DELETE", path, p.token, nil, "If-Match", tag).problem(412, "stale")
	s.do("DELETE", path, p.token, nil, "If-Match", last.Header.Get("ETag")).expect(204)
	s.do("GET", path, p.token, nil).problem(404, "not_found")
}

func TestWorkflowListsFilterAndPage(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	for i, tags := range []string{`["one"]`, `["two"]`, `["one","three"]`, `[]`} {
		s.do("POST", "/workflows", p.token, fmt.Sprintf(`{"name":"Flow %d","description":"%d%%_x","tags":%s,"nodes":[{"id":"a","kind":"manual-trigger"}]}`, i, i, tags)).expect(201)
	}
	for query, want := range map[string]int{"": 4, "?query=FLOW+2": 1, "?query=%25_": 4, "?query=_%25": 0, "?tags=one": 2, "?tags=one&tags=two": 3, "?status=published": 0, "?status=draft&limit=1": 4} {
		a := s.do("GET", "/workflows"+query, p.token, nil).expect(200).expectAt("total", want)
		if strings.Contains(string(a.Body), `"nodes"`) {
			t.Errorf("%s: a list shows nodes", query)
		}
	}
	s.do("GET", "/workflows?sort=name", p.token, nil).expect(200).expectAt("items.0.name", "Flow 0").expectAt("items.0.node_count", 1).expectAt("items.0.trigger_kinds", []any{"manual-trigger"})
	s.do("GET", "/workflows?sort=-name&offset=1", p.token, nil).expect(200).expectAt("items.0.name", "Flow 2").expectAt("offset", 1)
	for _, bad := range []string{"?sort=evil", "?status=gone", "?limit=101", "?limit=x", "?workspace_id=1", "?offset=99999999999999999999", "?quer=x"} {
		s.do("GET", "/workflows"+bad, p.token, nil).problem(422, "invalid")
	}
	s.do("GET", "/workflows?workspace_id="+newID(), p.token, nil).problem(404, "not_found")
}

func TestDefinitionFaultsAreAllNamed(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	a := s.do("POST", "/workflows", p.token, `{"name":"x","nodez":1,"nodes":[{"id":"a","kind":"set","conf":{}},{"id":5,"kind":"set"}],"workspace":"x"}`).problem(422, "invalid")
	for _, want := range []string{"body.nodez", "body.workspace", "body.nodes[0].conf", "body.nodes[1].id"} {
		if !strings.Contains(strings.Join(a.locations(), " "), want) {
			t.Errorf("no fault at %s: %v", want, a.locations())
		}
	}
	dup := s.do("POST", "/workflows", p.token, `{"name":"x","nodes":[{"id":"a","kind":"set"},{"id":"a","kind":"set"}],"connections":[{"source":"a","target":"b"},{"source":"a","target":"a"}]}`).problem(422, "invalid")
	if len(dup.locations()) < 3 {
		t.Errorf("faults at %v", dup.locations())
	}
	for _, bad := range []string{`{}`, `[]`, `null`, `"x"`, `{"name":"   ","nodes":[]}`, `{"name":"` + strings.Repeat("x", 256) + `","nodes":[]}`, `{"name":"x"}`, `{"name":"x","nodes":null}`,
		`{"name":"x","nodes":[],"workspace_id":5}`, `{"name":"x","nodes":[],"workspace_id":"abc"}`, `{"name":"x","nodes":[],"tags":["` + strings.Repeat("t", 65) + `"]}`, `{"name":"x","nodes":[5,null]}`} {
		s.do("POST", "/workflows", p.token, bad).problem(422, "invalid")
	}
	id := s.do("POST", "/workflows", p.token, greeter).expect(201).text("id")
	for _, bad := range []string{`{"name":null}`, `{"nodes":null}`, `{"nodes":[{"id":"x"}]}`, `{"id":"x"}`, `{"nope":null}`, `{"message":5}`, `{"tags":"x"}`} {
		s.do("PUT", "/workflows/"+id, p.token, bad).problem(422, "invalid")
	}
}

func TestValidationReportsWithoutStoring(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	s.do("POST", "/workflows/validate", p.token, greeter).expect(200).expectAt("is_valid", true)
	s.do("POST", "/workflows/validate", p.token, `{"name":"x","nodes":[{"id":"a","kind":"sett"}]}`).expect(200).expectAt("is_valid", false).expectAt("errors.0.code", "unknown_kind").expectAt("errors.0.node_id", "a")
	s.do("POST", "/workflows/validate", p.token, `{"name":"x","nodez":[]}`).expect(200).expectAt("is_valid", false).expectAt("errors.0.code", "bad_field")
	s.do("POST", "/workflows/validate", p.token, `{"name":`).problem(400, "malformed")
	s.do("GET", "/workflows", p.token, nil).expect(200).expectAt("total", 0)
	id := s.do("POST", "/workflows", p.token, `{"name":"x","nodes":[{"id":"a","kind":"nope"}]}`).expect(201).text("id")
	s.do("POST", "/workflows/"+id+"/validate", p.token, nil).expect(200).expectAt("is_valid", false)
	a := s.do("PATCH", "/workflows/"+id+"/status", p.token, `{"status":"published"}`).problem(409, "conflict")
	if len(a.locations()) < 2 {
		t.Errorf("faults at %v", a.locations())
	}
}

func TestPublishingShowsTheWebhook(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id := s.create(w.editor.token, w.id, greeter).text("id")
	address := s.http.URL + "/hooks/" + w.slug + "/greet"
	s.publish(w.editor.token, id).expectAt("status", "published").expectAt("published_version", 1).expectAt("webhook_url", address).expectAt("nodes.0.webhook_url", address)
	other := s.create(w.editor.token, w.id, greeter).text("id")
	s.do("PATCH", "/workflows/"+other+"/status", w.editor.token, `{"status":"published"}`).problem(409, "conflict").expectAt("code", "webhook_path_taken")
	a := s.do("PATCH", "/workflows/"+id+"/status", w.editor.token, `{"status":"archived"}`).expect(200).expectAt("published_version", nil)
	if strings.Contains(string(a.Body), "webhook_url") {
		t.Error("an archived workflow shows a webhook")
	}
	s.do("PATCH", "/workflows/"+id+"/status", w.editor.token, `{"status":"gone"}`).problem(422, "invalid")
	s.do("PATCH", "/workflows/"+id+"/status", w.viewer.token, `{"status":"draft"}`).problem(403, "forbidden")
}

func TestWorkflowsTravelAsFiles(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	id := s.do("POST", "/workflows", p.token, greeter).expect(201).text("id")
	var first api.Workflow
	s.do("GET", "/workflows/"+id, p.token, nil).into(&first)
	for format, media := range map[string]string{"yaml": "application/yaml", "json": "application/json"} {
		a := s.do("GET", "/workflows/"+id+"/export?format="+format, p.token, nil).expect(200)
		if a.Header.Get("Content-Type") != media || a.Header.Get("Content-Disposition") != `attachment; filename="greeter.`+format+`"` {
			t.Errorf("headers are %v", a.Header)
		}
		var again api.Workflow
		s.do("POST", "/workflows/import", p.token, a.Body, "Content-Type", media).expect(201).into(&again)
		x, _ := json.Marshal([]any{first.Name, first.Description, first.Tags, first.Nodes, first.Connections, first.Settings})
		y, _ := json.Marshal([]any{again.Name, again.Description, again.Tags, again.Nodes, again.Connections, again.Settings})
		if string(x) != string(y) {
			t.Errorf("%s: %s became %s", format, x, y)
		}
	}
	s.do("GET", "/workflows/"+id+"/export?format=xml", p.token, nil).problem(422, "invalid")
	s.do("POST", "/workflows/import", p.token, "a: [b", "Content-Type", "application/yaml").problem(400, "malformed")
	s.do("POST", "/workflows/import", p.token, "name: x\nnodez: []", "Content-Type", "application/yaml").problem(422, "invalid")
	s.do("POST", "/workflows/import", p.token, "name: \"a\\0b\"\nnodes: []", "Content-Type", "application/yaml").problem(400, "malformed")
	s.do("POST", "/workflows/import", p.token, "").problem(400, "malformed")
}

func TestDuplicatesAreDrafts(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id := s.create(w.editor.token, w.id, greeter).text("id")
	s.publish(w.editor.token, id)
	s.do("POST", "/workflows/"+id+"/duplicate", w.editor.token, nil).expect(201).expectAt("name", "Greeter (Copy)").expectAt("status", "draft").expectAt("parent_workflow_id", id)
	s.do("POST", "/workflows/"+id+"/duplicate", w.viewer.token, map[string]any{"name": "Mine", "workspace_id": s.personal(w.viewer)}).expect(201).expectAt("name", "Mine")
	s.do("POST", "/workflows/"+id+"/duplicate", w.viewer.token, `{}`).problem(403, "forbidden")
	s.do("POST", "/workflows/"+id+"/duplicate", w.stranger.token, `{}`).problem(404, "not_found")
}

func TestTheCatalogueTellsEveryKind(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	s.do("GET", "/node-kinds", p.token, nil).expect(200).expectAt("items.0.kind", "manual-trigger").expectAt("items.0.type", "trigger")
	s.do("GET", "/node-kinds/set", p.token, nil).expect(200).expectAt("title", "Set").expectAt("config_schema.type", "object")
	s.do("GET", "/node-kinds/nope", p.token, nil).problem(404, "not_found")
	s.do("GET", "/models", p.token, nil).expect(200).expectAt("total", 0)
	s.do("GET", "/node-kinds", "", nil).problem(401, "unauthenticated")
}
