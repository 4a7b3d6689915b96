package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/workflow"
)

// progress prints an execution's events as lines for people.
type progress struct {
	out     io.Writer
	titles  map[string]string
	started map[string]time.Time
	writing string // the node whose text streams onto the current line
}

func newProgress(out io.Writer, d *workflow.Definition) *progress {
	p := &progress{out: out, titles: map[string]string{}, started: map[string]time.Time{}}
	for _, n := range d.Nodes {
		p.titles[n.ID] = n.Title
		if n.Title == "" {
			p.titles[n.ID] = n.ID
		}
	}
	p.line("▶ %s (%d nodes)", d.Name, len(d.Nodes))
	return p
}

func (p *progress) line(format string, args ...any) {
	if p.writing != "" {
		p.writing = ""
		p.print("\n")
	}
	p.print(format+"\n", args...)
}

// print ignores write errors: progress nobody can read must not end the run.
func (p *progress) print(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, format, args...)
}

type seen struct {
	NodeID    string               `json:"node_id"`
	Iteration string               `json:"iteration"`
	Status    execution.NodeStatus `json:"status"`
	Message   string               `json:"message"`
	Kind      string               `json:"kind"`
	Text      string               `json:"text"`
	Level     string               `json:"level"`
}

func (p *progress) show(e event.Event) {
	var s seen
	if json.Unmarshal(e.Data, &s) != nil {
		return
	}
	switch e.Type {
	case event.NodeUpdate:
		p.node(e, s)
	case event.NodeOutput:
		p.delta(s)
	case event.Log:
		p.line("  %s  %s: %s", mark(s.Level), p.name(s), s.Message)
	}
}

func (p *progress) name(s seen) string {
	name := p.titles[s.NodeID]
	if name == "" {
		name = s.NodeID
	}
	if s.Iteration != "" {
		name += " [" + s.Iteration + "]"
	}
	return name
}

func (p *progress) node(e event.Event, s seen) {
	key := s.NodeID + "/" + s.Iteration
	switch s.Status {
	case execution.NodeRunning:
		if _, resumed := p.started[key]; !resumed {
			p.started[key] = e.At
		}
	case execution.NodeCompleted, execution.NodeFailed, execution.NodeCancelled, execution.NodeSkipped:
		took := ""
		if at, ok := p.started[key]; ok {
			took = "  " + max(e.At.Sub(at).Round(time.Millisecond), time.Millisecond).String()
			delete(p.started, key)
		}
		if s.Message != "" && s.Status != execution.NodeCompleted {
			took += "  " + s.Message
		}
		p.line("  %s  %s%s", mark(string(s.Status)), p.name(s), took)
	case execution.NodeWaiting:
		p.line("  %s  %s waits", mark(string(s.Status)), p.name(s))
	}
}

// delta streams a model's text behind the name of its node.
func (p *progress) delta(s seen) {
	name := p.name(s)
	switch s.Kind {
	case "text":
		if p.writing != name {
			if p.writing != "" {
				p.print("\n")
			}
			p.print("  …  %s: ", name)
			p.writing = name
		}
		p.print("%s", strings.ReplaceAll(s.Text, "\n", "\n     "))
	case "tool_result":
		p.line("  ⚙  %s: %s", name, s.Text)
	}
}

func mark(status string) string {
	switch status {
	case "completed":
		return "✓"
	case "failed", "error":
		return "✗"
	case "skipped":
		return "·"
	case "cancelled":
		return "⊘"
	case "waiting":
		return "⏸"
	case "warn":
		return "!"
	}
	return "→"
}

func (p *progress) end(x *execution.Execution) {
	text := fmt.Sprintf("%s %s in %s", mark(string(x.Status)), x.Status, x.Duration(time.Now()).Round(time.Millisecond))
	if n := x.Usage.Input + x.Usage.Output; n > 0 {
		text += fmt.Sprintf(" · %d tokens", n)
		if x.Usage.CostUnknown {
			text += " · cost unknown"
		} else {
			text += fmt.Sprintf(" · $%.4f", float64(x.Usage.CostMicros)/1e6)
		}
	}
	p.line("%s", text)
	if x.Error != nil {
		p.line("  %s", x.Error.Message)
	}
}
