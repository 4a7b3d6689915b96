package app_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/execution"
)

const asksFirst = `
name: Asks first
nodes:
  - {id: start, kind: manual-trigger}
  - id: think
    kind: agent
    config:
      model: demo/scripted
      prompt: Work it out
      tools: [calculator, current_time]
      permissions: {ask: [calculator]}
      script:
        - tool_calls:
            - {name: calculator, arguments: {expression: 1 + 1}}
            - {name: current_time, arguments: {}}
            - {name: calculator, arguments: {expression: 2 + 2}}
        - {text: done}
connections: [{source: start, target: think}]
`

// TestAnAgentWaitsForAPersonAndGoesOnAtThatTurn: no answered turn is asked
// again and no finished call made again.
func TestAnAgentWaitsForAPersonAndGoesOnAtThatTurn(t *testing.T) {
	studio, by := serving(t)
	id := flow(t, studio, by, asksFirst, false)
	sub := studio.Bus.Subscribe("workflow:" + id)
	defer sub.Close()
	x, _, err := studio.Executions.Start(t.Context(), by, execution.StartInput{WorkspaceID: by.Personal, WorkflowID: id})
	if err != nil {
		t.Fatal(err)
	}
	var asks []execution.Ask
	for deadline := time.Now().Add(20 * time.Second); len(asks) < 2; <-time.After(10 * time.Millisecond) {
		if asks, _, err = studio.Executions.Approvals(t.Context(), by, by.Personal, 10, 0); err != nil || time.Now().After(deadline) {
			t.Fatalf("%d asks, %v", len(asks), err)
		}
	}
	for _, a := range asks {
		d := execution.Decision{ExecutionID: x.ID, NodeID: "think", AskID: a.ID, Comment: "no need"}
		if strings.Contains(string(a.Subject), "2 + 2") {
			d.Approve, d.Data = true, json.RawMessage(`{"expression":"20 + 2"}`)
		}
		if !strings.Contains(a.Message, "Calculator") || a.Kind != "permission" {
			t.Errorf("asked %+v", a)
		}
		if _, err := studio.Executions.Decide(t.Context(), by, d); err != nil {
			t.Fatal(err)
		}
	}
	completed(t, studio, by, sub, id)
	_, nodes, _, err := studio.Executions.WithNodes(t.Context(), by, x.ID, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	detail, err := studio.Executions.Node(t.Context(), by, x.ID, nodes[slices.IndexFunc(nodes, func(n execution.NodeRun) bool { return n.NodeID == "think" })].ID)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, step := range detail.Steps {
		got[step.Name] = string(step.Output)
	}
	if len(detail.Steps) != 5 || !strings.Contains(got["turn-1/tool-1"], "no need") || !strings.Contains(got["turn-1/tool-3"], "22") || got["turn-2"] == "" {
		t.Errorf("the steps are %v", got)
	}
}
