package app_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"agentstudio/internal/app"
	"agentstudio/internal/config"
	"agentstudio/internal/execution"
	"agentstudio/internal/mcp"
	"agentstudio/internal/redistest"
	"agentstudio/internal/store/storetest"
)

// limitedTools sets the limits of tools.
func limitedTools(limits ...string) func(*config.Config) {
	return func(c *config.Config) { c.ToolLimits = limits }
}

const calculate = "/api/v1/tools/calculator/call"

func TestToolsAreLimitedByHand(t *testing.T) {
	r := serve(t, "", "", "on", limitedTools("calculator=2/1h", "send_email=off"))
	token, other := r.signIn("ada@example.com"), r.signIn("eve@example.com")
	for range 2 {
		r.expect(200, "POST", calculate, token, `{"arguments":{"expression":"1+1"}}`)
	}
	// Arguments that do not fit are no call.
	r.expect(422, "POST", calculate, token, `{"arguments":{}}`)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+calculate, strings.NewReader(`{"arguments":{"expression":"1+1"}}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if after := answer.Header.Get("Retry-After"); answer.StatusCode != http.StatusTooManyRequests || after != "1800" {
		t.Errorf("%d, Retry-After %q", answer.StatusCode, after)
	}
	said := r.expect(429, "POST", calculate, token, `{"arguments":{"expression":"1+1"}}`)
	if detail, _ := said["detail"].(string); !strings.Contains(detail, "the tool calculator may be used 2 times in 1h in this workspace") {
		t.Errorf("said %v", said)
	}
	r.expect(200, "POST", calculate, other, `{"arguments":{"expression":"1+1"}}`) // another workspace

	shown := r.expect(200, "GET", "/api/v1/tools/calculator", token, "")
	if l, _ := shown["limit"].(map[string]any); l["calls"] != 2.0 || l["seconds"] != 3600.0 {
		t.Errorf("shown is %v", shown["limit"])
	}
	if shown := r.expect(200, "GET", "/api/v1/tools/send_email", token, ""); shown["limit"] != nil {
		t.Errorf("a limit that was lifted is shown: %v", shown["limit"])
	}
	shown = r.expect(200, "GET", "/api/v1/tools/code_run", token, "")
	if l, _ := shown["limit"].(map[string]any); l["calls"] != 120.0 || l["seconds"] != 60.0 {
		t.Errorf("shown is %v", shown["limit"])
	}
	if list, _ := shown["restrictions"].([]any); len(list) != 1 || list[0] != "No network, no disk, no timers; 32 MiB of memory, 5s, an answer of at most 1 MiB." {
		t.Errorf("shown is %v", shown["restrictions"])
	}
}

const twiceAndDone = `
name: Calculates
nodes:
  - {id: start, kind: manual-trigger}
  - id: think
    kind: agent
    config:
      model: demo/scripted
      prompt: Calculate
      tools: [calculator]
      script:
        - tool_calls: [{name: calculator, arguments: {expression: "40+2"}}]
        - tool_calls: [{name: calculator, arguments: {expression: "50+2"}}]
        - {text: done}
connections: [{source: start, target: think}]
`

const calculates = `
name: Calculates
nodes:
  - {id: start, kind: manual-trigger}
  - {id: sum, kind: tool, config: {tool: calculator, arguments: {expression: "1+1"}}, retry: {max_attempts: 1}}
connections: [{source: start, target: sum}]
`

func TestAnAgentWhoseToolIsLimitedGoesOn(t *testing.T) {
	cfg := settings(t.TempDir())
	cfg.ToolLimits = []string{"calculator=1/1h"}
	studio, by, _ := open(t, cfg)
	x := ends(t, studio, by, twiceAndDone, `{}`)
	if x.Status != execution.Completed || !strings.Contains(string(x.Output), "done") {
		t.Fatalf("%s %+v: %s", x.Status, x.Error, x.Output)
	}
	got := steps(t, studio, by, x.ID, "think")
	if !strings.Contains(got["turn-1/tool-1"], "42") || !strings.Contains(got["turn-2/tool-1"], "the tool calculator may be used 1 time in 1h") || !strings.Contains(got["turn-2/tool-1"], `"failed":true`) {
		t.Errorf("the steps are %v", got)
	}
	// The count is the workspace's: a node has no more of it.
	if x := ends(t, studio, by, calculates, `{}`); x.Status != execution.Failed || x.Error.Code != "tool_limit" {
		t.Errorf("%s %+v", x.Status, x.Error)
	}
}

const runsAWorkflow = `
name: Runs
nodes:
  - {id: start, kind: manual-trigger}
  - id: think
    kind: agent
    config:
      model: demo/scripted
      prompt: Double them
      tools: [run_workflow]
      script:
        - tool_calls:
            - {name: run_workflow, arguments: {workflow: Double, input: {n: 4}}}
            - {name: run_workflow, arguments: {workflow: Double, input: {n: 5}}}
        - tool_calls: [{name: run_workflow, arguments: {workflow: Double, input: {n: 6}}}]
        - {text: done}
connections: [{source: start, target: think}]
`

func TestWorkflowsThatAnAgentRunsAreCountedOnceEach(t *testing.T) {
	cfg := settings(t.TempDir())
	cfg.ToolLimits = []string{"run_workflow=2/1h"}
	studio, by, _ := open(t, cfg)
	double := flow(t, studio, by, doubles, true)
	x := ends(t, studio, by, runsAWorkflow, `{}`)
	got := steps(t, studio, by, x.ID, "think")
	if x.Status != execution.Completed || !strings.Contains(got["turn-1/tool-1"], `8`) || !strings.Contains(got["turn-1/tool-2"], `10`) || !strings.Contains(got["turn-2/tool-1"], "2 times in 1h") {
		t.Errorf("%s %+v: %v", x.Status, x.Error, got)
	}
	if n := executionsOf(t, studio, by, double); n != 2 {
		t.Errorf("%d workflows were run", n)
	}
}

func TestToolsOfMCPServersAreLimited(t *testing.T) {
	url, written := notebook(t)
	r := serve(t, "", "", "on", limitedTools("mcp/notes/write.note=1/1h", "mcp/*=off"), func(c *config.Config) { c.AllowPrivate = []string{strings.TrimPrefix(url, "http://")} })
	token := r.signIn("ada@example.com")
	server := r.expect(201, "POST", "/api/v1/mcp/servers", token, map[string]any{"name": "notes", "transport": string(mcp.HTTP), "url": url})
	byServer := "/api/v1/mcp/servers/" + server["id"].(string) + "/tools/write.note/call"
	r.expect(200, "POST", byServer, token, `{"arguments":{"text":"hello"}}`)
	r.expect(429, "POST", byServer, token, `{"arguments":{"text":"hello"}}`)
	r.expect(429, "POST", "/api/v1/tools/mcp/notes/write.note/call", token, `{"arguments":{"text":"hello"}}`)
	if written.Load() != 1 {
		t.Errorf("%d notes were written", written.Load())
	}
	for range 3 { // the pattern lifts the limit of the others
		r.expect(200, "POST", "/api/v1/tools/mcp/notes/picture/call", token, `{}`)
	}
	if shown := r.expect(200, "GET", "/api/v1/tools/mcp/notes/write.note", token, ""); shown["limit"].(map[string]any)["calls"] != 1.0 || len(shown["restrictions"].([]any)) != 1 {
		t.Errorf("shown is %v", shown)
	}
}

func TestReplicasShareTheLimitOfATool(t *testing.T) {
	database, redis := storetest.PostgresURL(t), redistest.Start(t)
	one, two := serve(t, database, redis.URL(), "on", limitedTools("calculator=3/1h")), serve(t, database, redis.URL(), "on", limitedTools("calculator=3/1h"))
	token := one.signIn("ada@example.com")
	for _, r := range []*replica{one, two, one} {
		r.expect(200, "POST", calculate, token, `{"arguments":{"expression":"1+1"}}`)
	}
	for _, r := range []*replica{one, two} {
		r.expect(429, "POST", calculate, token, `{"arguments":{"expression":"1+1"}}`)
	}
}

func TestAStudioWithFaultyToolLimitsDoesNotOpen(t *testing.T) {
	cfg := settings(t.TempDir())
	cfg.ToolLimits = []string{"calculatr=1/s", "web_search=often"}
	_, err := app.Open(t.Context(), cfg, app.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), `"calculatr"`) || !strings.Contains(err.Error(), `"often"`) {
		t.Errorf("got %v", err)
	}
}
