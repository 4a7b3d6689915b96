package agent_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/agent"
	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/scripted"
	"agentstudio/internal/node"
	"agentstudio/internal/node/nodetest"
	"agentstudio/internal/tool"
)

// world is the models and tools of a test; it counts what is asked of them.
type world struct {
	window int
	price  *int64

	agents map[string]agent.Definition // saved ones, by id
	onAsk  func(n int)                 // hears of every question to a model, the first is 1

	mu       sync.Mutex
	asked    []llm.Request
	toolRuns map[string]int
	keys     []string
}

func (w *world) Model(names []string) (llm.Model, error) {
	if names[0] == "none/none" {
		return nil, fault.New(fault.NotFound, "there is no model none/none")
	}
	return w, nil
}

func (w *world) Find(_ context.Context, workspaceID, id string) (*agent.Agent, error) {
	d, known := w.agents[id]
	if !known || workspaceID != "w" {
		return nil, fault.New(fault.NotFound, "there is no such agent")
	}
	return &agent.Agent{ID: id, WorkspaceID: "w", Version: 1, Definition: d}, nil
}

func (w *world) ContextTokens([]string) int { return w.window }

func (w *world) Generate(ctx context.Context, req llm.Request, onPart func(llm.Part)) (*llm.Response, error) {
	w.mu.Lock()
	w.asked = append(w.asked, req)
	n := len(w.asked)
	w.mu.Unlock()
	if w.onAsk != nil {
		w.onAsk(n)
	}
	r, err := scripted.Provider{}.Generate(ctx, req, onPart)
	if r != nil {
		r.CostMicros = w.price
	}
	return r, err
}

type noteArgs struct {
	Text string `json:"text" jsonschema:"required"`
}

func (w *world) tools() *tool.Catalogue {
	define := func(name string, risk node.Risk, effect bool, answer string, err error) tool.Tool {
		return tool.Define(tool.Spec{Name: name, Title: name, Description: name, Risk: risk, Effect: effect},
			func(_ context.Context, c tool.Call, _ noteArgs) (tool.Result, error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				if w.toolRuns == nil {
					w.toolRuns = map[string]int{}
				}
				w.toolRuns[name]++
				w.keys = append(w.keys, c.Key)
				return tool.Result{Text: answer, Value: map[string]any{"said": answer}}, err
			})
	}
	count := tool.Define(tool.Spec{Name: "count", Title: "Count", Description: "count", Risk: node.RiskLow}, func(context.Context, tool.Call, noteArgs) (tool.Result, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.toolRuns == nil {
			w.toolRuns = map[string]int{}
		}
		w.toolRuns["count"]++
		return tool.Result{Value: w.toolRuns["count"]}, nil
	})
	off := define("off", node.RiskLow, false, "", nil)
	off.Configured = func() bool { return false }
	return tool.NewCatalogue(define("note", node.RiskLow, true, "noted", nil), define("look", node.RiskLow, false, "seen", nil),
		define("fire", node.RiskCritical, true, "fired", nil), define("broken", node.RiskLow, false, "", fault.New(fault.Upstream, "the service is down")), off, count)
}

func script(t *testing.T, lines ...any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(lines)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func says(text string) any { return map[string]any{"text": text} }

func calls(names ...string) any {
	list := []any{}
	for i, n := range names {
		list = append(list, map[string]any{"name": n, "arguments": map[string]any{"text": strings.Repeat("x", i+1)}})
	}
	return map[string]any{"tool_calls": list}
}

func (w *world) run(t *testing.T, host *nodetest.Host, s agent.Settings) (*agent.Output, error) {
	t.Helper()
	c := node.Call{Host: host, ExecutionID: "e", NodeID: "n", Key: "e/n/", WorkspaceID: "w"}
	return agent.NewRunner(w, w.tools(), agent.RunnerConfig{Saved: w}).Run(t.Context(), c, s, []llm.Block{{Type: llm.TextBlock, Text: "do it"}})
}

func wantCode(t *testing.T, err error, code, words string) {
	t.Helper()
	if f := fault.As(err); f == nil || f.Code != code || !strings.Contains(f.Message, words) {
		t.Fatalf("got %v, want code %s with %q", err, code, words)
	}
}

func TestAgentUsesToolsUntilItAnswers(t *testing.T) {
	micros := int64(250)
	w := &world{price: &micros}
	host := nodetest.New(nil)
	out, err := w.run(t, host, agent.Settings{Tools: []string{"note", "look"}, System: "be brief", Script: script(t, calls("look", "note"), calls("note"), says("done"))})
	if err != nil {
		t.Fatal(err)
	}
	if out.Text != "done" || out.Steps != 3 || !out.Demo || *out.CostMicros != 750 || out.Usage.Input == 0 || out.StopReason != llm.EndTurn {
		t.Errorf("got %+v", out)
	}
	if w.toolRuns["note"] != 2 || w.toolRuns["look"] != 1 {
		t.Errorf("tools ran %v", w.toolRuns)
	}
	last := w.asked[2].Messages
	if len(last) != 5 || last[2].Role != llm.Tool || last[2].Content[0].Text != "seen" || last[2].Content[1].Text != "noted" || w.asked[2].System != "be brief" {
		t.Errorf("the third turn was asked with %+v", last)
	}
	steps := host.Steps()
	if len(steps) != 6 || steps[0].Result.Usage.CostMicros != 250 || steps[0].Kind != "turn" {
		t.Errorf("recorded %+v", steps)
	}
	kinds := map[string]int{}
	for _, d := range host.Deltas() {
		kinds[d.Kind]++
	}
	if kinds["tool_call"] != 3 || kinds["tool_result"] != 3 || kinds["text"] == 0 {
		t.Errorf("streamed %v", kinds)
	}
}

func TestAnsweredTurnsAndFinishedToolsAreNotRepeatedAfterACrash(t *testing.T) {
	s := agent.Settings{Tools: []string{"note"}, Script: script(t, calls("note"), calls("note", "note"), says("done")), Permissions: agent.Permissions{Mode: agent.ModeAuto}}
	whole := nodetest.New(nil)
	first := &world{}
	if _, err := first.run(t, whole, s); err != nil {
		t.Fatal(err)
	}
	names := []string{"turn-1", "turn-1/tool-1", "turn-2", "turn-2/tool-1", "turn-2/tool-2", "turn-3"}
	for survived := range len(names) + 1 {
		host := nodetest.New(nil)
		for _, n := range names[:survived] {
			host.Recorded[n] = whole.Recorded[n]
		}
		w := &world{}
		out, err := w.run(t, host, s)
		if err != nil || out.Text != "done" || out.Steps != 3 {
			t.Fatalf("after %d steps: got %+v, %v", survived, out, err)
		}
		turns, tools := 0, 0
		for _, n := range names[survived:] {
			if strings.Contains(n, "tool") {
				tools++
			} else {
				turns++
			}
		}
		if len(w.asked) != turns || w.toolRuns["note"] != tools {
			t.Errorf("after %d steps: asked %d times and ran %d tools, want %d and %d", survived, len(w.asked), w.toolRuns["note"], turns, tools)
		}
		if tools > 0 && !strings.HasPrefix(w.keys[len(w.keys)-1], "e/n//turn-") {
			t.Errorf("the tool's key is %q", w.keys)
		}
	}
}

func TestLimitsEndTheRun(t *testing.T) {
	endless := make([]any, 30)
	for i := range endless {
		endless[i] = map[string]any{"tool_calls": []any{map[string]any{"name": "note", "arguments": map[string]any{"text": strings.Repeat("y", i)}}}}
	}
	tools := []string{"note"}
	w := &world{}
	_, err := w.run(t, nodetest.New(nil), agent.Settings{Tools: tools, Script: script(t, endless...)})
	wantCode(t, err, "step_limit", "20 steps")
	if len(w.asked) != 20 {
		t.Errorf("asked %d times", len(w.asked))
	}
	micros := int64(400)
	w = &world{price: &micros}
	_, err = w.run(t, nodetest.New(nil), agent.Settings{Tools: tools, Script: script(t, endless...), Limits: agent.Limits{MaxCost: 1000}})
	wantCode(t, err, "cost_limit", "$0.0010")
	if len(w.asked) != 3 {
		t.Errorf("asked %d times", len(w.asked))
	}
	host := nodetest.New(nil)
	_, err = (&world{}).run(t, host, agent.Settings{Tools: tools, Script: script(t, endless[0], says("x")), Limits: agent.Limits{MaxCost: 1000}})
	if err != nil || len(host.Logs()) != 1 || !strings.Contains(host.Logs()[0].Message, "not known") {
		t.Errorf("got %v and %v", err, host.Logs())
	}
	_, err = (&world{}).run(t, nodetest.New(nil), agent.Settings{Tools: tools, Script: script(t, calls("note"), calls("note"), calls("note"))})
	wantCode(t, err, "loop_detected", "3 times in a row")
}

func TestTimeLimitCountsFromTheFirstBeginning(t *testing.T) {
	host := nodetest.New(nil)
	began, err := json.Marshal(time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	host.Recorded["begin"] = began
	w := &world{}
	_, err = w.run(t, host, agent.Settings{Script: script(t, says("x")), Limits: agent.Limits{Timeout: time.Minute}})
	wantCode(t, err, "time_limit", "1m0s")
	if len(w.asked) != 0 {
		t.Error("the model was asked after the time was over")
	}
	_, err = w.run(t, nodetest.New(nil), agent.Settings{Script: script(t, map[string]any{"delay_ms": 60_000}), Limits: agent.Limits{Timeout: 30 * time.Millisecond}})
	wantCode(t, err, "time_limit", "30ms")
}

func TestStructuredOutputIsCheckedAndRepairedOnce(t *testing.T) {
	shape := json.RawMessage(`{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}},"additionalProperties":false}`)
	w := &world{}
	out, err := w.run(t, nodetest.New(nil), agent.Settings{OutputSchema: shape, Script: script(t, says(`{"n":"one"}`), says("```json\n{\"n\": 1}\n```"))})
	if err != nil || out.Data.(map[string]any)["n"] != 1.0 || out.Steps != 2 {
		t.Fatalf("got %+v, %v", out, err)
	}
	complaint := w.asked[1].Messages[2].Content[0].Text
	if !strings.Contains(complaint, "n: ") || !strings.Contains(w.asked[0].System, `"integer"`) {
		t.Errorf("the model was told %q", complaint)
	}
	_, err = (&world{}).run(t, nodetest.New(nil), agent.Settings{OutputSchema: shape, Script: script(t, says(`nonsense`), says(`{"m":1}`))})
	wantCode(t, err, "invalid_output", `"m"`)
	if _, err = (&world{}).run(t, nodetest.New(nil), agent.Settings{OutputSchema: json.RawMessage(`{"type":5}`)}); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestPermissionsAndFaultyCallsAreToldToTheModel(t *testing.T) {
	all := []string{"note", "look", "fire", "broken"}
	for name, c := range map[string]struct {
		tool        string
		args        any
		permissions agent.Permissions
		want        string
		failed      bool
	}{
		"risky, auto":      {"fire", nil, agent.Permissions{Mode: agent.ModeAuto}, "fired", false},
		"risky, allowed":   {"fire", nil, agent.Permissions{Allow: []string{"fire"}}, "fired", false},
		"deny wins":        {"note", nil, agent.Permissions{Mode: agent.ModeAuto, Allow: []string{"note"}, Deny: []string{"note"}}, "denied", true},
		"planning":         {"note", nil, agent.Permissions{Mode: agent.ModePlan}, "planning", true},
		"planning, looks":  {"look", nil, agent.Permissions{Mode: agent.ModePlan}, "seen", false},
		"fails":            {"broken", nil, agent.Permissions{}, "the service is down", true},
		"not there":        {"lok", nil, agent.Permissions{}, "did you mean look", true},
		"arguments":        {"look", map[string]any{"txt": 1}, agent.Permissions{}, `"txt"`, true},
		"arguments' types": {"look", map[string]any{"text": 1}, agent.Permissions{}, "text", true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.args == nil {
				c.args = map[string]any{"text": "x"}
			}
			w := &world{}
			_, err := w.run(t, nodetest.New(nil), agent.Settings{Tools: all, Permissions: c.permissions,
				Script: script(t, map[string]any{"tool_calls": []any{map[string]any{"name": c.tool, "arguments": c.args}}}, says("ok"))})
			if err != nil {
				t.Fatal(err)
			}
			got := w.asked[1].Messages[2].Content[0]
			if !strings.Contains(got.Text, c.want) || got.Failed != c.failed {
				t.Errorf("the model was told %q (failed %t)", got.Text, got.Failed)
			}
		})
	}
}

func TestUnknownModelsAndToolsAreRefusedBeforeAnythingIsAsked(t *testing.T) {
	for _, s := range []agent.Settings{{Models: []string{"none/none"}}, {Tools: []string{"nte"}}, {Tools: []string{"off"}}} {
		w := &world{}
		if _, err := w.run(t, nodetest.New(nil), s); fault.As(err) == nil || len(w.asked) > 0 {
			t.Errorf("%+v: got %v", s, err)
		}
	}
}

func TestRefusalsAndFailuresEndTheRun(t *testing.T) {
	_, err := (&world{}).run(t, nodetest.New(nil), agent.Settings{Script: script(t, map[string]any{"refuse": true})})
	wantCode(t, err, "refused", "refused")
	_, err = (&world{}).run(t, nodetest.New(nil), agent.Settings{Script: script(t, map[string]any{"error": map[string]any{"code": "overloaded"}})})
	wantCode(t, err, "overloaded", "overloaded")
}

func TestConversationStaysInsideTheModelsWindow(t *testing.T) {
	lines := []any{}
	for i := range 12 {
		lines = append(lines, map[string]any{"text": strings.Repeat("word ", 100), "tool_calls": []any{map[string]any{"name": "look", "arguments": map[string]any{"text": strings.Repeat("z", 300+i)}}}})
	}
	lines = append(lines, says("end"))
	w := &world{window: 2000}
	host := nodetest.New(nil)
	out, err := w.run(t, host, agent.Settings{Tools: []string{"look"}, MaxTokens: 200, Script: script(t, lines...)})
	if err != nil {
		t.Fatal(err)
	}
	if out.Text != "end" || out.Steps != 13 {
		t.Errorf("got %+v", out)
	}
	for i, req := range w.asked {
		size := 0
		for _, m := range req.Messages {
			for _, b := range m.Content {
				size += len(b.Text) + len(b.Arguments)
			}
		}
		if size > 3*2000 || req.Messages[0].Content[0].Text != "do it" {
			t.Errorf("turn %d was asked with %d bytes", i+1, size)
		}
	}
	if len(host.Logs()) == 0 || !strings.Contains(host.Logs()[0].Message, "left out") {
		t.Errorf("the trace does not show what was cut: %v", host.Logs())
	}
	w = &world{}
	if _, err := w.run(t, nodetest.New(nil), agent.Settings{Tools: []string{"look"}, Window: 1, Script: script(t, calls("look"), calls("look"))}); err == nil {
		if n := len(w.asked[len(w.asked)-1].Messages); n > 3 {
			t.Errorf("a window of one turn holds %d messages", n)
		}
	}
}

// short answers every turn as a model that ran out of tokens in a tool call,
// until it is shown what is wrong.
type short struct{ asked []llm.Request }

func (s *short) Model([]string) (llm.Model, error) { return s, nil }

func (s *short) ContextTokens([]string) int { return 0 }

func (s *short) Generate(_ context.Context, req llm.Request, _ func(llm.Part)) (*llm.Response, error) {
	s.asked = append(s.asked, req)
	r := &llm.Response{Model: "x/y", StopReason: llm.MaxTokens, Message: llm.Message{Role: llm.Assistant, Content: []llm.Block{{Type: llm.ToolCallBlock, ID: "1", Name: "note", Arguments: json.RawMessage(`{"te`)}}}}
	if len(s.asked) == 2 {
		r.StopReason, r.Message.Content = llm.EndTurn, []llm.Block{{Type: llm.TextBlock, Text: `{"n":1}`}}
	}
	return r, nil
}

func TestCallsOfAnAnswerThatWasCutShortAreNotLeftUnanswered(t *testing.T) {
	s := &short{}
	c := node.Call{Host: nodetest.New(nil), Key: "e/n/"}
	out, err := agent.NewRunner(s, tool.NewCatalogue(), agent.RunnerConfig{}).Run(t.Context(), c, agent.Settings{OutputSchema: json.RawMessage(`{"type":"object","required":["n"]}`)}, []llm.Block{{Type: llm.TextBlock, Text: "x"}})
	if err != nil || out.Data == nil {
		t.Fatalf("got %+v, %v", out, err)
	}
	for _, m := range s.asked[1].Messages {
		for _, b := range m.Content {
			if b.Type == llm.ToolCallBlock {
				t.Error("a call that nobody answers was sent back")
			}
		}
	}
}
