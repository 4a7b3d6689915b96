package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"agentstudio/internal/agent"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/scripted"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/tool"
	tools "agentstudio/internal/tool/builtin"
	"agentstudio/internal/usage"
)

// demoModels knows the offline demo model.
type demoModels struct{ *llm.Registry }

func (m demoModels) Model(names []string) (llm.Model, error) { return m.Resolve(names...) }
func (m demoModels) ContextTokens([]string) int              { return 0 }

// agents is the runner and the use cases of a studio under test.
func agents(db *store.DB, budgets *usage.Service, files agent.Files) (*agent.Runner, *store.Agents) {
	saved := store.NewAgents(db)
	risky := tool.Define(tool.Spec{Name: "deploy", Title: "Deploy", Risk: node.RiskHigh, Effect: true}, deploy)
	catalogue := tool.NewCatalogue(append(tools.Tools(tools.Deps{}), risky)...)
	return agent.NewRunner(demoModels{llm.NewRegistry(llm.Config{Decorate: func(p llm.Provider) llm.Model {
		return llm.Meter(p, usage.Discard{}, nil, llm.MeterConfig{Gate: budgets})
	}}, scripted.Provider{})}, catalogue, agent.RunnerConfig{Saved: saved, Files: files}), saved
}

type deployArgs struct {
	Where string `json:"where" jsonschema:"required"`
}

func deploy(context.Context, tool.Call, deployArgs) (tool.Result, error) {
	return tool.Result{Text: "deployed"}, nil
}

func (s *studio) agent(token, workspace, fields string) string {
	s.t.Helper()
	return s.do("POST", "/agents", token, with(`{`+fields+`}`, "workspace_id", workspace)).expect(201).text("id")
}

func TestAgentsAreSavedChangedCopiedAndDeleted(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	a := s.do("POST", "/agents", w.editor.token, with(`{"name":" Scout ","description":"Finds 100% of it","type":"research","tools":["web_search"],"tags":["Web"," web "],"model":"demo/scripted",
		"system_prompt":"Look for {{ topic }}.","variables":[{"name":"topic","required":true}],"limits":{"max_steps":5,"max_cost_usd":0.25,"timeout_seconds":1.5},
		"permissions":{"mode":"auto","deny":["send_email"]},"memory":{"window":3},"temperature":0.5,"output_schema":{"type":"object"},"metadata":{"a":[1]}}`, "workspace_id", w.id)).expect(201)
	id := a.text("id")
	a.expectAt("name", "Scout").expectAt("version", 1).expectAt("role", "specialist").expectAt("tags.0", "web").expectAt("limits.max_cost_usd", 0.25).
		expectAt("limits.timeout_seconds", 1.5).expectAt("permissions.deny.0", "send_email").expectAt("temperature", 0.5).expectAt("metadata.a.0", 1).expectAt("model.0", "demo/scripted")
	if a.Header.Get("Location") != "/api/v1/agents/"+id || a.Header.Get("ETag") != `"1"` {
		t.Errorf("headers are %v", a.Header)
	}
	s.do("GET", "/agents/"+id, w.viewer.token, nil).expect(200).expectAt("variables.0.name", "topic")
	s.do("PATCH", "/agents/"+id, w.editor.token, `{"temperature":null,"output_schema":null,"max_tokens":100}`, "If-Match", `"1"`).expect(200).
		expectAt("version", 2).expectAt("temperature", nil).expectAt("max_tokens", 100).expectAt("name", "Scout")
	s.do("PATCH", "/agents/"+id, w.editor.token, `{"name":"Late"}`, "If-Match", `"1"`).problem(412, "stale")
	s.do("PUT", "/agents/"+id, w.editor.token, `{"max_tokens":100}`).expect(200).expectAt("version", 2)
	copied := s.do("POST", "/agents/"+id+"/duplicate", w.editor.token, nil).expect(201).expectAt("name", "Scout (Copy)").expectAt("version", 1).text("id")
	s.do("DELETE", "/agents/"+id, w.editor.token, nil, "If-Match", `"1"`).problem(412, "stale")
	s.do("DELETE", "/agents/"+id, w.editor.token, nil, "If-Match", `"2"`).expect(204)
	s.do("GET", "/agents/"+id, w.editor.token, nil).problem(404, "not_found")
	log := s.do("GET", "/activity?workspace_id="+w.id, w.owner.token, nil).expect(200)
	for i, want := range []string{"agent.deleted", "agent.duplicated", "agent.updated", "agent.created"} {
		log.expectAt(fmt.Sprintf("items.%d.action", i), want)
	}
	s.do("GET", "/agents/"+copied, w.stranger.token, nil).problem(404, "not_found")
}

func TestAgentsAreListedByWhatOneLooksFor(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	s.agent(w.owner.token, w.id, `"name":"Beta","type":"research","tags":["x","y"]`)
	s.agent(w.owner.token, w.id, `"name":"Alpha","description":"100% sure","role":"validator","tags":["y"]`)
	for query, want := range map[string]string{"": "Alpha Beta", "query=BET": "Beta", "query=0%25": "Alpha", "type=research": "Beta", "role=validator": "Alpha", "tags=y": "Alpha Beta",
		"tags=X": "Beta", "tags=z": "", "sort=name": "Alpha Beta", "sort=-name": "Beta Alpha", "sort=-name&limit=1": "Beta", "sort=name&offset=1": "Beta"} {
		a := s.do("GET", "/agents?workspace_id="+w.id+"&"+query, w.viewer.token, nil).expect(200)
		var page struct{ Items []struct{ Name string } }
		a.into(&page)
		var names []string
		for _, item := range page.Items {
			names = append(names, item.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	s.do("GET", "/agents?workspace_id="+w.id+"&limit=1", w.viewer.token, nil).expect(200).expectAt("total", 2)
	s.do("GET", "/agents?workspace_id="+w.id, w.stranger.token, nil).problem(404, "not_found")
}

func TestEveryFaultOfAnAgentIsToldAtOnceWithItsPlace(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	other := s.agent(p.token, s.personal(p), `"name":"Other"`)
	a := s.do("POST", "/agents", p.token, `{"name":" ","tools":["web_serch"],"model":["demo/scriptd","default"],"system_prompt":"{{ topc }} {{ trigger.x }}","variables":[{"name":"topic"},{"name":"input"}],
		"permissions":{"ask":["nothing"]},"sub_agents":["`+newID()+`","`+other+`","`+other+`"],"output_schema":{"type":5},"tags":["`+strings.Repeat("x", 65)+`"],"temperature":3}`).problem(422, "invalid")
	for _, want := range []string{"body.name", "did you mean web_search", "body.model[0]", "demo/scripted", "topc", "body.variables[1].name", "body.permissions.ask[0]",
		"body.sub_agents[0]", "body.sub_agents[2]", "body.output_schema", "body.tags[0]", "body.temperature"} {
		if !strings.Contains(string(a.Body), want) {
			t.Errorf("nothing about %s in %s", want, a.Body)
		}
	}
	a = s.do("POST", "/agents", p.token, `{"name":"X","nme":"Y","limits":{"max_steps":201},"type":"x"}`).problem(422, "invalid")
	for _, want := range []string{"body.nme", "body.limits.max_steps", "body.type"} {
		if !strings.Contains(string(a.Body), want) {
			t.Errorf("nothing about %s in %s", want, a.Body)
		}
	}
	s.do("POST", "/agents", p.token, `{"name":"X","system_prompt":"{{ trigger.x }}"}`).problem(422, "invalid")
	a = s.do("POST", "/agents", p.token, `{"name":"X","memory":{"window":2,"summary":true,"summary_at":0.05}}`).problem(422, "invalid")
	for _, want := range []string{"body.memory.window", "body.memory.summary_at"} {
		if !strings.Contains(string(a.Body), want) {
			t.Errorf("nothing about %s in %s", want, a.Body)
		}
	}
}

func TestAgentsMayNotCallEachOtherInACircleNorTooDeep(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	ws := s.personal(p)
	chain := []string{s.agent(p.token, ws, `"name":"A1"`)}
	for i := 2; i <= 5; i++ {
		chain = append(chain, s.agent(p.token, ws, fmt.Sprintf(`"name":"A%d","sub_agents":["%s"]`, i, chain[i-2])))
	}
	a := s.do("POST", "/agents", p.token, `{"name":"A6","sub_agents":["`+chain[4]+`"]}`).problem(422, "invalid")
	if !strings.Contains(string(a.Body), "A6 → A5 → A4 → A3 → A2 → A1") {
		t.Errorf("the chain is not named: %s", a.Body)
	}
	a = s.do("PATCH", "/agents/"+chain[0], p.token, `{"sub_agents":["`+chain[2]+`"]}`).problem(422, "invalid")
	if !strings.Contains(string(a.Body), "A1 → A3 → A2 → A1") {
		t.Errorf("the circle is not named: %s", a.Body)
	}
	below := s.agent(p.token, ws, `"name":"Below"`)
	if a = s.do("PATCH", "/agents/"+chain[0], p.token, `{"sub_agents":["`+below+`"]}`).problem(422, "invalid"); !strings.Contains(string(a.Body), "too_deep") && !strings.Contains(string(a.Body), "5 deep") {
		t.Errorf("a chain that grew at its end is taken: %s", a.Body)
	}
	s.do("PATCH", "/agents/"+chain[0], p.token, `{"handoffs":["`+chain[4]+`"]}`).expect(200)
	s.do("PATCH", "/agents/"+below, p.token, `{"sub_agents":["`+below+`"]}`).problem(422, "invalid")
	if a = s.do("DELETE", "/agents/"+chain[0], p.token, nil).problem(409, "conflict"); !strings.Contains(string(a.Body), "A2") {
		t.Errorf("who calls it is not named: %s", a.Body)
	}
}

func TestNodesRunSavedAgentsAndSayWhenOneIsNotThere(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	ws := s.personal(p)
	id := s.agent(p.token, ws, `"name":"Counter","model":"demo/scripted","tools":["calculator"],"system_prompt":"Count {{ what }}.","variables":[{"name":"what","default":"sheep"}],
		"script":[{"tool_calls":[{"name":"calculator","arguments":{"expression":"2+3"}}]},{"when":"5","text":"five"}]`)
	flow := func(agent string) string {
		return `{"name":"F","nodes":[{"id":"a","kind":"manual-trigger"},{"id":"g","kind":"agent","config":{"agent_id":"` + agent + `","prompt":"{{ trigger.x }}","variables":{"what":"{{ trigger.x }}"}}}],"connections":[{"source":"a","target":"g"}]}`
	}
	run := s.create(p.token, ws, flow(id)).text("id")
	s.do("POST", "/executions", p.token, map[string]any{"workflow_id": run, "wait": 20, "trigger_data": map[string]any{"x": "cats"}}).expect(200).expectAt("output.text", "five").expectAt("output.steps", 2)
	s.publish(p.token, run)
	lost := s.create(p.token, ws, flow(newID())).text("id")
	s.do("POST", "/workflows/"+lost+"/validate", p.token, nil).expect(200).expectAt("is_valid", false).expectAt("errors.0.code", "unknown_agent").expectAt("errors.0.node_id", "g")
	s.do("PATCH", "/workflows/"+lost+"/status", p.token, `{"status":"published"}`).problem(409, "conflict").expectAt("errors.0.location", "nodes[1].config.agent_id")
	s.do("POST", "/executions", p.token, map[string]any{"workflow_id": lost, "wait": 20, "trigger_data": map[string]any{"x": "cats"}}).expect(200).expectAt("error.code", "unknown_agent")
}

func TestAnAgentIsTriedWithItsWholeTrace(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id := s.agent(w.owner.token, w.id, `"name":"Sum","model":"demo/scripted","tools":["calculator","deploy"],"system_prompt":"{{ what }}","variables":[{"name":"what","required":true}],
		"script":[{"when":"ship","tool_calls":[{"name":"deploy","arguments":{"where":"here"}}]},{"when":"sum","tool_calls":[{"name":"calculator","arguments":{"expression":"2+3"}}]},{"when":"5","text":"five"}]`)
	a := s.do("POST", "/agents/"+id+"/test", w.editor.token, `{"input":"sum it","variables":{"what":"x"}}`).expect(200)
	a.expectAt("status", "completed").expectAt("output", "five").expectAt("steps.1.name", "turn-1").expectAt("steps.2.name", "turn-1/tool-1").expectAt("steps.2.output.text", "5").expectAt("cost_usd", 0)
	s.do("POST", "/agents/"+id+"/test", w.editor.token, `{"input":"ship it","variables":{"what":"x"}}`).expect(200).expectAt("status", "waiting").expectAt("asks.0.subject.tool", "deploy")
	s.do("POST", "/agents/"+id+"/test", w.editor.token, `{"input":"sum it"}`).problem(422, "invalid")
	s.do("POST", "/agents/"+id+"/test", w.editor.token, `{"input":"sum it","stream":true}`).problem(422, "invalid")
	s.do("POST", "/agents/"+id+"/test", w.viewer.token, `{"input":"sum it","variables":{"what":"x"}}`).problem(403, "forbidden")
	stream := string(s.do("POST", "/agents/"+id+"/test", w.editor.token, `{"input":"sum it","variables":{"what":"x"},"stream":true}`).expect(200).Body)
	at := 0
	for _, want := range []string{"event: step", "event: delta", `"kind":"tool_call"`, `"name":"turn-1"`, `"name":"turn-1/tool-1"`, "event: result\ndata: {\"status\":\"completed\",\"output\":\"five\""} {
		i := strings.Index(stream[at:], want)
		if i < 0 {
			t.Fatalf("no %s behind the first %d bytes of %s", want, at, stream)
		}
		at += i
	}
	failing := s.agent(w.owner.token, w.id, `"name":"Endless","model":"demo/scripted","tools":["calculator"],"limits":{"max_steps":1},"script":[{"tool_calls":[{"name":"calculator","arguments":{"expression":"1"}}]}]`)
	s.do("POST", "/agents/"+failing+"/test", w.editor.token, `{"input":"go"}`).expect(200).expectAt("status", "failed").expectAt("error.code", "step_limit").expectAt("steps.1.name", "turn-1")
}

func TestWhoStopsListeningStopsTheTrial(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	id := s.agent(p.token, s.personal(p), `"name":"Slow","model":"demo/scripted","script":[{"text":"now","delay_ms":600000}]`)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.http.URL+"/api/v1/agents/"+id+"/test", strings.NewReader(`{"input":"x","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cancel()
	s.http.CloseClientConnections()
	if err := s.server.Close(); err != nil { // waits for every stream
		t.Fatal(err)
	}
}
