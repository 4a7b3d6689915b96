package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"agentstudio/internal/fault"
	"agentstudio/internal/mcp"
	"agentstudio/internal/store"
)

// mcpPool connects to servers that are in this test only.
func (s *studio) mcpPool(db *store.DB, opts options) *mcp.Pool {
	pool := mcp.NewPool(servers{}, store.NewMCPServers(db), mcp.PoolConfig{Stdio: opts.stdio, Now: s.clock.now, Secrets: func(_ context.Context, _, name string) ([]byte, error) {
		if secret, ok := s.secrets[name]; ok {
			return []byte(secret), nil
		}
		return nil, fault.New(fault.NotFound, "there is no credential %q", name)
	}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); pool.Run(ctx) }()
	s.t.Cleanup(func() { cancel(); <-ended })
	return pool
}

// servers are MCP servers known by their addresses.
type servers struct{}

func (servers) Dial(_ context.Context, t mcp.Target, _ func()) (mcp.Session, error) {
	if strings.Contains(t.URL, "down") {
		return nil, fmt.Errorf("no connection with %s", t.Headers["Authorization"].Reveal())
	}
	return &server{secret: t.Headers["Authorization"].Reveal(), done: make(chan struct{})}, nil
}

type server struct {
	secret string
	done   chan struct{}
}

func (*server) Info() mcp.Info {
	return mcp.Info{Name: "s", Capabilities: json.RawMessage(`{"tools":{}}`)}
}

func (*server) Tools(context.Context) ([]mcp.Tool, error) {
	no := false
	return []mcp.Tool{{Name: "echo/it", Title: "Echo", ReadOnly: true, InputSchema: json.RawMessage(`{"type":"object","required":["text","n"],"properties":{"text":{"type":"string"},"n":{"type":"integer"}}}`)},
		{Name: "note", Destructive: &no, InputSchema: json.RawMessage(`{"type":"object"}`)}}, nil
}

func (*server) Resources(context.Context) ([]mcp.Resource, error) {
	return []mcp.Resource{{URI: "a://b", Name: "b"}}, nil
}

func (*server) Prompts(context.Context) ([]mcp.Prompt, error) { return nil, nil }

func (s *server) Call(_ context.Context, u mcp.Use, _ func(mcp.Progress)) (*mcp.Result, error) {
	if u.Tool == "note" {
		return nil, errors.New("it broke with " + s.secret)
	}
	return &mcp.Result{Content: []mcp.Content{{Type: "text", Text: string(u.Args) + s.secret}, {Type: "image", Data: make([]byte, 2<<20), MIMEType: "image/png"}}}, nil
}

func (*server) Ping(context.Context) error { return nil }
func (s *server) Done() <-chan struct{}    { return s.done }
func (*server) Err() error                 { return nil }
func (s *server) Close() error             { close(s.done); return nil }

func (s *studio) mcpServer(token, workspace, fields string) string {
	s.t.Helper()
	return s.do("POST", "/mcp/servers", token, with(`{`+fields+`}`, "workspace_id", workspace)).expect(201).text("id")
}

func (t table) mcpServerRequest(route string) (ask, bool) {
	of := func() string {
		return "/mcp/servers/" + t.s.mcpServer(t.w.owner.token, t.w.id, `"name":"`+newID()+`","url":"https://mcp.example.com"`)
	}
	switch route {
	case "/mcp GET":
		return ask{path: "/mcp?workspace_id=" + t.w.id}, true // without a stream: 405 to who may listen
	case "/mcp DELETE":
		return ask{path: "/mcp?workspace_id=" + t.w.id}, true
	case "/mcp POST":
		return ask{path: "/mcp?workspace_id=" + t.w.id, body: `{"jsonrpc":"2.0","id":1,"method":"ping"}`}, true
	case "/mcp/servers GET":
		return ask{path: "/mcp/servers?workspace_id=" + t.w.id}, true
	case "/mcp/servers POST":
		return ask{path: "/mcp/servers", body: with(`{"name":"`+newID()+`","url":"https://mcp.example.com"}`, "workspace_id", t.w.id)}, true
	case "/mcp/servers/{id} PUT", "/mcp/servers/{id} PATCH":
		return ask{path: of(), body: `{"description":"d"}`}, true
	case "/mcp/servers/{id}/tools/{name}/call POST":
		return ask{path: of() + "/tools/echo%2Fit/call", body: `{"arguments":{"text":"a","n":1}}`}, true
	}
	if path, found := strings.CutPrefix(route, "/mcp/servers/{id}"); found {
		path, _, _ = strings.Cut(path, " ")
		return ask{path: of() + path}, true
	}
	return ask{}, false
}

func TestMCPServersAreSetUpUsedAndTakenDown(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	s.secrets["remote"] = "tok-123456"
	a := s.do("POST", "/mcp/servers", w.owner.token, with(`{"name":" Remote ","description":"Far","category":"Web","url":"https://mcp.example.com/x","headers":{"Authorization":"Bearer credential:remote"},"timeout_ms":5000}`, "workspace_id", w.id)).expect(201)
	id := a.text("id")
	a.expectAt("name", "Remote").expectAt("category", "web").expectAt("transport", "http").expectAt("status", "disconnected").expectAt("last_error", nil).expectAt("last_connected_at", nil).
		expectAt("auto_reconnect", true).expectAt("timeout_ms", 5000).expectAt("headers.Authorization", "Bearer credential:remote").expectAt("version", 1)
	if a.Header.Get("Location") != "/api/v1/mcp/servers/"+id || a.Header.Get("ETag") != `"1"` {
		t.Errorf("headers are %v", a.Header)
	}
	s.do("POST", "/mcp/servers", w.admin.token, with(`{"name":"Remote","url":"https://mcp.example.com"}`, "workspace_id", w.id)).problem(409, "conflict")
	tools := s.do("GET", "/mcp/servers/"+id+"/tools", w.editor.token, nil).expect(200) // the first use connects
	tools.expectAt("total", 2).expectAt("items.0.id", "mcp/Remote/echo/it").expectAt("items.0.risk", "low").expectAt("items.1.risk", "medium").expectAt("items.1.title", "note")
	on := s.do("GET", "/mcp/servers/"+id, w.editor.token, nil).expect(200).expectAt("status", "connected").expectAt("tool_count", 2)
	if !strings.Contains(string(on.Body), `"capabilities":{"tools":{}}`) || on.text("last_connected_at") == "" {
		t.Errorf("connected it is %s", on.Body)
	}
	s.do("GET", "/mcp/servers/"+id+"/resources", w.editor.token, nil).expect(200).expectAt("items.0.uri", "a://b")
	s.do("GET", "/mcp/servers/"+id+"/prompts", w.editor.token, nil).expect(200).expectAt("total", 0)
	out := s.do("POST", "/mcp/servers/"+id+"/tools/echo%2Fit/call", w.editor.token, `{"arguments":{"text":"hi","n":1}}`).expect(200).expectAt("is_error", false).expectAt("content.1.left_out_bytes", float64(2<<20))
	if text := out.text("content.0.text"); !strings.Contains(text, `"hi"`) || strings.Contains(text, "tok-123456") || !strings.Contains(text, "••••") {
		t.Errorf("the answer is %s", text)
	}
	bad := s.do("POST", "/mcp/servers/"+id+"/tools/echo%2Fit/call", w.editor.token, `{"arguments":{"n":"one"}}`).problem(422, "invalid")
	if text := string(bad.Body); !strings.Contains(text, "body.arguments.text") || !strings.Contains(text, "body.arguments.n") {
		t.Errorf("not all faults at once: %s", text)
	}
	s.do("POST", "/mcp/servers/"+id+"/tools/ecco/call", w.editor.token, `{}`).problem(404, "not_found")
	if text := string(s.do("POST", "/mcp/servers/"+id+"/tools/note/call", w.editor.token, `{}`).problem(502, "upstream").Body); strings.Contains(text, "tok-123456") || !strings.Contains(text, "it broke") {
		t.Errorf("the failure is %s", text)
	}
	s.do("POST", "/mcp/servers/"+id+"/disconnect", w.admin.token, nil).expect(200).expectAt("status", "disconnected").expectAt("tool_count", 2)
	s.do("POST", "/mcp/servers/"+id+"/connect", w.editor.token, nil).expect(200).expectAt("status", "connected")
	s.do("PATCH", "/mcp/servers/"+id, w.owner.token, `{"url":"https://down.example.com"}`, "If-Match", `"7"`).problem(412, "stale")
	s.do("PATCH", "/mcp/servers/"+id, w.owner.token, `{"url":"https://down.example.com"}`, "If-Match", `"1"`).expect(200).expectAt("version", 2).expectAt("status", "disconnected")
	if text := string(s.do("POST", "/mcp/servers/"+id+"/connect", w.admin.token, nil).problem(502, "upstream").Body); strings.Contains(text, "tok-123456") {
		t.Errorf("the failure is %s", text)
	}
	failed := s.do("GET", "/mcp/servers/"+id, w.admin.token, nil).expect(200).expectAt("status", "error")
	if text := failed.text("last_error"); !strings.Contains(text, "no connection with Bearer ••••") {
		t.Errorf("the last error is %s", text)
	}
	s.do("DELETE", "/mcp/servers/"+id, w.admin.token, nil).expect(204)
	s.do("GET", "/mcp/servers/"+id, w.admin.token, nil).problem(404, "not_found")
	log := s.do("GET", "/activity?workspace_id="+w.id, w.owner.token, nil).expect(200)
	for i, want := range []string{"deleted", "updated", "disconnected", "created"} {
		log.expectAt(fmt.Sprintf("items.%d.action", i), "mcp_server."+want)
	}
}

func TestEverythingWrongWithAnMCPServerIsSaidAtOnce(t *testing.T) {
	s := open(t, options{stdio: true})
	w := s.team()
	for body, want := range map[string][]string{
		`{"name":"a/b","transport":"http","url":"ftp://x","command":"x","env":{"A":"b"},"headers":{"Host":"h","Authorization":"Bearer abc","Bad Name":"x","X-A":"a\nb"}}`: {"name", "url", "command", "env", "headers.Host", "headers.Authorization", "headers.Bad Name", "headers.X-A"},
		`{"name":"  ","transport":"stdio","url":"https://x.example.com","headers":{"A":"b"},"env":{"1":"x","GITHUB_TOKEN":"abc"}}`:                                        {"name", "command", "url", "headers", "env.1", "env.GITHUB_TOKEN"},
		`{"name":"x","url":"https://u:p@x.example.com"}`: {"url"},
		`{"name":"x"}`: {"url"},
	} {
		a := s.do("POST", "/mcp/servers", w.owner.token, with(body, "workspace_id", w.id)).problem(422, "invalid")
		for _, place := range want {
			if !strings.Contains(string(a.Body), `"location":"body.`+place+`"`) {
				t.Errorf("%s: nothing about %s: %s", body, place, a.Body)
			}
		}
		if n := strings.Count(string(a.Body), `"location"`); n != len(want) {
			t.Errorf("%s: %d faults, not %d: %s", body, n, len(want), a.Body)
		}
	}
}

func TestProgramsAreForAdministratorsWhereTheOperatorAllowsThem(t *testing.T) {
	program := `{"name":"p","transport":"stdio","command":"npx"}`
	off := open(t, options{})
	w := off.team()
	off.do("POST", "/mcp/servers", w.owner.token, with(program, "workspace_id", w.id)).problem(501, "not_configured")
	on := open(t, options{stdio: true})
	w = on.team() // the owner made the first account: the installation's administrator
	id := on.do("POST", "/mcp/servers", w.owner.token, with(program, "workspace_id", w.id)).expect(201).text("id")
	on.do("POST", "/mcp/servers", w.admin.token, with(`{"name":"q","transport":"stdio","command":"npx"}`, "workspace_id", w.id)).problem(403, "forbidden")
	on.do("PATCH", "/mcp/servers/"+id, w.admin.token, `{"command":"sh"}`).problem(403, "forbidden")
	remote := on.mcpServer(w.admin.token, w.id, `"name":"r","url":"https://mcp.example.com"`)
	on.do("PATCH", "/mcp/servers/"+remote, w.admin.token, `{"transport":"stdio","command":"sh","url":""}`).problem(403, "forbidden")
	on.do("POST", "/mcp/servers/"+id+"/connect", w.editor.token, nil).expect(200).expectAt("status", "connected")
}

func TestMCPTemplatesAreServersOnceFilledIn(t *testing.T) {
	s := open(t, options{stdio: true})
	w := s.team()
	a := s.do("GET", "/mcp/templates", w.viewer.token, nil).expect(200)
	var page struct {
		Items []struct {
			ID     string
			Server map[string]any
		}
	}
	if err := json.Unmarshal(a.Body, &page); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, item := range page.Items {
		ids = append(ids, item.ID)
		if item.ID == "custom" {
			continue
		}
		item.Server["workspace_id"] = w.id
		s.do("POST", "/mcp/servers", w.owner.token, item.Server).expect(201)
	}
	if got := strings.Join(ids, " "); got != "filesystem memory fetch github postgres slack browser custom" {
		t.Errorf("templates are %s", got)
	}
}

func TestWhereCredentialsAreSentIsForAdministratorsToSay(t *testing.T) {
	s := open(t, options{})
	w := s.team() // the owner made the first account: the installation's administrator
	const sends = `"url":"https://mcp.example.com","headers":{"X-Key":"credential:shop"}`
	s.do("POST", "/mcp/servers", w.admin.token, with(`{"name":"a",`+sends+`}`, "workspace_id", w.id)).problem(403, "forbidden")
	id := s.mcpServer(w.owner.token, w.id, `"name":"a",`+sends)
	s.do("PATCH", "/mcp/servers/"+id, w.admin.token, `{"url":"https://elsewhere.example.com"}`).problem(403, "forbidden")
	s.do("PATCH", "/mcp/servers/"+id, w.admin.token, `{"headers":{}}`).problem(403, "forbidden")
	plain := s.mcpServer(w.admin.token, w.id, `"name":"b","url":"https://mcp.example.com"`)
	s.do("PATCH", "/mcp/servers/"+plain, w.admin.token, `{"headers":{"X-Key":"credential:shop"}}`).problem(403, "forbidden")
	s.do("PATCH", "/mcp/servers/"+plain, w.admin.token, `{"description":"d"}`).expect(200)
}
