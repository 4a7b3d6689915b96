package agent_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/agent"
	"agentstudio/internal/node"
	"agentstudio/internal/node/nodetest"
)

func TestAPersonIsAskedBeforeAToolIsUsed(t *testing.T) {
	s := agent.Settings{Tools: []string{"note", "look", "fire"}, Permissions: agent.Permissions{Ask: []string{"look"}}, Script: script(t, calls("note", "fire", "look"), says("done"))}
	w, host := &world{}, nodetest.New(nil)
	out, err := w.run(t, host, s)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Asks) != 2 || out.Asks[0].Name != "turn-1/tool-2" || out.Asks[1].Name != "turn-1/tool-3" || !strings.Contains(out.Asks[0].Message, "fire") {
		t.Fatalf("asks %+v", out.Asks)
	}
	if w.toolRuns["note"] != 1 || w.toolRuns["fire"]+w.toolRuns["look"] != 0 {
		t.Fatalf("tools ran %v", w.toolRuns)
	}
	host.Answers = map[string]node.Answer{"turn-1/tool-3": {Decision: node.Rejected, Comment: "not now"}}
	if out, err = w.run(t, host, s); err != nil || len(out.Asks) != 1 {
		t.Fatalf("got %+v, %v", out, err)
	}
	host.Answers["turn-1/tool-2"] = node.Answer{Decision: node.Approved, Data: map[string]any{"text": "edited"}}
	if out, err = w.run(t, host, s); err != nil || out.Text != "done" {
		t.Fatalf("got %+v, %v", out, err)
	}
	if len(w.asked) != 2 || w.toolRuns["note"] != 1 || w.toolRuns["fire"] != 1 || w.toolRuns["look"] != 0 {
		t.Errorf("asked %d times, tools ran %v", len(w.asked), w.toolRuns)
	}
	told := w.asked[1].Messages[2].Content
	if told[0].Text != "noted" || told[1].Text != "fired" || !told[2].Failed || !strings.Contains(told[2].Text, "not now") {
		t.Errorf("the model was told %+v", told)
	}
	var names []string
	for _, step := range host.Steps() {
		names = append(names, step.Name)
	}
	if want := []string{"turn-1", "turn-1/tool-1", "turn-1/tool-3", "turn-1/tool-2", "turn-2"}; !slices.Equal(names, want) {
		t.Errorf("steps were %v", names)
	}
}

func TestCallsThatCannotBeMadeAskNobody(t *testing.T) {
	w := &world{}
	out, err := w.run(t, nodetest.New(nil), agent.Settings{Tools: []string{"fire"}, Script: script(t, map[string]any{"tool_calls": []any{
		map[string]any{"name": "fire", "arguments": map[string]any{"text": 1}}}}, says("ok"))})
	if err != nil || out.Text != "ok" || len(out.Asks) > 0 {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestWaitingForAPersonDoesNotCountAgainstTheLimitOfTime(t *testing.T) {
	now := time.Now()
	host := nodetest.New(nil)
	s := agent.Settings{Tools: []string{"fire"}, Script: script(t, calls("fire"), says("done")), Limits: agent.Limits{Timeout: time.Minute}}
	w := &world{}
	if _, err := w.run(t, host, s); err != nil {
		t.Fatal(err)
	}
	host.Recorded["begin"] = []byte(`"` + now.Add(-time.Hour).Format(time.RFC3339Nano) + `"`)
	host.Answers = map[string]node.Answer{"turn-1/tool-1": {Decision: node.Approved, Asked: now.Add(-time.Hour), At: now}}
	if out, err := w.run(t, host, s); err != nil || out.Text != "done" {
		t.Errorf("got %+v, %v", out, err)
	}
	host.Answers["turn-1/tool-1"] = node.Answer{Decision: node.Approved, Asked: now, At: now}
	delete(host.Recorded, "turn-2")
	_, err := w.run(t, host, s)
	wantCode(t, err, "time_limit", "1m0s")
}
