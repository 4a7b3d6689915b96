package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// bearerOf sends a token with every request.
type bearerOf string

func (b bearerOf) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// mcpClient is a client of the studio's MCP server.
func (s *studio) mcpClient(token, workspace string, opts *sdk.ClientOptions) *sdk.ClientSession {
	s.t.Helper()
	c, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, opts).Connect(context.Background(), &sdk.StreamableClientTransport{
		Endpoint: s.http.URL + "/mcp?workspace_id=" + workspace, HTTPClient: &http.Client{Transport: bearerOf(token)}}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// offer publishes a workflow that is a tool.
func (s *studio) offer(w team, name, body string) string {
	s.t.Helper()
	id := s.create(w.owner.token, w.id, `{"name":"`+name+`",`+body+`}`).text("id")
	s.do("PATCH", "/workflows/"+id+"/status", w.owner.token, `{"status":"published"}`).expect(200)
	return id
}

const greets = `"description":"unused","nodes":[{"id":"in","kind":"workflow-trigger","config":{"description":"Greets a person","input_schema":{"type":"object","required":["who"],"properties":{"who":{"type":"string"}}}}},
	{"id":"say","kind":"set","config":{"values":{"text":"Hello {{ trigger.who }}"}}}],"connections":[{"source":"in","target":"say"}]`

const waits = `"nodes":[{"id":"in","kind":"workflow-trigger"},{"id":"w","kind":"wait","config":{"seconds":3600}}],"connections":[{"source":"in","target":"w"}]`

func textOf(t *testing.T, r *sdk.CallToolResult) string {
	t.Helper()
	if len(r.Content) == 0 {
		t.Fatal("there is no content")
	}
	text, ok := r.Content[0].(*sdk.TextContent)
	if !ok {
		t.Fatalf("the content is %T", r.Content[0])
	}
	return text.Text
}

func TestPublishedWorkflowsAreToolsOverMCP(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	s.offer(w, "Greet Somebody!", greets)
	s.offer(w, "Greet: somebody", greets)
	s.offer(w, "Nobody's", `"nodes":[{"id":"in","kind":"manual-trigger"}]`)
	s.create(w.owner.token, w.id, `{"name":"Draft",`+greets+`}`)
	c := s.mcpClient(w.executeKey, w.id, nil)
	list, err := c.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Tools) != 2 || list.Tools[0].Name != "greet_somebody" || !strings.HasPrefix(list.Tools[1].Name, "greet_somebody_") || list.Tools[0].Description != "Greets a person" || list.Tools[0].Title != "Greet Somebody!" {
		t.Errorf("tools are %+v", list.Tools)
	}
	if schema, _ := json.Marshal(list.Tools[0].InputSchema); !strings.Contains(string(schema), `"required":["who"]`) {
		t.Errorf("the schema is %s", schema)
	}
	r, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: "greet_somebody", Arguments: map[string]any{"who": "Ann"}})
	if err != nil || r.IsError || textOf(t, r) != `{"text":"Hello Ann"}` {
		t.Fatalf("%+v, %v", r, err)
	}
	if said, _ := r.StructuredContent.(map[string]any); said["text"] != "Hello Ann" {
		t.Errorf("structured is %v", r.StructuredContent)
	}
	id, _ := r.Meta["agentstudio/execution_id"].(string)
	s.do("GET", "/executions/"+id, w.viewer.token, nil).expect(200).expectAt("trigger_type", "mcp").expectAt("status", "completed")
	read, err := c.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: "agentstudio://executions/" + id})
	if err != nil || !strings.Contains(read.Contents[0].Text, `"output":{"text":"Hello Ann"}`) {
		t.Errorf("read %+v, %v", read, err)
	}
	resources, err := c.ListResources(t.Context(), nil)
	if err != nil || len(resources.Resources) != 1 || resources.Resources[0].URI != "agentstudio://executions/"+id {
		t.Errorf("listed %+v, %v", resources, err)
	}
	if _, err := c.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: "agentstudio://executions/" + newID()}); err == nil {
		t.Error("an execution that is not there was read")
	}
	if r, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: "greet_somebody", Arguments: map[string]any{"who": 7}}); err != nil || !r.IsError || !strings.Contains(textOf(t, r), "who") {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: "draft"}); err == nil {
		t.Error("a draft was called")
	}
}

func TestTheSameKeyOverMCPRunsOnce(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	s.offer(w, "greet", greets)
	c := s.mcpClient(w.executeKey, w.id, nil)
	var ids []any
	for range 2 {
		r, err := c.CallTool(t.Context(), &sdk.CallToolParams{Meta: sdk.Meta{"agentstudio/idempotency-key": "k"}, Name: "greet", Arguments: map[string]any{"who": "Ann"}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.Meta["agentstudio/execution_id"])
	}
	if ids[0] != ids[1] {
		t.Errorf("executions %v", ids)
	}
}

func TestWhoMayOnlyReadCallsNothingOverMCP(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	s.offer(w, "greet", greets)
	c := s.mcpClient(w.readKey, w.id, nil)
	if list, err := c.ListTools(t.Context(), nil); err != nil || len(list.Tools) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	if r, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: "greet", Arguments: map[string]any{"who": "Ann"}}); err != nil || !r.IsError || !strings.Contains(textOf(t, r), "scopes") {
		t.Errorf("%+v, %v", r, err)
	}
	s.do("POST", "/mcp?workspace_id="+w.id, w.stranger.token, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "Accept", "application/json, text/event-stream").problem(404, "not_found")
	s.do("POST", "/mcp?x", "", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`).problem(401, "unauthenticated")
	s.do("POST", "/mcp?x", w.readKey, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, "Origin", "https://evil.example.com", "Sec-Fetch-Site", "cross-site").problem(403, "forbidden")
}

func TestACallOverMCPTellsItsProgressAndIsCancelledBothWays(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	flow := s.offer(w, "slow", waits)
	told := make(chan string, 100)
	c := s.mcpClient(w.executeKey, w.id, &sdk.ClientOptions{ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) { told <- r.Params.Message }})
	newest := func() string {
		return s.do("GET", "/executions?workspace_id="+w.id+"&workflow_id="+flow, w.owner.token, nil).expect(200).text("items.0.id")
	}
	call := func(ctx context.Context) (*sdk.CallToolResult, error) {
		p := &sdk.CallToolParams{Name: "slow"}
		p.SetProgressToken("p")
		return c.CallTool(ctx, p)
	}
	waiting := func() {
		t.Helper()
		for late := time.After(20 * time.Second); ; {
			select {
			case message := <-told:
				if message == "Wait: waiting" {
					return
				}
			case <-late:
				t.Fatal("no progress was told")
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := call(ctx); ended <- err }()
	waiting()
	cancel() // the client cancels
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
	s.until(w.owner.token, newest(), "cancelled")

	results := make(chan *sdk.CallToolResult, 1)
	go func() {
		r, err := call(t.Context())
		if err != nil {
			t.Errorf("the call failed: %v", err)
		}
		results <- r
	}()
	waiting()
	s.do("POST", "/executions/"+newest()+"/cancel", w.owner.token, nil).expect(200)
	if r := <-results; r == nil || !r.IsError || !strings.Contains(textOf(t, r), "cancelled") {
		t.Errorf("the result is %+v", r)
	}
}

func TestListenersOverMCPHearThatTheToolsHaveChanged(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	heard := make(chan struct{}, 10)
	c := s.mcpClient(w.readKey, w.id, &sdk.ClientOptions{ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) { heard <- struct{}{} }})
	if err := c.Ping(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for late := time.After(20 * time.Second); ; { // until the client listens
		s.offer(w, newID(), greets)
		select {
		case <-heard:
			return
		case <-late:
			t.Fatal("nothing was heard")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestPicturesOfMCPToolsGoOnAsPictures(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	s.offer(w, "picture", `"nodes":[{"id":"in","kind":"workflow-trigger"},{"id":"a","kind":"set","config":{"values":{"content":[{"type":"image","data":"UE5H","mime_type":"image/png"},{"type":"text","text":"a picture"}]}}}],"connections":[{"source":"in","target":"a"}]`)
	c := s.mcpClient(w.executeKey, w.id, nil)
	r, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: "picture"})
	if err != nil || len(r.Content) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if picture, ok := r.Content[0].(*sdk.ImageContent); !ok || string(picture.Data) != "PNG" {
		t.Errorf("content is %+v", r.Content[0])
	}
}
