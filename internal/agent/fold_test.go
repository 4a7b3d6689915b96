package agent_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"agentstudio/internal/agent"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/scripted"
	"agentstudio/internal/node"
	"agentstudio/internal/node/nodetest"
)

// archivist is a world whose model sums up what it is asked to: it says how
// many characters it was shown and carries on the summary before.
type archivist struct {
	*world
	sums []llm.Request
	dumb bool // it gives no summary
}

func (a *archivist) Model([]string) (llm.Model, error) { return a, nil }

func (a *archivist) Generate(ctx context.Context, req llm.Request, onPart func(llm.Part)) (*llm.Response, error) {
	if !strings.Contains(req.System, "Sum up") {
		return a.world.Generate(ctx, req, onPart)
	}
	a.sums = append(a.sums, req)
	line := fmt.Sprintf(`[{"text":"summary %d"}]`, len(a.sums))
	if a.dumb {
		line = `[{"refuse":true}]`
	}
	req.Script = []byte(line)
	r, err := scripted.Provider{}.Generate(ctx, req, onPart)
	r.CostMicros = a.price
	return r, err
}

func (a *archivist) run(t *testing.T, host *nodetest.Host, s agent.Settings) (*agent.Output, error) {
	t.Helper()
	c := node.Call{Host: host, ExecutionID: "e", NodeID: "n", Key: "e/n/", WorkspaceID: "w", UserID: "u"}
	return agent.NewRunner(a, a.tools(), agent.RunnerConfig{Saved: a.world}).Run(t.Context(), c, s, []llm.Block{{Type: llm.TextBlock, Text: "do it"}})
}

// long is a script of turns that each say much.
func long(t *testing.T, turns int) agent.Settings {
	t.Helper()
	var lines []any
	for i := range turns {
		lines = append(lines, map[string]any{"text": fmt.Sprintf("turn %d %s", i+1, strings.Repeat("word ", 100)), "tool_calls": []any{map[string]any{"name": "note", "arguments": map[string]any{"text": strings.Repeat("z", 300+i)}}}})
	}
	return agent.Settings{Tools: []string{"note"}, MaxTokens: 200, Summary: true, SummaryAt: 0.5, Limits: agent.Limits{MaxSteps: 100}, Script: script(t, append(lines, says("end"))...)}
}

func TestOlderTurnsAreFoldedIntoARunningSummary(t *testing.T) {
	micros := int64(100)
	a := &archivist{world: &world{window: 4000, price: &micros}}
	host := nodetest.New(nil)
	out, err := a.run(t, host, long(t, 14))
	if err != nil || out.Text != "end" {
		t.Fatalf("got %+v, %v", out, err)
	}
	if len(a.sums) < 2 {
		t.Fatalf("summed up %d times", len(a.sums))
	}
	last := a.asked[len(a.asked)-1]
	first := last.Messages[0].Content
	if len(first) != 2 || first[0].Text != "do it" || !strings.Contains(first[1].Text, fmt.Sprintf("summary %d", len(a.sums))) || last.Messages[1].Role != llm.Assistant {
		t.Errorf("the last turn was asked with %+v", first)
	}
	second := a.sums[1]
	if text := second.Messages[0].Content[0].Text; !strings.Contains(text, "summary 1") || !strings.Contains(text, "Task: do it") || second.Caller.UserID != "u" || len(text) > 3*4000 {
		t.Errorf("the second summary was made of %d bytes: %.300s", len(text), text)
	}
	for i, req := range a.asked {
		size := 0
		for _, m := range req.Messages {
			for _, b := range m.Content {
				size += len(b.Text) + len(b.Arguments)
			}
		}
		if size > 3*4000 {
			t.Errorf("turn %d was asked with %d bytes", i+1, size)
		}
	}
	// The summaries are calls like others: in the trace, with their cost.
	compactions := 0
	for _, step := range host.Steps() {
		if step.Kind == "compaction" {
			compactions++
			if step.Result.Usage.CostMicros != 100 || step.Result.Usage.Output == 0 || step.Input == nil {
				t.Errorf("the trace has %+v", step)
			}
		}
	}
	if calls := len(a.asked) + len(a.sums); compactions != len(a.sums) || *out.CostMicros != int64(calls)*100 {
		t.Errorf("%d compactions in the trace of %d; %d calls cost %d", compactions, len(a.sums), calls, *out.CostMicros)
	}
	if logs := host.Logs(); len(logs) != len(a.sums) || !strings.Contains(logs[0].Message, "older turns") {
		t.Errorf("the log says %+v", logs)
	}
}

// TestASummaryIsPaidForOnce: the process dies after each step in turn.
func TestASummaryIsPaidForOnce(t *testing.T) {
	whole := &archivist{world: &world{window: 4000}}
	host := nodetest.New(nil)
	settings := long(t, 10)
	if _, err := whole.run(t, host, settings); err != nil || len(whole.sums) == 0 {
		t.Fatal(err, len(whole.sums))
	}
	steps := host.Steps()
	for n := range steps {
		var names []string
		turns, sums := 0, 0
		for _, step := range steps[:n] {
			names = append(names, step.Name)
			switch step.Kind {
			case "turn":
				turns++
			case "compaction":
				sums++
			}
		}
		if n == 0 {
			names = []string{"none"}
		}
		again := &archivist{world: &world{window: 4000}}
		out, err := again.run(t, host.Next(names...), settings)
		if err != nil || out.Text != "end" || len(again.sums) != len(whole.sums)-sums || len(again.asked) != len(whole.asked)-turns {
			t.Fatalf("after %d steps it summed up %d times and asked %d times (%v)", n, len(again.sums), len(again.asked), err)
		}
		if got, want := fmt.Sprint(again.asked[len(again.asked)-1].Messages[0]), fmt.Sprint(whole.asked[len(whole.asked)-1].Messages[0]); sums == len(whole.sums) && got != want {
			t.Errorf("after %d steps the summary is %s, want %s", n, got, want)
		}
	}
}

func TestSummariesStayWithinTheLimits(t *testing.T) {
	a := &archivist{world: &world{window: 4000}}
	settings := long(t, 30)
	settings.Limits.MaxSteps = 12
	host := nodetest.New(nil)
	_, err := a.run(t, host, settings)
	wantCode(t, err, "step_limit", "12 steps")
	if calls := len(a.asked) + len(a.sums); calls != 12 || len(a.sums) == 0 {
		t.Errorf("%d calls, %d of them summaries", calls, len(a.sums))
	}
	_, err = a.run(t, host.Next(), settings)
	wantCode(t, err, "step_limit", "12 steps")
	if calls := len(a.asked) + len(a.sums); calls != 12 {
		t.Errorf("taken up again: %d calls", calls)
	}
	// A model that gives no summary is asked for one once; what is too long is cut.
	a = &archivist{world: &world{window: 4000}, dumb: true}
	host = nodetest.New(nil)
	if out, err := a.run(t, host, long(t, 20)); err != nil || out.Text != "end" || len(a.sums) != 1 {
		t.Errorf("got %+v, %v after %d summaries", out, err, len(a.sums))
	}
}
