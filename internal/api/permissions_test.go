package api_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata anew")

const goldenPermissions = "testdata/permissions.golden"

// asker is one column of the table.
type asker struct {
	name  string
	token string
	who   person // nobody for keys and anonymous
}

// ask is one request of the table, made for an asker.
type ask struct {
	path  string
	body  any
	token string // in place of the asker's
	raw   bool   // path as it is

	headers []string
}

// table makes requests whose targets are fresh, so that what one asker did
// does not change what the next one is told.
type table struct {
	s *studio
	w team
}

func (t table) flow() string { return t.s.create(t.w.owner.token, t.w.id, adder).text("id") }

// finished returns an execution that has failed, and one of its nodes.
func (t table) finished() (id, nodeID string) {
	a := t.s.do("POST", "/executions", t.w.owner.token, map[string]any{"workflow_id": t.s.create(t.w.owner.token, t.w.id, failing).text("id"), "wait": 20}).expect(200)
	id = a.text("id")
	return id, t.s.do("GET", "/executions/"+id, t.w.owner.token, nil).expect(200).text("nodes.0.id")
}

// waiting returns an execution that will not end by itself for a while.
func (t table) waiting() string {
	flow := t.s.create(t.w.owner.token, t.w.id, `{"name":"W","nodes":[{"id":"a","kind":"manual-trigger"},{"id":"w","kind":"wait","config":{"seconds":3600}}],"connections":[{"source":"a","target":"w"}]}`).text("id")
	id := t.s.do("POST", "/executions", t.w.owner.token, `{"workflow_id":"`+flow+`"}`).expect(202).text("id")
	t.s.until(t.w.owner.token, id, "waiting")
	return id
}

// guest returns a further member, invited anew when taken out.
func (t table) guest() string {
	const email = "guest@example.com"
	t.s.mail.mu.Lock()
	known := len(t.s.mail.letters[email]) > 0
	t.s.mail.mu.Unlock()
	if !known {
		return t.s.join(t.w.id, t.w.owner, email, "viewer").id
	}
	members := t.s.do("GET", "/workspaces/"+t.w.id+"/members?limit=100", t.w.owner.token, nil).expect(200)
	if strings.Contains(string(members.Body), email) {
		id, _, _ := strings.Cut(string(members.Body)[:strings.Index(string(members.Body), email)], `","email":"`+email)
		return id[strings.LastIndex(id, `"user_id":"`)+len(`"user_id":"`):][:36]
	}
	return t.s.join(t.w.id, t.w.owner, email, "viewer").id
}

func (t table) invitation() string {
	return t.s.do("POST", "/workspaces/"+t.w.id+"/invite", t.w.owner.token, map[string]any{"email": newID() + "@example.com", "role": "viewer"}).expect(201).text("id")
}

// invited returns an invitation to the asker, when it is a person.
func (t table) invited(a asker) string {
	if a.who.email == "" {
		return newID()
	}
	id := t.s.do("POST", "/workspaces", t.w.owner.token, `{"name":"Other"}`).expect(201).text("id")
	if a.who.id == t.w.owner.id {
		other := t.s.do("POST", "/workspaces", t.w.stranger.token, `{"name":"Other"}`).expect(201).text("id")
		return t.s.do("POST", "/workspaces/"+other+"/invite", t.w.stranger.token, map[string]any{"email": a.who.email, "role": "viewer"}).expect(201).text("id")
	}
	return t.s.do("POST", "/workspaces/"+id+"/invite", t.w.owner.token, map[string]any{"email": a.who.email, "role": "viewer"}).expect(201).text("id")
}

// again signs the asker in on one more device; keys stay what they are.
func (t table) again(a asker) string {
	if a.who.email == "" {
		return a.token
	}
	return t.s.signIn(a.who.email).token
}

func (t table) session(a asker) string {
	if a.who.email == "" {
		return newID()
	}
	t.s.signIn(a.who.email)
	return t.s.do("GET", "/auth/sessions", a.token, nil).expect(200).text("items.0.id")
}

func (t table) key() string {
	return t.s.do("POST", "/auth/api-keys", t.w.owner.token, map[string]any{"name": "k", "workspace_id": t.w.id, "scopes": []string{"read"}}).expect(201).text("id")
}

// request returns the request of a route; false when the table lacks it.
func (t table) request(route string, a asker) (ask, bool) {
	ws := "/workspaces/" + t.w.id
	switch route {
	case "/auth/request-otp POST":
		return ask{path: "/auth/request-otp", body: `{"email":"x@example.com"}`}, true
	case "/auth/verify-otp POST":
		return ask{path: "/auth/verify-otp", body: `{"email":"x@example.com","code":"000000"}`}, true
	case "/auth/refresh POST":
		return ask{path: "/auth/refresh", body: `{"refresh_token":"asr_x"}`}, true
	case "/auth/logout POST":
		return ask{path: "/auth/logout", token: t.again(a)}, true
	case "/auth/me PATCH":
		return ask{path: "/auth/me", body: `{}`}, true
	case "/auth/sessions/{id} DELETE":
		return ask{path: "/auth/sessions/" + t.session(a)}, true
	case "/auth/api-keys POST":
		return ask{path: "/auth/api-keys", body: map[string]any{"name": "x", "workspace_id": t.w.id, "scopes": []string{"read"}}}, true
	case "/auth/api-keys/{id} DELETE":
		return ask{path: "/auth/api-keys/" + t.key()}, true
	case "/workspaces POST":
		return ask{path: "/workspaces", body: `{"name":"New"}`}, true
	case "/workspaces/{id} PUT", "/workspaces/{id} PATCH":
		return ask{path: ws, body: `{"description":"d"}`}, true
	case "/workspaces/{id} GET", "/workspaces/{id} DELETE":
		return ask{path: ws}, true
	case "/workspaces/{id}/transfer POST":
		return ask{path: ws + "/transfer", body: map[string]any{"user_id": t.guest()}}, true
	case "/workspaces/{id}/members GET":
		return ask{path: ws + "/members"}, true
	case "/workspaces/{id}/members/{user_id} PATCH":
		return ask{path: ws + "/members/" + t.guest(), body: `{"role":"viewer"}`}, true
	case "/workspaces/{id}/members/{user_id} DELETE":
		return ask{path: ws + "/members/" + t.guest()}, true
	case "/workspaces/{id}/invite POST":
		return ask{path: ws + "/invite", body: map[string]any{"email": newID() + "@example.com", "role": "viewer"}}, true
	case "/invitations GET":
		return ask{path: "/invitations?workspace_id=" + t.w.id}, true
	case "/invitations/{token}/accept POST":
		return ask{path: "/invitations/" + t.invited(a) + "/accept"}, true
	case "/invitations/{token}/decline POST":
		return ask{path: "/invitations/" + t.invited(a) + "/decline"}, true
	case "/invitations/{id}/resend POST":
		return ask{path: "/invitations/" + t.invitation() + "/resend"}, true
	case "/invitations/{id} DELETE":
		return ask{path: "/invitations/" + t.invitation()}, true
	case "/activity GET":
		return ask{path: "/activity?workspace_id=" + t.w.id}, true
	}
	if out, known := t.workflowRequest(route); known {
		return out, true
	}
	if out, known := t.agentRequest(route); known {
		return out, true
	}
	if out, known := t.fileRequest(route); known {
		return out, true
	}
	if out, known := t.mcpServerRequest(route); known {
		return out, true
	}
	return t.executionRequest(route)
}

func (t table) agentRequest(route string) (ask, bool) {
	budget := func() string {
		of := t.s.agent(t.w.owner.token, t.w.id, `"name":"A"`)
		return "/budgets/" + t.s.do("POST", "/budgets", t.w.owner.token, map[string]any{"workspace_id": t.w.id, "scope": "agent", "target_id": of, "period": "day", "max_tokens": 1000000}).expect(201).text("id")
	}
	agent := func() string { return "/agents/" + t.s.agent(t.w.owner.token, t.w.id, `"name":"A"`) }
	switch route {
	case "/agents GET":
		return ask{path: "/agents?workspace_id=" + t.w.id}, true
	case "/agents POST":
		return ask{path: "/agents", body: with(`{"name":"A"}`, "workspace_id", t.w.id)}, true
	case "/agents/{id} PUT", "/agents/{id} PATCH":
		return ask{path: agent(), body: `{"description":"d"}`}, true
	case "/budgets GET":
		return ask{path: "/budgets?workspace_id=" + t.w.id}, true
	case "/budgets POST":
		of := t.s.agent(t.w.owner.token, t.w.id, `"name":"A"`)
		return ask{path: "/budgets", body: map[string]any{"workspace_id": t.w.id, "scope": "agent", "target_id": of, "period": "day", "max_tokens": 1000000}}, true
	case "/budgets/{id} PATCH":
		return ask{path: budget(), body: `{"max_tokens":5}`}, true
	case "/budgets/{id} GET", "/budgets/{id} DELETE":
		return ask{path: budget()}, true
	case "/agents/{id}/test POST":
		return ask{path: agent() + "/test", body: `{"input":"Hello"}`}, true
	}
	if path, found := strings.CutPrefix(route, "/agents/{id}"); found {
		path, _, _ = strings.Cut(path, " ")
		return ask{path: agent() + path}, true
	}
	return ask{}, false
}

func (t table) fileRequest(route string) (ask, bool) {
	id := func() string { return t.s.file(t.w.owner.token, t.w.id, newID()+".txt", "text") }
	in := "?workspace_id=" + t.w.id
	switch route {
	case "/tools/{name} GET":
		return ask{path: "/tools/calculator"}, true
	case "/tools/{name}/call POST":
		return ask{path: "/tools/calculator/call" + in, body: `{"arguments":{"expression":"1"}}`}, true
	case "/tools/web/search POST":
		return ask{path: "/tools/web/search" + in, body: `{"query":"x"}`}, true
	case "/tools/web/read POST":
		return ask{path: "/tools/web/read" + in, body: `{"url":"https://a.test/"}`}, true
	case "/tools/mcp/{server}/{tool} GET":
		return ask{path: "/tools/mcp/notes/write.note" + in}, true
	case "/tools/mcp/{server}/{tool}/call POST":
		return ask{path: "/tools/mcp/notes/write.note/call" + in, body: `{"arguments":{"text":"x"}}`}, true
	case "/tools/ai/image POST":
		return ask{path: "/tools/ai/image" + in, body: `{"prompt":"x"}`}, true
	case "/tools/ai/speech POST":
		return ask{path: "/tools/ai/speech" + in, body: `{"text":"x"}`}, true
	case "/tools/ai/transcribe POST":
		sound := t.s.do("POST", "/tools/ai/speech"+in, t.w.owner.token, `{"text":"x"}`).expect(200)
		return ask{path: "/tools/ai/transcribe" + in, body: `{"path":"` + sound.text("path") + `"}`}, true
	case "/tools/ai/chat POST":
		return ask{path: "/tools/ai/chat" + in, body: `{"model":"demo/scripted","messages":[{"role":"user","content":"x"}]}`}, true
	case "/tools/files GET":
		return ask{path: "/tools/files?workspace_id=" + t.w.id}, true
	case "/tools/files/upload POST":
		body, kind := form("a.txt", "text")
		return ask{path: "/tools/files/upload?workspace_id=" + t.w.id + "&path=" + newID(), body: body, headers: []string{"Content-Type", kind}}, true
	case "/tools/files/{id} GET":
		return ask{path: "/tools/files/" + id() + "?download=1"}, true
	case "/tools/files/{id} DELETE":
		return ask{path: "/tools/files/" + id()}, true
	case "/tools/files/{id}/link POST":
		return ask{path: "/tools/files/" + id() + "/link"}, true
	case "/tools/files/{id}/content GET":
		return ask{path: "/tools/files/" + id() + "/content?expires=1&signature=x"}, true
	}
	return ask{}, false
}

func (t table) workflowRequest(route string) (ask, bool) {
	switch route {
	case "/workflows GET":
		return ask{path: "/workflows?workspace_id=" + t.w.id}, true
	case "/workflows POST":
		return ask{path: "/workflows", body: with(adder, "workspace_id", t.w.id)}, true
	case "/workflows/import POST":
		return ask{path: "/workflows/import?workspace_id=" + t.w.id, body: adder}, true
	case "/workflows/validate POST":
		return ask{path: "/workflows/validate", body: adder}, true
	case "/schedules/preview POST":
		return ask{path: "/schedules/preview", body: `{"every":"1h"}`}, true
	case "/workflows/{id} PUT":
		return ask{path: "/workflows/" + t.flow(), body: `{"description":"d"}`}, true
	case "/workflows/{id}/status PATCH":
		return ask{path: "/workflows/" + t.flow() + "/status", body: `{"status":"archived"}`}, true
	case "/workflows/{id}/versions/{version} GET":
		return ask{path: "/workflows/" + t.flow() + "/versions/1"}, true
	case "/workflows/{id}/versions/{version}/restore POST":
		return ask{path: "/workflows/" + t.flow() + "/versions/1/restore"}, true
	case "/workflows/{id}/diff GET":
		return ask{path: "/workflows/" + t.flow() + "/diff?from=1&to=1"}, true
	case "/node-kinds/{kind} GET":
		return ask{path: "/node-kinds/set"}, true
	}
	if path, found := strings.CutPrefix(route, "/workflows/{id}"); found {
		path, _, _ = strings.Cut(path, " ")
		return ask{path: "/workflows/" + t.flow() + path}, true
	}
	return ask{}, false
}

func (t table) executionRequest(route string) (ask, bool) {
	switch route {
	case "/executions GET":
		return ask{path: "/executions?workspace_id=" + t.w.id}, true
	case "/executions POST":
		return ask{path: "/executions", body: map[string]any{"workflow_id": t.flow(), "trigger_data": map[string]any{"a": 1}}}, true
	case "/executions/bulk POST":
		return ask{path: "/executions/bulk?workspace_id=" + t.w.id, body: map[string]any{"items": []any{map[string]any{"workflow_id": t.flow(), "trigger_data": map[string]any{"a": 1}}}}}, true
	case "/executions/{id}/cancel POST", "/executions/{id}/pause POST", "/executions/{id}/resume POST":
		path, _, _ := strings.Cut(strings.TrimPrefix(route, "/executions/{id}"), " ")
		return ask{path: "/executions/" + t.waiting() + path}, true
	case "/approvals GET":
		return ask{path: "/approvals?workspace_id=" + t.w.id}, true
	case "/executions/{id}/approvals/{node_id} POST":
		id, _ := t.s.asking(t.w.owner.token, t.w.id, `{"message":"Go on?"}`)
		return ask{path: "/executions/" + id + "/approvals/ok", body: `{"decision":"approve"}`}, true
	case "/hooks/_callback/{key} POST":
		return ask{path: "/hooks/_callback/" + t.s.called(t.w.owner.token, t.w.id, ""), raw: true, body: `{}`}, true
	case "/hooks/_approval/{link} POST":
		return ask{path: "/hooks/_approval/x.y", raw: true}, true
	case "/executions/{id}/nodes/{node_execution_id} GET":
		id, nodeID := t.finished()
		return ask{path: "/executions/" + id + "/nodes/" + nodeID}, true
	case "/executions/{id}/retry POST":
		id, _ := t.finished()
		return ask{path: "/executions/" + id + "/retry", body: `{"from":"start"}`}, true
	case "/executions/{id}/events GET":
		id, _ := t.finished()
		return ask{path: "/executions/" + id + "/events?after_seq=1000"}, true
	case "/ws/executions/{id} GET":
		id, _ := t.finished()
		return ask{path: "/ws/executions/" + id}, true
	case "/ws/collaboration/{id} GET":
		return ask{path: "/ws/collaboration/" + t.w.id}, true
	}
	if path, found := strings.CutPrefix(route, "/executions/{id}"); found {
		id, _ := t.finished()
		path, _, _ = strings.Cut(path, " ")
		return ask{path: "/executions/" + id + path}, true
	}
	if path, found := strings.CutPrefix(route, "/v1/"); found {
		return t.modelRequest("/v1/" + path)
	}
	if strings.HasPrefix(route, "/hooks/") {
		return ask{path: "/hooks/" + t.w.slug + "/open", body: `{}`, raw: true}, true
	}
	path, _, _ := strings.Cut(route, " ")
	return ask{path: path}, !strings.ContainsAny(path, "{*")
}

// modelRequest is a request of other people's clients.
func (t table) modelRequest(route string) (ask, bool) {
	path, _, _ := strings.Cut(route, " ")
	in := "?workspace_id=" + t.w.id
	model := "agent/" + t.s.agent(t.w.owner.token, t.w.id, `"name":"`+newID()+`","model":"demo/scripted"`)
	if path == "/v1/models/*" {
		return ask{path: "/v1/models/" + model + in, raw: true}, true
	}
	return ask{path: path + in, raw: true, body: map[string]any{"model": model, "max_tokens": 100, "messages": []any{map[string]any{"role": "user", "content": "hi"}}}}, true
}

// TestPermissions writes down what every route answers to everybody. The table
// in testdata is read in review: a change of it is a change of the rules.
func TestPermissions(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	s.arm(w.editor, w.id, `{"path":"open"}`)
	askers := []asker{{name: "anonymous"}, {"stranger", w.stranger.token, w.stranger}, {name: "read-key", token: w.readKey}, {name: "execute-key", token: w.executeKey},
		{name: "write-key", token: w.writeKey}, {"viewer", w.viewer.token, w.viewer}, {"editor", w.editor.token, w.editor}, {"admin", w.admin.token, w.admin}, {"owner", w.owner.token, w.owner}}
	var b strings.Builder
	b.WriteString("# What every route answers to everybody. The key's person is the owner.\n")
	fmt.Fprintf(&b, "%-70s", "")
	for _, a := range askers {
		fmt.Fprintf(&b, " %11s", a.name)
	}
	b.WriteString("\n")
	for _, full := range s.server.Routes() {
		route := strings.TrimPrefix(full, "/api/v1")
		if strings.HasPrefix(full, "/hooks/") && !strings.HasSuffix(full, " POST") {
			continue // the trigger's methods decide, not the role
		}
		if route == "/workspaces/{id} DELETE" {
			continue // last: it takes the team apart
		}
		b.WriteString(permissionRow(t, table{s, w}, route, askers))
		if route == "/workspaces/{id}/transfer POST" { // and back again
			s.do("POST", "/workspaces/"+w.id+"/transfer", s.signIn("guest@example.com").token, map[string]any{"user_id": w.owner.id}).expect(200)
		}
	}
	b.WriteString(permissionRow(t, table{s, w}, "/workspaces/{id} DELETE", askers))
	if *update {
		if err := os.WriteFile(goldenPermissions, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(goldenPermissions)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != b.String() {
		t.Errorf("the permissions differ from %s; look at them, then run with -update:\n%s", goldenPermissions, b.String())
	}
}

func permissionRow(t *testing.T, rows table, route string, askers []asker) string {
	t.Helper()
	path, method, _ := strings.Cut(route, " ")
	row := fmt.Sprintf("%-7s%-63s", method, path)
	for _, a := range askers {
		r, known := rows.request(route, a)
		if !known {
			t.Fatalf("the table of permissions has no request for %s: add one", route)
		}
		token := a.token
		if r.token != "" {
			token = r.token
		}
		row += fmt.Sprintf(" %11d", rows.s.do(method, r.path, token, r.body, r.headers...).Status)
	}
	return row + "\n"
}
