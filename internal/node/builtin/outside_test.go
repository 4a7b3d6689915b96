package builtin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/agent"
	"agentstudio/internal/database"
	"agentstudio/internal/demo"
	"agentstudio/internal/fault"
	stored "agentstudio/internal/file"
	"agentstudio/internal/file/filetest"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/scripted"
	"agentstudio/internal/node/builtin"
	"agentstudio/internal/outbound"
	"agentstudio/internal/tool"
	tools "agentstudio/internal/tool/builtin"
	"agentstudio/internal/webread"
	"agentstudio/internal/websearch"
)

// deps is the world outside as the stories find it.
func deps(t *testing.T) builtin.Deps {
	files := filetest.Paths(t, "w1", 1<<20)
	for name, text := range map[string]string{"data.json": `{"a": [1, 2]}`, "table.csv": "name,age\nAnn,41\nBob,7\n", "broken.json": "{", "note.txt": "hello", "raw.bin": "\xff\xfe"} {
		if _, err := files.Write(t.Context(), stored.Maker{WorkspaceID: "w1"}, name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return builtin.Deps{Now: func() time.Time { return noon }, HTTP: echo{}, Search: search{}, Read: pages{}, Library: demo.New(), Mail: post{}, Files: files,
		Tools: tool.NewShelf(tool.NewCatalogue(tools.Tools(tools.Deps{Mail: post{}, Databases: shop{}, Now: func() time.Time { return noon }})...), shelf{}),
		Agent: agent.NewRunner(demoModels{}, tool.NewCatalogue(tools.Tools(tools.Deps{})...), agent.RunnerConfig{Now: func() time.Time { return noon }})}
}

// shop is one database, which answers what it was asked.
type shop struct{}

func (shop) Configured() bool { return true }

func (shop) Writable() bool { return true }

func (shop) Query(_ context.Context, workspaceID, credential string, q database.Query) (*database.Answer, error) {
	if credential != "shop" {
		return nil, fault.New(fault.NotFound, "this workspace has no database %q", credential)
	}
	if strings.Contains(q.SQL, "torn") {
		return nil, fault.New(fault.Conflict, "the connection broke").WithCode("unknown_outcome")
	}
	out := &database.Answer{Columns: []string{"asked"}, Rows: []map[string]any{{"asked": q.SQL, "params": q.Params, "workspace": workspaceID}}}
	if q.Write {
		n := int64(1)
		out.Affected = &n
	}
	return out, nil
}

// shelf has one tool of one MCP server.
type shelf struct{}

func (shelf) Tools(context.Context, string) ([]tool.Tool, error) { return nil, nil }

func (shelf) Check(context.Context, string, string) error { return nil }

func (shelf) Find(_ context.Context, workspaceID, name string) (tool.Tool, error) {
	if name != "mcp/shelf/fetch" {
		return tool.Tool{}, fault.New(fault.NotFound, "the workspace has no tool %s", name)
	}
	return tool.Tool{Spec: tool.Spec{Name: name, Schema: json.RawMessage(`{"type":"object"}`)}, Run: func(_ context.Context, call tool.Call) (tool.Result, error) {
		if !strings.Contains(string(call.Args), "book") {
			return tool.Result{}, fault.InvalidInput(fault.Detail{Location: "arguments.book", Message: "the field is required"})
		}
		call.Progress("on my way")
		return tool.Result{Text: "here", Value: map[string]any{"text": "here", "content": []any{}, "structured": map[string]any{"args": string(call.Args), "workspace": workspaceID, "key": call.Key}}}, nil
	}}, nil
}

// echo answers each request with what it was. Its query decides how:
// status, type, text, pages.
type echo struct{}

func (echo) Do(_ context.Context, in outbound.Request) (*outbound.Response, error) {
	u, err := url.Parse(in.URL)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	status, err := strconv.Atoi(q.Get("status"))
	if err != nil {
		status = http.StatusOK
	}
	headers := map[string]string{}
	for name := range in.Header {
		headers[name] = in.Header.Get(name)
	}
	answer := &outbound.Response{Status: status, URL: in.URL, Header: http.Header{"Content-Type": {"application/json"}}}
	if after := q.Get("after"); after != "" {
		answer.Header.Set("Retry-After", after)
	}
	switch {
	case q.Has("text"):
		answer.Header.Set("Content-Type", "text/plain")
		answer.Body = []byte(q.Get("text"))
		return answer, nil
	case q.Has("page"):
		n, err := strconv.Atoi(q.Get("page"))
		if err != nil {
			return nil, err
		}
		page := map[string]any{"list": []int{n * 10, n*10 + 1}, "next": nil}
		if n < 3 {
			page["next"] = "/list?page=" + strconv.Itoa(n+1)
		}
		answer.Body, err = json.Marshal(page)
		return answer, err
	}
	body := string(in.Body)
	if i := strings.Index(headers["Content-Type"], "boundary="); i > 0 {
		boundary := headers["Content-Type"][i+len("boundary="):]
		body = strings.ReplaceAll(strings.ReplaceAll(body, boundary, "BOUNDARY"), "\r\n", "\n")
		headers["Content-Type"] = strings.ReplaceAll(headers["Content-Type"], boundary, "BOUNDARY")
	}
	answer.Body, err = json.Marshal(map[string]any{"method": in.Method, "url": in.URL, "headers": headers, "body": body})
	return answer, err
}

type search struct{}

func (search) Configured() bool { return false }

func (search) Search(context.Context, string, int) ([]websearch.Result, error) {
	return nil, fault.New(fault.NotConfigured, "web search needs a key: the operator sets JINA_API_KEY")
}

type pages struct{}

func (pages) Read(_ context.Context, address string) (webread.Page, error) {
	if address != "https://x.test/a" {
		return webread.Page{}, fault.New(fault.Upstream, "no connection to x.test")
	}
	return webread.Page{Title: "A", URL: address, Content: "# A\n\ntext", Description: "about A", PublishedAt: "2026-01-02T00:00:00Z"}, nil
}

type post struct{}

func (post) Send(_ context.Context, to, _, _ string) error {
	if strings.HasPrefix(to, "full@") {
		return fault.New(fault.Upstream, "the mail server says that the box is full")
	}
	return nil
}

// demoModels answers every name with the offline model.
type demoModels struct{}

func (demoModels) Model([]string) (llm.Model, error) { return scripted.Provider{}, nil }

func (demoModels) ContextTokens([]string) int { return 0 }
