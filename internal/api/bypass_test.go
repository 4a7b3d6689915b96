package api_test

import (
	"strings"
	"testing"
)

// freed is a workflow whose agent asks nobody.
const freed = `"nodes":[{"id":"in","kind":"manual-trigger"},{"id":"a","kind":"agent","config":{"model":"demo/scripted","prompt":"{{ trigger.x }}","tools":["deploy"],"permissions":{"mode":"bypass","ask":["deploy"]},
	"script":[{"tool_calls":[{"name":"deploy","arguments":{"where":"here"}}]},{"text":"done"}]}}],"connections":[{"source":"in","target":"a"}]`

func TestOnlyAdministratorsLetAgentsAskNobody(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	body := with(`{"name":"Free","model":"demo/scripted","tools":["deploy"],"permissions":{"mode":"bypass","ask":["deploy"]},"script":[{"tool_calls":[{"name":"deploy","arguments":{"where":"here"}}]},{"when":"deployed","text":"it is out"}]}`, "workspace_id", w.id)
	for _, token := range []string{w.editor.token, w.writeKey} { // the key's person is the owner
		s.do("POST", "/agents", token, body).problem(403, "forbidden").expectAt("code", "needs_admin")
	}
	id := s.do("POST", "/agents", w.admin.token, body).expect(201).expectAt("permissions.mode", "bypass").text("id")
	// Who may run it runs it as it was saved.
	s.do("POST", "/agents/"+id+"/test", w.editor.token, `{"input":"go"}`).expect(200).expectAt("status", "completed").expectAt("output", "it is out")
	s.do("PATCH", "/agents/"+id, w.editor.token, `{"tools":["deploy","calculator"]}`).problem(403, "forbidden").expectAt("code", "needs_admin")
	s.do("POST", "/agents/"+id+"/duplicate", w.editor.token, nil).problem(403, "forbidden")
	s.do("PATCH", "/agents/"+id, w.admin.token, `{"permissions":{"mode":"bypass","deny":["deploy"]}}`).expect(200)
	if a := s.do("POST", "/agents/"+id+"/test", w.editor.token, `{"input":"go"}`).expect(200); !strings.Contains(string(a.Body), "denied to you") {
		t.Errorf("deny does not win: %s", a.Body)
	}
	s.do("PATCH", "/agents/"+id, w.editor.token, `{"permissions":{"mode":"auto"}}`).expect(200)
	s.do("PATCH", "/agents/"+id, w.editor.token, `{"permissions":{"mode":"bypass"}}`).problem(403, "forbidden")
}

func TestOnlyAdministratorsSaveAndPublishWorkflowsWhoseAgentsAskNobody(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	flow := with(`{"name":"F",`+freed+`}`, "workspace_id", w.id)
	for _, token := range []string{w.editor.token, w.writeKey} {
		a := s.do("POST", "/workflows", token, flow).problem(403, "forbidden").expectAt("code", "needs_admin").expectAt("errors.0.location", "body.nodes[1].config")
		if !strings.Contains(a.text("detail"), "node a lets its agent") {
			t.Errorf("nothing says why: %s", a.Body)
		}
	}
	// What cannot be read is no way around it, nor is what is known only when it runs.
	broken := strings.Replace(freed, `"prompt":"{{ trigger.x }}"`, `"prompt":"{{ trigger.x"`, 1)
	s.do("POST", "/workflows", w.editor.token, with(`{"name":"F",`+broken+`}`, "workspace_id", w.id)).problem(403, "forbidden")
	for _, sly := range []string{`"permissions":{"mode":"{{ trigger.mode }}"}`, `"permissions":"{{ trigger.permissions }}"`} {
		at := strings.Replace(freed, `"permissions":{"mode":"bypass","ask":["deploy"]}`, sly, 1)
		id := s.create(w.editor.token, w.id, `{"name":"Sly",`+at+`}`).text("id")
		x := s.do("POST", "/executions", w.editor.token, `{"workflow_id":"`+id+`","wait":20,"trigger_data":{"mode":"bypass","permissions":{"mode":"bypass"},"x":"y"}}`)
		x.expect(200).expectAt("status", "failed").expectAt("error.code", "invalid")
	}
	id := s.create(w.admin.token, w.id, `{"name":"F",`+freed+`}`).text("id")
	s.do("PUT", "/workflows/"+id, w.editor.token, `{"description":"moved"}`).expect(200)
	s.do("PUT", "/workflows/"+id, w.editor.token, `{`+strings.Replace(freed, `"text":"done"`, `"text":"other"`, 1)+`}`).problem(403, "forbidden")
	s.do("PATCH", "/workflows/"+id+"/status", w.editor.token, `{"status":"published"}`).problem(403, "forbidden")
	s.do("POST", "/workflows/"+id+"/duplicate", w.editor.token, `{}`).problem(403, "forbidden")
	s.do("PATCH", "/workflows/"+id+"/status", w.admin.token, `{"status":"published"}`).expect(200)
	ran := s.do("POST", "/executions", w.editor.token, `{"workflow_id":"`+id+`","wait":20,"trigger_data":{"x":"y"}}`).expect(200).expectAt("status", "completed").expectAt("output.text", "done").text("id")
	config := `{"from":"a","config":{"a":{"model":"demo/scripted","prompt":"x","tools":["deploy","calculator"],"permissions":{"mode":"bypass"}}}}`
	s.do("POST", "/executions/"+ran+"/retry", w.editor.token, config).problem(403, "forbidden").expectAt("code", "needs_admin")
	s.do("POST", "/executions/"+ran+"/retry", w.editor.token, strings.Replace(config, `{"from"`, `{"until":"a","from"`, 1)).problem(403, "forbidden")
	s.do("POST", "/executions/"+ran+"/retry", w.editor.token, `{"from":"a"}`).expect(202)
	s.do("POST", "/executions/"+ran+"/retry", w.admin.token, config).expect(202)
	// A node that gives a saved agent other tools does not take its freedom along.
	saved := s.do("POST", "/agents", w.admin.token, with(`{"name":"Free","model":"demo/scripted","tools":["calculator"],"permissions":{"mode":"bypass"},"script":[{"tool_calls":[{"name":"deploy","arguments":{"where":"here"}}]},{"text":"done"}]}`, "workspace_id", w.id)).expect(201).text("id")
	other := s.create(w.editor.token, w.id, `{"name":"Other","nodes":[{"id":"in","kind":"manual-trigger"},{"id":"a","kind":"agent","config":{"agent_id":"`+saved+`","prompt":"x","tools":["deploy"]}}],"connections":[{"source":"in","target":"a"}]}`).text("id")
	asked := s.do("POST", "/executions", w.editor.token, `{"workflow_id":"`+other+`"}`).expect(202).text("id")
	s.until(w.editor.token, asked, "waiting")
}
