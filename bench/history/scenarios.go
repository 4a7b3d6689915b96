package main

import (
	"strings"
	"time"
)

type object = map[string]any

// tools is how many turns of an agent ask for a tool.
const tools = 2

// held says which turns the model server of the first version never answers,
// so that the server is killed while it waits for them.
func held(conversation string, turn int) bool {
	return strings.HasPrefix(conversation, "hold") || strings.HasPrefix(conversation, "third") && turn == 3
}

// scenario is an execution that is brought to a point and gone on with there.
type scenario struct {
	name       string
	definition object
	input      object
	start      object            // further fields of the start
	status     string            // of the execution at that point
	nodes      map[string]string // statuses of nodes there; the worst of several rounds counts
	done       int               // of the rounds that ask a model
	then       func(caller, *started) error
	output     string // JSON
}

func node(id, kind string, config object) object {
	return object{"id": id, "kind": kind, "config": config}
}

func inside(parent string, n object) object {
	n["parent_id"] = parent
	return n
}

// chain connects the nodes outside of containers one after the other.
func chain(name string, nodes ...object) object {
	var edges []object
	last, handle := "", ""
	for _, n := range nodes {
		if n["parent_id"] != nil {
			continue
		}
		id := n["id"].(string) //nolint:forcetypeassert,errcheck // made above
		if last != "" {
			edges = append(edges, object{"source": last, "source_handle": handle, "target": id})
		}
		last, handle = id, "output"
		if n["kind"] == "approval" {
			handle = "approved"
		}
	}
	return object{"name": name, "nodes": nodes, "connections": edges}
}

func agent(id, prompt string) object {
	return node(id, "agent", object{"model": "openai/stub", "prompt": prompt})
}

const answer = "This is the answer of turn 1."

// soon is when timers are due: after the kill.
const soon = 15 * time.Second

func scenarios() []scenario {
	manual := func() object { return node("start", "manual-trigger", object{}) }
	said := `{"said":"` + answer + `"}`
	last := node("last", "set", object{"values": object{"said": "{{ nodes.ask.output.text }}"}})
	rounds := func(kind string, more object) object {
		config := object{"items": "{{ 1..24 }}", "parallel": 4}
		for k, v := range more {
			config[k] = v
		}
		return chain(kind, manual(), node("each", kind, config),
			inside("each", agent("ask", `{{ (item > 16 ? "hold " : "go ") + "`+kind+` " + string(item) }}`)),
			inside("each", node("double", "set", object{"values": object{"n": "{{ item * 2 }}"}})),
			node("last", "set", object{"values": object{"sum": "{{ sum(map(nodes.each.output.items, {#.double.n})) }}", "n": "{{ len(nodes.each.output.items) }}"}}))
	}
	// The body's two nodes are not connected: each round's output has both.
	const doubled = `{"n":24,"sum":600}`
	return []scenario{
		{name: "a chain in an agent's turn", definition: chain("chain", manual(), node("first", "set", object{"values": object{"n": "{{ trigger.n + 1 }}"}}),
			agent("ask", `{{ "hold chain " + string(nodes.first.output.n) }}`), last), input: object{"n": 1},
			status: "running", nodes: map[string]string{"first": "completed", "ask": "running"}, output: said},
		{name: "an agent after two tool calls", definition: chain("turns", manual(), node("ask", "agent",
			object{"model": "openai/stub", "prompt": "third", "tools": []string{"calculator"}}), last),
			status: "running", nodes: map[string]string{"ask": "running"}, output: `{"said":"This is the answer of turn 3."}`},
		{name: "a loop", definition: rounds("loop", nil), status: "running", done: 16, nodes: map[string]string{"each": "running"}, output: doubled},
		{name: "a split", definition: rounds("split", nil), status: "running", done: 16, nodes: map[string]string{"each": "running"}, output: doubled},
		{name: "a loop with a condition", definition: chain("while", manual(), node("each", "loop", object{"while": "index < 8", "max_items": 9}),
			inside("each", agent("ask", `{{ (index > 4 ? "hold" : "go") + " while " + string(index) }}`)),
			node("last", "set", object{"values": object{"n": "{{ len(nodes.each.output.items) }}"}})), status: "running", done: 5, output: `{"n":8}`},
		{name: "a timer", definition: chain("timer", manual(), node("nap", "wait", object{"seconds": soon.Seconds()}), node("last", "set", object{"values": object{"n": "{{ trigger.n }}"}})),
			input: object{"n": 3}, status: "waiting", nodes: map[string]string{"nap": "waiting"}, output: `{"n":3}`},
		{name: "a call that is waited for", definition: chain("callback", manual(), node("call", "wait", object{"callback": true}), node("last", "set", object{"values": object{"n": "{{ nodes.call.output.body.n }}"}})),
			status: "waiting", nodes: map[string]string{"call": "waiting"}, then: callBack, output: `{"n":5}`},
		{name: "an approval", definition: chain("approval", manual(), node("may", "approval", object{"message": "May it?"}), node("last", "set", object{"values": object{"yes": true}})),
			status: "waiting", nodes: map[string]string{"may": "waiting"}, then: approve, output: `{"yes":true}`},
		{name: "a pause", definition: chain("paused", manual(), node("nap", "wait", object{"seconds": soon.Seconds()}), node("last", "set", object{"values": object{"n": 7}})),
			status: "paused", then: resume, output: `{"n":7}`},
		{name: "a start that is planned", definition: chain("planned", manual(), node("last", "set", object{"values": object{"n": "{{ trigger.n }}"}})),
			input: object{"n": 9}, start: object{"scheduled_at": "soon"}, status: "pending", output: `{"n":9}`},
		{name: "a child in an agent's turn", definition: chain("parent", manual(), node("run", "run-workflow", object{"workflow_id": "CHILD", "input": object{"n": 4}}), node("last", "set", object{"values": object{"said": "{{ nodes.run.output.said }}"}})),
			status: "waiting", nodes: map[string]string{"run": "waiting"}, output: said},
	}
}

// child is what the parent of the last scenario runs.
func child() object {
	return chain("child", node("start", "workflow-trigger", object{}), agent("ask", `{{ "hold child " + string(trigger.n) }}`),
		node("last", "set", object{"values": object{"said": "{{ nodes.ask.output.text }}"}}))
}
