package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/agent"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
	"agentstudio/internal/node/nodetest"
	"agentstudio/internal/tool"
	"agentstudio/internal/usage"
)

// asks is a line of a script that calls tools with the arguments given.
func asks(pairs ...string) any {
	list := []any{}
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, map[string]any{"name": pairs[i], "arguments": json.RawMessage(pairs[i+1])})
	}
	return map[string]any{"tool_calls": list}
}

// saved is an agent that answers from a script.
func saved(t *testing.T, name string, tools []string, lines ...any) agent.Definition {
	t.Helper()
	return agent.Definition{Name: name, Role: agent.Specialist, Tools: tools, Permissions: agent.Permissions{Mode: agent.ModeAuto}, Script: script(t, lines...)}
}

// office is a coordinator with two specialists, one of whom has a helper.
func office(t *testing.T) (*world, agent.Settings) {
	t.Helper()
	writer := saved(t, "Der Writer!", []string{"note"}, calls("note"), asks("agent_helper", `{"task":"help","variables":{"tone":"calm"}}`), says("written"))
	writer.SubAgents = []string{"helper"}
	helper := saved(t, "Helper", []string{"look"}, calls("look"), says("helped"))
	helper.Variables = []agent.Variable{{Name: "tone", Required: true}}
	helper.SystemPrompt = "Be {{ tone }}."
	judge := saved(t, "Judge", nil, map[string]any{"json": map[string]any{"valid": false, "problems": []string{"thin"}}})
	judge.Role = agent.Validator
	w := &world{agents: map[string]agent.Definition{"writer": writer, "helper": helper, "judge": judge}}
	return w, agent.Settings{SubAgents: []string{"writer", "judge"}, Permissions: agent.Permissions{Mode: agent.ModeAuto},
		Script: script(t, asks("agent_der_writer", `{"task":"write"}`, "agent_judge", `{"task":"judge"}`), says("all done"))}
}

func TestAgentsGiveTasksToOthers(t *testing.T) {
	w, s := office(t)
	host := nodetest.New(nil)
	out, err := w.run(t, host, s)
	if err != nil || out.Text != "all done" || out.Steps != 2 || out.Agent != "" {
		t.Fatalf("got %+v, %v", out, err)
	}
	if len(w.asked) != 8 || w.toolRuns["note"] != 1 || w.toolRuns["look"] != 1 {
		t.Errorf("asked %d times, tools ran %v", len(w.asked), w.toolRuns)
	}
	for name, want := range map[string]string{"turn-1/tool-1": `"agent":"Der Writer!"`, "turn-1/tool-1/turn-2/tool-1/turn-1/tool-1": "seen", "turn-1/tool-1/turn-2/tool-1": "helped",
		"turn-1/tool-2": `thin`, "turn-1/tool-2/turn-1": "valid"} {
		if !strings.Contains(string(host.Recorded[name]), want) {
			t.Errorf("the step %s holds %s", name, host.Recorded[name])
		}
	}
	used := node.Usage{}
	for _, step := range host.Steps() {
		used = used.Add(step.Result.Usage)
	}
	if out.Usage.Input != used.Input || out.Usage.Output != used.Output {
		t.Errorf("the output counts %+v, the steps %+v", out.Usage, used)
	}
	for _, req := range w.asked {
		if req.Caller.Agent == "helper" && req.System != "Be calm." || req.Caller.Agent == "judge" && (!strings.HasPrefix(req.System, "You validate") || req.OutputSchema == nil) {
			t.Errorf("%s was told %q", req.Caller.Agent, req.System)
		}
	}
	named := false
	for _, d := range host.Deltas() {
		named = named || d.Agent == "Helper" && d.Step == "turn-1/tool-1/turn-2/tool-1"
	}
	if !named {
		t.Error("what a called agent says does not carry its name")
	}
}

// TestKilledInAnyStepTheRunGoesOnThere: no answered turn is asked twice, no
// finished tool called again, in none of the agents.
func TestKilledInAnyStepTheRunGoesOnThere(t *testing.T) {
	w, s := office(t)
	whole := nodetest.New(nil)
	want, err := w.run(t, whole, s)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	turns, tools := map[string]bool{}, map[string]bool{}
	for _, step := range whole.Steps() {
		names = append(names, step.Name)
		turns[step.Name], tools[step.Name] = step.Kind == "turn", step.Kind == "tool"
	}
	for survived := range len(names) + 1 {
		w, _ := office(t)
		host := whole.Next(append([]string{}, names[:survived]...)...)
		if survived == 0 {
			host = nodetest.New(nil)
		}
		out, err := w.run(t, host, s)
		if err != nil || out.Text != want.Text || out.Usage != want.Usage {
			t.Fatalf("after %v: got %+v, %v", names[:survived], out, err)
		}
		asked, ran := 0, 0
		for _, name := range names[survived:] {
			if turns[name] {
				asked++
			}
			if tools[name] {
				ran++
			}
		}
		if len(w.asked) != asked || w.toolRuns["note"]+w.toolRuns["look"] != ran {
			t.Errorf("after %v: asked %d times and ran %v, want %d and %d", names[:survived], len(w.asked), w.toolRuns, asked, ran)
		}
	}
}

func endless(tool string) []any {
	lines := make([]any, 60)
	for i := range lines {
		lines[i] = asks(tool, fmt.Sprintf(`{"text":"%d"}`, i))
	}
	return lines
}

// TestNoLimitIsPassedByOneCall: a model that always asks for a tool, alone or
// among agents, stops exactly at each limit.
func TestNoLimitIsPassedByOneCall(t *testing.T) {
	micros := int64(100)
	for name, c := range map[string]struct {
		limits agent.Limits
		child  agent.Limits
		code   string
		alone  int // calls of an agent that works alone
	}{
		"steps":           {limits: agent.Limits{MaxSteps: 7}, code: "step_limit", alone: 7},
		"one step":        {limits: agent.Limits{MaxSteps: 1}, code: "step_limit", alone: 1},
		"cost":            {limits: agent.Limits{MaxCost: 500}, code: "cost_limit", alone: 5},
		"cost in between": {limits: agent.Limits{MaxCost: 450}, code: "cost_limit", alone: 5},
		"tokens":          {limits: agent.Limits{MaxTokens: 1}, code: "token_limit", alone: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{price: &micros}
			_, err := w.run(t, nodetest.New(nil), agent.Settings{Tools: []string{"note"}, Script: script(t, endless("note")...), Limits: c.limits})
			wantCode(t, err, c.code, "reached its limit")
			if len(w.asked) != c.alone {
				t.Errorf("alone it was asked %d times, want %d", len(w.asked), c.alone)
			}
			child := saved(t, "Child", []string{"note"}, endless("note")...)
			w = &world{price: &micros, agents: map[string]agent.Definition{"child": child}}
			host := nodetest.New(nil)
			settings := agent.Settings{SubAgents: []string{"child"}, Limits: c.limits,
				Script: script(t, asks("agent_child", `{"task":"a"}`, "agent_child", `{"task":"b"}`, "agent_child", `{"task":"c"}`))}
			_, err = w.run(t, host, settings)
			wantCode(t, err, c.code, "reached its limit")
			// With calls under way at once, those that had begun may end; none begins after.
			most := c.alone
			if c.code != "step_limit" {
				most += 2
			}
			if n := len(w.asked); n > most || n < c.alone {
				t.Errorf("with others it was asked %d times, want %d to %d", n, c.alone, most)
			}
			before := len(w.asked)
			if _, err = w.run(t, host.Next(), settings); err == nil || len(w.asked) != before {
				t.Errorf("taken up again it was asked %d times more (%v)", len(w.asked)-before, err)
			}
		})
	}
}

func TestAnAgentsOwnLimitIsToldToWhoCalledIt(t *testing.T) {
	child := saved(t, "Child", []string{"note"}, endless("note")...)
	child.Limits.MaxSteps = 2
	w := &world{agents: map[string]agent.Definition{"child": child}}
	out, err := w.run(t, nodetest.New(nil), agent.Settings{SubAgents: []string{"child"}, Script: script(t, asks("agent_child", `{"task":"a"}`), says("so be it"))})
	if err != nil || out.Text != "so be it" || len(w.asked) != 4 {
		t.Fatalf("got %+v, %v after %d calls", out, err, len(w.asked))
	}
	if said := w.asked[3].Messages[2].Content[0]; !said.Failed || !strings.Contains(said.Text, "the agent Child reached its limit of 2 steps") {
		t.Errorf("who called it was told %+v", said)
	}
}

func TestTheTimeOfWhoCalledBoundsAnAgent(t *testing.T) {
	child := saved(t, "Child", nil, map[string]any{"delay_ms": 60_000})
	w := &world{agents: map[string]agent.Definition{"child": child}}
	_, err := w.run(t, nodetest.New(nil), agent.Settings{SubAgents: []string{"child"}, Limits: agent.Limits{Timeout: 50 * time.Millisecond}, Script: script(t, asks("agent_child", `{"task":"a"}`))})
	wantCode(t, err, "time_limit", "50ms")
	if len(w.asked) != 2 {
		t.Errorf("asked %d times", len(w.asked))
	}
}

func TestOnlyEqualCallsWithEqualResultsAreALoop(t *testing.T) {
	same := asks("note", `{"text":"x"}`)
	w := &world{}
	_, err := w.run(t, nodetest.New(nil), agent.Settings{Tools: []string{"note"}, Script: script(t, same, same, same, same, says("x"))})
	wantCode(t, err, "loop_detected", "3 times in a row")
	if len(w.asked) != 3 || w.toolRuns["note"] != 3 {
		t.Errorf("asked %d times, ran %v", len(w.asked), w.toolRuns)
	}
	count := asks("count", `{"text":"x"}`)
	w = &world{}
	out, err := w.run(t, nodetest.New(nil), agent.Settings{Tools: []string{"count"}, Script: script(t, count, count, count, count, count, says("counted"))})
	if err != nil || out.Text != "counted" || w.toolRuns["count"] != 5 {
		t.Fatalf("a loop whose results change was broken: %+v, %v, %v", out, err, w.toolRuns)
	}
	other := asks("note", `{"text":"y"}`)
	if out, err = (&world{}).run(t, nodetest.New(nil), agent.Settings{Tools: []string{"note"}, Script: script(t, same, same, other, same, same, says("fine"))}); err != nil || out.Text != "fine" {
		t.Fatalf("calls that are not in a row were taken for a loop: %+v, %v", out, err)
	}
}

func TestAnAgentIsNeverFreerThanWhoCallsIt(t *testing.T) {
	for name, c := range map[string]struct {
		parent agent.Permissions
		want   string
	}{
		"denied above":   {agent.Permissions{Mode: agent.ModeAuto, Deny: []string{"fire"}}, "denied"},
		"planning above": {agent.Permissions{Mode: agent.ModePlan}, "planning"},
		"free above":     {agent.Permissions{Mode: agent.ModeAuto}, "fired"},
		"bypass above":   {agent.Permissions{Mode: agent.ModeBypass, Ask: []string{"fire"}}, "fired"},
		"denied, bypass": {agent.Permissions{Mode: agent.ModeBypass, Deny: []string{"fire"}}, "denied"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{agents: map[string]agent.Definition{"child": saved(t, "Child", []string{"fire"}, calls("fire"), says("ok"))}}
			if _, err := w.run(t, nodetest.New(nil), agent.Settings{SubAgents: []string{"child"}, Permissions: c.parent, Script: script(t, asks("agent_child", `{"task":"a"}`), says("ok"))}); err != nil {
				t.Fatal(err)
			}
			if got := w.asked[2].Messages[2].Content[0].Text; !strings.Contains(got, c.want) {
				t.Errorf("the agent was told %q", got)
			}
		})
	}
	// A mode that asks above asks for the tools of those below.
	w := &world{agents: map[string]agent.Definition{"child": saved(t, "Child", []string{"fire"}, calls("fire"), says("ok"))}}
	host := nodetest.New(nil)
	s := agent.Settings{SubAgents: []string{"child"}, Script: script(t, asks("agent_child", `{"task":"a"}`), says("all ok"))}
	out, err := w.run(t, host, s)
	if err != nil || len(out.Asks) != 1 || out.Asks[0].Name != "turn-1/tool-1/turn-1/tool-1" || !strings.HasPrefix(out.Asks[0].Message, "Child wants") {
		t.Fatalf("got %+v, %v", out, err)
	}
	next := host.Next()
	next.Answers = map[string]node.Answer{out.Asks[0].Name: {Decision: node.Approved, Asked: time.Now().Add(-time.Hour), At: time.Now()}}
	if out, err = w.run(t, next, s); err != nil || out.Text != "all ok" || w.toolRuns["fire"] != 1 || len(w.asked) != 4 {
		t.Errorf("got %+v, %v after %d calls, %v", out, err, len(w.asked), w.toolRuns)
	}
}

func TestAConversationIsHandedOver(t *testing.T) {
	make := func() (*world, agent.Settings) {
		desk := saved(t, "Refunds", []string{"note"}, map[string]any{"when": "handed over", "tool_calls": []any{map[string]any{"name": "note", "arguments": map[string]any{"text": "x"}}}},
			map[string]any{"when": "noted", "text": "refunded"})
		w := &world{agents: map[string]agent.Definition{"refunds": desk}}
		return w, agent.Settings{Tools: []string{"look"}, Handoffs: []string{"refunds"},
			Script: script(t, asks("look", `{"text":"x"}`), asks("look", `{"text":"y"}`, "handoff_refunds", `{"reason":"money"}`, "handoff_refunds", `{"reason":"again"}`))}
	}
	w, s := make()
	host := nodetest.New(nil)
	out, err := w.run(t, host, s)
	if err != nil || out.Text != "refunded" || out.Agent != "Refunds" || len(w.asked) != 4 || w.toolRuns["look"] != 2 {
		t.Fatalf("got %+v, %v after %d calls, %v", out, err, len(w.asked), w.toolRuns)
	}
	words, err := json.Marshal(w.asked[2].Messages)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"do it", "used look with", "look answered: seen", "because: money"} {
		if !strings.Contains(string(words), want) {
			t.Errorf("nothing about %q in what was handed over: %s", want, words)
		}
	}
	for i, m := range w.asked[2].Messages {
		if i > 0 && m.Role == w.asked[2].Messages[i-1].Role || m.Role == llm.Tool {
			t.Errorf("message %d is one of the %s", i, m.Role)
		}
	}
	for i := range host.Steps() {
		var names []string
		for _, step := range host.Steps()[:i+1] {
			names = append(names, step.Name)
		}
		again, _ := make()
		if got, err := again.run(t, host.Next(names...), s); err != nil || got.Text != "refunded" || got.Agent != "Refunds" || got.Usage != out.Usage {
			t.Errorf("after %v: got %+v, %v", names, got, err)
		}
	}
}

func TestHandingBackAndForthEnds(t *testing.T) {
	pass := func(to string) []any {
		return append(slices.Repeat([]any{asks("handoff_"+to, `{"reason":"yours"}`)}, 5), says("enough"))
	}
	there, back := saved(t, "There", nil, pass("back")...), saved(t, "Back", nil, pass("there")...)
	there.Handoffs, back.Handoffs = []string{"back"}, []string{"there"}
	w := &world{agents: map[string]agent.Definition{"there": there, "back": back}}
	host := nodetest.New(nil)
	if _, err := w.run(t, host, agent.Settings{AgentID: "back", Limits: agent.Limits{MaxSteps: 12}}); err != nil {
		t.Fatal(err)
	}
	deepest := 0
	for _, req := range w.asked {
		if len(req.Tools) == 0 {
			deepest++
		}
	}
	if deepest == 0 || len(host.Logs()) == 0 || !strings.Contains(host.Logs()[0].Message, "5 agents deep") {
		t.Errorf("nobody was refused further agents in %d turns: %v", len(w.asked), host.Logs())
	}
}

func TestCancellingReachesTheAgentsThatWereCalled(t *testing.T) {
	child := saved(t, "Child", nil, map[string]any{"delay_ms": 60_000})
	w := &world{agents: map[string]agent.Definition{"child": child}}
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	w.onAsk = func(n int) {
		if n == 3 {
			cancel(stopped)
		}
	}
	c := node.Call{Host: nodetest.New(nil), WorkspaceID: "w"}
	s := agent.Settings{SubAgents: []string{"child"}, Script: script(t, asks("agent_child", `{"task":"a"}`, "agent_child", `{"task":"b"}`), says("never"))}
	_, err := agent.NewRunner(w, w.tools(), agent.RunnerConfig{Saved: w}).Run(ctx, c, s, []llm.Block{{Type: llm.TextBlock, Text: "do it"}})
	if !errors.Is(err, stopped) || len(w.asked) != 3 {
		t.Errorf("got %v after %d calls", err, len(w.asked))
	}
}

func TestASubAgentThatIsGoneIsNamed(t *testing.T) {
	_, err := (&world{}).run(t, nodetest.New(nil), agent.Settings{SubAgents: []string{"nobody"}})
	wantCode(t, err, "unknown_agent", "nobody")
	_, err = (&world{}).run(t, nodetest.New(nil), agent.Settings{AgentID: "nobody"})
	wantCode(t, err, "unknown_agent", "nobody")
}

// book keeps the records of a test.
type book struct {
	mu      sync.Mutex
	records []usage.Record
}

func (b *book) Record(_ context.Context, r usage.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, r)
}

func TestEveryCallOfAToolIsInTheLedgerWithWhoMadeIt(t *testing.T) {
	w, s := office(t)
	lead := agent.Definition{Name: "Lead", SubAgents: s.SubAgents, Script: s.Script}
	w.agents["lead"] = lead
	b := &book{}
	c := node.Call{Host: nodetest.New(nil), WorkspaceID: "w", ExecutionID: "e", APIKeyID: "k"}
	if _, err := agent.NewRunner(w, w.tools(), agent.RunnerConfig{Saved: w, Gate: tool.NewGate(tool.GateConfig{Ledger: b})}).Run(t.Context(), c, agent.Settings{AgentID: "lead"}, []llm.Block{{Type: llm.TextBlock, Text: "do it"}}); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range b.records {
		got[r.Tool] = fmt.Sprintln(r.Above, r.Agent, r.APIKeyID, r.ExecutionID, r.Outcome)
	}
	if len(b.records) != 2 || got["note"] != "[lead] writer k e answered\n" || got["look"] != "[lead writer] helper k e answered\n" {
		t.Errorf("the ledger holds %v", got)
	}
	for _, req := range w.asked {
		if req.Caller.Agent == "helper" && (!slices.Equal(req.Caller.Above, []string{"lead", "writer"}) || req.Caller.APIKeyID != "k") {
			t.Errorf("the model was asked for %+v", req.Caller)
		}
	}
}

// TestNoCallIsMadeAfterTheTimeIsOver: each answer takes ten seconds, and the
// model always asks for a tool.
func TestNoCallIsMadeAfterTheTimeIsOver(t *testing.T) {
	passed := time.Duration(0)
	w := &world{onAsk: func(int) { passed += 10 * time.Second }}
	began := time.Now()
	runner := agent.NewRunner(w, w.tools(), agent.RunnerConfig{Now: func() time.Time { return began.Add(passed) }})
	host := nodetest.New(nil)
	run := func(host *nodetest.Host) error {
		call := node.Call{Host: host, ExecutionID: "e", NodeID: "n", Key: "e/n/", WorkspaceID: "w"}
		_, err := runner.Run(t.Context(), call, agent.Settings{Tools: []string{"note"}, Script: script(t, endless("note")...), Limits: agent.Limits{Timeout: 35 * time.Second, MaxSteps: 100}}, []llm.Block{{Type: llm.TextBlock, Text: "go"}})
		return err
	}
	// The fourth question is asked at second 30; its tool would run at second 40.
	wantCode(t, run(host), "time_limit", "35s")
	if len(w.asked) != 4 || w.toolRuns["note"] != 3 {
		t.Errorf("asked %d times, ran %v", len(w.asked), w.toolRuns)
	}
	wantCode(t, run(host.Next()), "time_limit", "35s")
	if len(w.asked) != 4 {
		t.Errorf("taken up again it was asked %d times", len(w.asked))
	}
}
