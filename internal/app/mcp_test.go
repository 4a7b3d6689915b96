package app_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/agent"
	"agentstudio/internal/app"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/mcp"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

type noteArgs struct {
	Text string `json:"text"`
}

// notebook is an MCP server that counts what it is asked to write.
func notebook(t *testing.T) (url string, written *atomic.Int64) {
	t.Helper()
	written = &atomic.Int64{}
	s := sdk.NewServer(&sdk.Implementation{Name: "notebook", Version: "1"}, nil)
	sdk.AddTool(s, &sdk.Tool{Name: "write.note", Description: "Writes a note"}, func(_ context.Context, _ *sdk.CallToolRequest, a noteArgs) (*sdk.CallToolResult, any, error) {
		if a.Text == "fail" {
			return nil, nil, errors.New("the page is torn")
		}
		return nil, map[string]any{"number": written.Add(1), "text": a.Text}, nil
	})
	sdk.AddTool(s, &sdk.Tool{Name: "picture", Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true}}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.ImageContent{Data: []byte("PNG"), MIMEType: "image/png"}}}, nil, nil
	})
	web := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, nil))
	t.Cleanup(web.Close)
	return web.URL, written
}

// withServer is a studio that serves, with an MCP server called notes.
func withServer(t *testing.T, url string) (*app.App, access.Actor) {
	t.Helper()
	cfg := settings(t.TempDir())
	cfg.AllowPrivate = []string{strings.TrimPrefix(url, "http://")}
	studio, err := app.Open(t.Context(), cfg, app.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- studio.Serve(ctx, l, func() { close(started) }) }()
	<-started
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, studio.Close()); err != nil {
			t.Error(err)
		}
	})
	by, err := studio.Operator(t.Context(), "you@studio.local")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := studio.MCPServers.Create(t.Context(), by, by.Personal, mcp.Definition{Name: "notes", Transport: mcp.HTTP, URL: url, AutoReconnect: true}); err != nil {
		t.Fatal(err)
	}
	return studio, by
}

// ends runs a workflow and returns how it ended.
func ends(t *testing.T, studio *app.App, by access.Actor, flow, input string) *execution.Execution {
	t.Helper()
	d, err := studio.Codec.Decode([]byte(flow))
	if err != nil {
		t.Fatal(err)
	}
	w, err := studio.Workflows.Create(t.Context(), by, by.Personal, d)
	if err != nil {
		t.Fatal(err)
	}
	x, err := studio.Executions.Run(t.Context(), by, execution.StartInput{WorkspaceID: by.Personal, WorkflowID: w.ID, TriggerData: []byte(input)}, false, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

const callsATool = `
name: Writes
nodes:
  - {id: start, kind: manual-trigger}
  - {id: write, kind: mcp-tool, config: {server: notes, tool: TOOL, arguments: {text: "{{ trigger.text }}"}}}
connections: [{source: start, target: write}]
`

func TestANodeCallsAToolOfAnMCPServer(t *testing.T) {
	url, written := notebook(t)
	studio, by := withServer(t, url)
	flow := strings.ReplaceAll(callsATool, "TOOL", "write.note")
	x := ends(t, studio, by, flow, `{"text":"hello"}`)
	if x.Status != execution.Completed || !strings.Contains(string(x.Output), `"structured":{"number":1,"text":"hello"}`) || written.Load() != 1 {
		t.Errorf("%s %+v: %s", x.Status, x.Error, x.Output)
	}
	for input, want := range map[string]string{`{"text":"fail"}`: "the page is torn", `{"text":7}`: "arguments.text"} {
		if x := ends(t, studio, by, flow, input); x.Status != execution.Failed || !strings.Contains(x.Error.Message, want) {
			t.Errorf("%s: %s %+v", input, x.Status, x.Error)
		}
	}
	if x := ends(t, studio, by, strings.ReplaceAll(callsATool, "TOOL", "write.nota"), `{"text":"a"}`); x.Status != execution.Failed || x.Error.Code != "unknown_tool" || !strings.Contains(x.Error.Message, "write.note") {
		t.Errorf("%s %+v", x.Status, x.Error)
	}
	flow = strings.ReplaceAll(strings.ReplaceAll(callsATool, "TOOL", "picture"), `, arguments: {text: "{{ trigger.text }}"}`, "")
	if x := ends(t, studio, by, flow, `{}`); x.Status != execution.Completed || !strings.Contains(string(x.Output), `"data":"UE5H"`) {
		t.Errorf("%s %+v: %s", x.Status, x.Error, x.Output)
	}
	if written.Load() != 1 {
		t.Errorf("%d notes were written", written.Load())
	}
}

const agentWrites = `
name: Agent writes
nodes:
  - {id: start, kind: manual-trigger}
  - id: think
    kind: agent
    config:
      model: demo/scripted
      prompt: Write it down
      tools: [mcp/notes/write.note, mcp/notes/picture]
      script:
        - tool_calls:
            - {name: mcp_notes_write_note, arguments: {text: seen}}
            - {name: mcp_notes_picture, arguments: {}}
            - {name: mcp_notes_write_note, arguments: {}}
        - {text: done}
connections: [{source: start, target: think}]
`

// TestAnAgentUsesToolsOfAnMCPServer: what may destroy waits for a person, what
// reads does not, and no call is made twice.
func TestAnAgentUsesToolsOfAnMCPServer(t *testing.T) {
	url, written := notebook(t)
	studio, by := withServer(t, url)
	id := flow(t, studio, by, agentWrites, false)
	sub := studio.Bus.Subscribe("workflow:" + id)
	defer sub.Close()
	x, _, err := studio.Executions.Start(t.Context(), by, execution.StartInput{WorkspaceID: by.Personal, WorkflowID: id})
	if err != nil {
		t.Fatal(err)
	}
	var asks []execution.Ask
	for deadline := time.Now().Add(20 * time.Second); len(asks) < 1; <-time.After(10 * time.Millisecond) {
		if asks, _, err = studio.Executions.Approvals(t.Context(), by, by.Personal, 10, 0); err != nil || time.Now().After(deadline) {
			t.Fatalf("%d asks, %v", len(asks), err)
		}
	}
	if len(asks) != 1 || !strings.Contains(string(asks[0].Subject), "mcp/notes/write.note") || written.Load() != 0 {
		t.Fatalf("asked %+v with %d written", asks, written.Load())
	}
	if _, err := studio.Executions.Decide(t.Context(), by, execution.Decision{ExecutionID: x.ID, NodeID: "think", AskID: asks[0].ID, Approve: true}); err != nil {
		t.Fatal(err)
	}
	completed(t, studio, by, sub, id)
	_, nodes, _, err := studio.Executions.WithNodes(t.Context(), by, x.ID, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, n := range nodes {
		if n.NodeID != "think" {
			continue
		}
		detail, err := studio.Executions.Node(t.Context(), by, x.ID, n.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range detail.Steps {
			got[step.Name] = string(step.Output)
		}
	}
	if !strings.Contains(got["turn-1/tool-1"], "seen") || !strings.Contains(got["turn-1/tool-2"], "image/png") || !strings.Contains(got["turn-1/tool-3"], "text") || written.Load() != 1 {
		t.Errorf("%d written; the steps are %v", written.Load(), got)
	}
}

func TestAnAgentIsSavedWhileItsMCPServerIsAway(t *testing.T) {
	studio, by := withServer(t, "http://127.0.0.1:1")
	save := func(tools ...string) error {
		_, err := studio.Agents.Create(t.Context(), by, by.Personal, agent.Definition{Name: "A", Models: []string{"demo/scripted"}, Tools: tools, Permissions: agent.Permissions{Ask: tools}})
		return err
	}
	if err := save("mcp/notes/whatever", "calculator"); err != nil {
		t.Errorf("a server that is away: %+v", err)
	}
	err := save("mcp/nots/x", "mcp/notes/y", "mcp/notes/y", "other/z")
	if f := fault.As(err); f == nil || f.Kind != fault.Invalid || len(f.Details) != 6 || !strings.Contains(f.Error(), "did you mean notes?") {
		t.Errorf("unknown servers: %+v", err)
	}
}
