package workflow_test

import (
	"strings"
	"testing"

	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"

	"github.com/google/go-cmp/cmp"
)

func TestEveryFaultIsReportedWithItsPlace(t *testing.T) {
	_, report := workflow.Compile(define(t, `
name: faulty
nodes:
  - {id: start, kind: manual-trigger}
  - {id: a, kind: set, config: {values: {x: "{{ triger.y }}"}}}
  - {id: b, kind: sett}
  - {id: c, kind: condition, config: {condition: "1 +"}}
  - {id: d, kind: set, config: {values: {x: "{{ nodes.later.output }}"}}}
  - {id: later, kind: set, config: {values: 5}}
  - {id: e, kind: merge, parent_id: a}
  - {id: loop, kind: loop, config: {items: "{{ [1] }}"}}
  - {id: body, kind: log, parent_id: loop, config: {message: hi}}
  - {id: f, kind: log, config: {message: hi}}
  - {id: g, kind: log, config: {message: hi, tyop: 1}}
connections:
  - {source: start, target: a}
  - {source: a, target: d}
  - {source: d, target: later, source_handle: nope}
  - {source: later, target: f}
  - {source: f, target: g}
  - {source: g, target: f}
  - {source: loop, target: body}
  - {source: f, target: start}
  - {source: start, target: a}
`), kinds)
	got := map[string]string{}
	for _, p := range report.Errors {
		got[p.Path+" "+p.Code] = p.Message
	}
	for _, want := range []string{
		"nodes[1].config.values.x unknown_name", "nodes[2].kind unknown_kind", "nodes[3].config.condition expression_invalid",
		"nodes[4].config.values.x unknown_node", "nodes[5].config.values config_invalid", "nodes[6].parent_id unknown_parent", "connections[2].source_handle unknown_handle", "nodes[9] cycle",
		"connections[6] crosses_border", "connections[7].target unknown_handle", "connections[8] duplicate_connection", "nodes[10].config.tyop config_invalid",
	} {
		if _, ok := got[want]; !ok {
			t.Errorf("missing: %s", want)
		}
	}
	if !strings.Contains(got["nodes[9] cycle"], "f → g → f") || !strings.Contains(got["nodes[2].kind unknown_kind"], "did you mean set") {
		t.Errorf("messages: %q %q", got["nodes[9] cycle"], got["nodes[2].kind unknown_kind"])
	}
	if t.Failed() {
		for k, v := range got {
			t.Log(k, "—", v)
		}
	}
}

func TestWorkflowNeedsATrigger(t *testing.T) {
	_, report := workflow.Compile(define(t, "name: x\nnodes: [{id: a, kind: set, config: {values: {}}}]\nconnections: []"), kinds)
	if len(report.Errors) != 1 || report.Errors[0].Code != "no_trigger" {
		t.Fatalf("%+v", report)
	}
	_, report = workflow.Compile(define(t, "name: x\nnodes: [{id: s, kind: manual-trigger}, {id: a, kind: set, config: {values: {}}}]\nconnections: []"), kinds)
	if !report.IsValid || len(report.Warnings) == 0 {
		t.Fatalf("%+v", report)
	}
}

func TestDefinitionsRoundTripWithoutLoss(t *testing.T) {
	codec := workflow.NewCodec()
	d := define(t, `
name: All fields
description: |
  two
  lines
tags: [a]
settings: {timeout_seconds: 1.5, max_parallel: 3, concurrency: {limit: 2, key: "{{ trigger.k }}", strategy: queue}, budget: {max_cost_usd: 0.5, max_tokens: 10}, vars: {n: 1}}
nodes:
  - id: n
    kind: set
    title: T
    description: D
    enabled: false
    position: {x: 1.5, y: -2}
    config: {values: {s: "{{ 1 }}", list: [1, null, {deep: true}], text: "no: yes"}}
    retry: {max_attempts: 3, delays: [0.5, 1]}
    timeout_seconds: 5
    on_error: branch
    pinned_output: {a: [1]}
    notes: hello
connections: [{id: c, source: n, target: n, source_handle: error, target_handle: x}]
tests: [{name: t, input: {a: 1}, outputs: {n: {b: 2}}, expect: ["true"]}]
`)
	asYAML, err := codec.EncodeYAML(d)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := codec.EncodeJSON(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{asYAML, asJSON} {
		back, err := codec.Decode(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(d, back); diff != "" {
			t.Fatalf("%s\n%s", diff, text)
		}
	}
}

func TestUnreadableDefinitionsSayWhere(t *testing.T) {
	codec := workflow.NewCodec()
	for text, want := range map[string]string{
		"":                                  "empty",
		"{":                                 "cannot be read",
		"name: [":                           "YAML",
		`{"name": "x", "nodes": []}`:        "",
		`{"name": "x", "nodez": []}`:        "nodez",
		`{"name": 5, "nodes": [{"id": 1}]}`: "name",
		`[]`:                                "object",
	} {
		_, err := codec.Decode([]byte(text))
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if k := fault.KindOf(err); k != fault.Invalid && k != fault.Malformed || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
