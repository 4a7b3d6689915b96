package app_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/app"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

const doubles = `
name: Double
nodes:
  - {id: in, kind: workflow-trigger, config: {description: Doubles a number, input_schema: {type: object, properties: {n: {type: number}}, required: [n]}}}
  - {id: rest, kind: wait, config: {seconds: 0.2}}
  - {id: out, kind: set, config: {values: {twice: "{{ trigger.n * 2 }}"}}}
connections: [{source: in, target: rest}, {source: rest, target: out}]
`

const fails = `
name: Broken
nodes: [{id: in, kind: workflow-trigger}, {id: bad, kind: stop, config: {status: failed, message: it is torn}}]
connections: [{source: in, target: bad}]
`

const agentRuns = `
name: Agent runs workflows
nodes:
  - {id: start, kind: manual-trigger}
  - id: think
    kind: agent
    config:
      model: demo/scripted
      prompt: Double them
      tools: [run_workflow, calculator]
      script:
        - tool_calls:
            - {name: run_workflow, arguments: {workflow: Double, input: {n: 4}}}
            - {name: run_workflow, arguments: {workflow: double, input: {n: 5}}}
            - {name: calculator, arguments: {expression: "1+1"}}
            - {name: run_workflow, arguments: {workflow: Double, input: {m: 5}}}
            - {name: run_workflow, arguments: {workflow: Doubel}}
            - {name: run_workflow, arguments: {workflow: Broken}}
            - {name: run_workflow, arguments: {}}
        - {text: done}
connections: [{source: start, target: think}]
`

// steps are what the steps of a node have come to, by name.
func steps(t *testing.T, studio *app.App, by access.Actor, id, node string) map[string]string {
	t.Helper()
	_, nodes, _, err := studio.Executions.WithNodes(t.Context(), by, id, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, n := range nodes {
		if n.NodeID != node {
			continue
		}
		detail, err := studio.Executions.Node(t.Context(), by, id, n.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range detail.Steps {
			got[step.Name] = string(step.Output)
		}
	}
	return got
}

func executionsOf(t *testing.T, studio *app.App, by access.Actor, workflowID string) int {
	t.Helper()
	page, err := studio.Executions.List(t.Context(), by, by.Personal, execution.Filter{WorkflowID: workflowID, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return len(page.Items)
}

func TestAnAgentRunsWorkflows(t *testing.T) {
	studio, by, _ := open(t, settings(t.TempDir()))
	double := flow(t, studio, by, doubles, true)
	flow(t, studio, by, fails, true)
	x := ends(t, studio, by, agentRuns, `{}`)
	if x.Status != execution.Completed {
		t.Fatalf("%s %+v", x.Status, x.Error)
	}
	got := steps(t, studio, by, x.ID, "think")
	for step, words := range map[string]string{"tool-1": `"twice":8`, "tool-2": `"twice":10`, "tool-3": "2", "tool-4": "Double takes this", "tool-5": "did you mean Double", "tool-6": "it is torn", "tool-7": "Doubles a number"} {
		if !strings.Contains(got["turn-1/"+step], words) {
			t.Errorf("%s: %s", step, got["turn-1/"+step])
		}
	}
	if n := executionsOf(t, studio, by, double); n != 2 {
		t.Errorf("%d executions", n)
	}
}

func TestAToolNodeRunsAWorkflow(t *testing.T) {
	studio, by, _ := open(t, settings(t.TempDir()))
	flow(t, studio, by, doubles, true)
	flow(t, studio, by, fails, true)
	node := `
name: Node
nodes: [{id: start, kind: manual-trigger}, {id: run, kind: tool, config: {tool: run_workflow, arguments: {workflow: WHICH, input: {n: 21}}}}]
connections: [{source: start, target: run}]
`
	if x := ends(t, studio, by, strings.ReplaceAll(node, "WHICH", "Double"), `{}`); x.Status != execution.Completed || !strings.Contains(string(x.Output), `"twice":42`) {
		t.Errorf("%s %+v: %s", x.Status, x.Error, x.Output)
	}
	if x := ends(t, studio, by, strings.ReplaceAll(node, "WHICH", "Broken"), `{}`); x.Status != execution.Failed || x.Error.Code != "child_failed" {
		t.Errorf("%s %+v", x.Status, x.Error)
	}
	if x := ends(t, studio, by, strings.ReplaceAll(node, "WHICH", "None"), `{}`); x.Status != execution.Failed || x.Error.Code != "unknown_workflow" {
		t.Errorf("%s %+v", x.Status, x.Error)
	}
}

func TestAPersonRunsAWorkflowByHand(t *testing.T) {
	studio, by, _ := open(t, settings(t.TempDir()))
	flow(t, studio, by, doubles, true)
	got, err := studio.Toolbox.Use(t.Context(), by, by.Personal, "run_workflow", json.RawMessage(`{"workflow":"Double","input":{"n":3}}`))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(got.Value); err != nil || string(text) != `{"twice":6}` {
		t.Errorf("got %s, %v", text, err)
	}
	other, err := studio.Operator(t.Context(), "other@studio.local")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := studio.Toolbox.Use(t.Context(), other, by.Personal, "run_workflow", json.RawMessage(`{"workflow":"Double","input":{"n":3}}`)); !fault.Is(err, fault.NotFound) {
		t.Errorf("somebody else: %v", err)
	}
}

// TestAnAgentWaitsForAWorkflowThroughARestart: nothing is held, nothing runs
// twice, and a cancel reaches the workflow.
func TestAnAgentWaitsForAWorkflowThroughARestart(t *testing.T) {
	cfg := settings(t.TempDir())
	studio, by, stop := open(t, cfg)
	asks := flow(t, studio, by, `
name: Asks
nodes: [{id: in, kind: workflow-trigger}, {id: may, kind: approval, config: {message: May it?}}, {id: out, kind: set, config: {values: {ok: true}}}]
connections: [{source: in, target: may, source_handle: output}, {source: may, source_handle: approved, target: out}]
`, true)
	caller := flow(t, studio, by, `
name: Caller
nodes:
  - {id: start, kind: manual-trigger}
  - {id: think, kind: agent, config: {model: demo/scripted, prompt: x, tools: [run_workflow], script: [{tool_calls: [{name: run_workflow, arguments: {workflow: Asks}}]}, {text: done}]}}
connections: [{source: start, target: think}]
`, false)
	start := func() string {
		x, _, err := studio.Executions.Start(t.Context(), by, execution.StartInput{WorkspaceID: by.Personal, WorkflowID: caller})
		if err != nil {
			t.Fatal(err)
		}
		return x.ID
	}
	asked := func(n int) []execution.Ask {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
			asks, _, err := studio.Executions.Approvals(t.Context(), by, by.Personal, 10, 0)
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("%d asks, %v", len(asks), err)
			}
			if len(asks) == n {
				return asks
			}
		}
	}
	start()
	asked(1)
	stop()
	studio, by, _ = open(t, cfg)
	ask := asked(1)[0]
	sub := studio.Bus.Subscribe("workflow:" + caller)
	defer sub.Close()
	if _, err := studio.Executions.Decide(t.Context(), by, execution.Decision{ExecutionID: ask.ExecutionID, NodeID: ask.NodeID, AskID: ask.ID, Approve: true}); err != nil {
		t.Fatal(err)
	}
	x := completed(t, studio, by, sub, caller)
	if got := steps(t, studio, by, x.ID, "think")["turn-1/tool-1"]; !strings.Contains(got, `"ok":true`) || executionsOf(t, studio, by, asks) != 1 {
		t.Errorf("got %s in %d executions", got, executionsOf(t, studio, by, asks))
	}
	children := studio.Bus.Subscribe(event.WorkspaceRoom(by.Personal))
	defer children.Close()
	second := start()
	child := asked(1)[0].ExecutionID
	if _, err := studio.Executions.Cancel(t.Context(), by, second); err != nil {
		t.Fatal(err)
	}
	asked(0)
	if x, err := studio.Executions.Find(t.Context(), by, child); err != nil || x.Status != execution.Cancelled {
		t.Errorf("the workflow is %+v, %v", x, err)
	}
}
