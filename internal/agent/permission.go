package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"agentstudio/internal/llm"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

// Mode says how freely an agent uses its tools.
type Mode string

// The modes.
const (
	ModeDefault Mode = "default" // risky tools need a person
	ModeAuto    Mode = "auto"    // every listed tool may be used
	ModePlan    Mode = "plan"    // nothing that changes anything
	ModeBypass  Mode = "bypass"  // every listed tool may be used, also those under Ask; administrators let it
)

func modes() []Mode { return []Mode{ModeDefault, ModeAuto, ModePlan, ModeBypass} }

// Permissions say which tools an agent may use. Deny wins over everything.
type Permissions struct {
	Mode  Mode     `json:"mode,omitempty"`
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
	Ask   []string `json:"ask,omitempty"`
}

// empty reports whether nothing was said.
func (p Permissions) empty() bool {
	return p.Mode == "" && len(p.Allow)+len(p.Deny)+len(p.Ask) == 0
}

// judge says why a tool may not be used, or that a person is to be asked.
func (p Permissions) judge(t tool.Tool) (refusal string, ask bool) {
	switch {
	case slices.Contains(p.Deny, t.Name):
		return "this tool is denied to you", false
	case p.Mode == ModePlan && t.Effect:
		return "you are planning: tools that change something may not be used", false
	case p.Mode == ModeBypass:
		return "", false
	case slices.Contains(p.Ask, t.Name):
		return "", true
	case slices.Contains(p.Allow, t.Name), p.Mode == ModeAuto:
		return "", false
	}
	return "", t.Risk == node.RiskHigh || t.Risk == node.RiskCritical
}

// subject is what a person sees who is asked.
type subject struct {
	Tool      string          `json:"tool"`
	Title     string          `json:"title"`
	Risk      node.Risk       `json:"risk"`
	Arguments json.RawMessage `json:"arguments"`
}

// leave settles a call before it is made: it comes back as it may be made, as
// the refusal that is to be told to the model, or as what a person is to be
// asked. What a person has said once holds, however often the turn is taken up.
func (r *run) leave(ctx context.Context, name string, c llm.Block) (allowed llm.Block, refusal string, ask *node.Ask, err error) {
	t, listed := r.tools[c.Name]
	if !listed {
		return c, "", nil, nil // do says so
	}
	args := c.Arguments
	if len(bytes.TrimSpace(args)) == 0 {
		args = json.RawMessage("{}")
	}
	refusal, needed := r.judge(t)
	fits := r.fits(c.Name, args) == nil // else do says what is wrong
	if refusal != "" || !needed || !fits {
		return c, refusal, nil, nil
	}
	answer, err := r.call.Answer(ctx, name)
	switch {
	case err != nil:
		return c, "", nil, err
	case answer == nil:
		return c, "", &node.Ask{Name: name, Kind: "permission", Message: fmt.Sprintf("%s wants to use the tool %s", r.who(), t.Title),
			Subject: subject{Tool: t.Name, Title: t.Title, Risk: t.Risk, Arguments: args}, Form: t.Schema, FormOptional: true}, nil
	case answer.Decision != node.Approved:
		refusal = "a person has refused this call"
		if answer.Comment != "" {
			refusal += ": " + answer.Comment
		}
		return c, refusal, nil, nil
	case answer.Data != nil:
		c.Arguments, err = json.Marshal(answer.Data)
	}
	return c, "", nil, err
}

// judge is what the agent's own permissions say and those of everybody who
// called it: an agent is never freer than its callers.
func (r *run) judge(t tool.Tool) (refusal string, ask bool) {
	for p := r; p != nil; p = p.parent {
		no, needed := p.settings.Permissions.judge(t)
		if no != "" {
			return no, false
		}
		ask = ask || needed
	}
	return "", ask
}

func (r *run) who() string {
	if r.name != "" {
		return r.name
	}
	if r.call.NodeTitle != "" {
		return r.call.NodeTitle
	}
	return "The agent"
}

// rested adds how long people took to answer what a turn had asked.
func (r *run) rested(ctx context.Context, turn int, calls []llm.Block) error {
	var from, to int64
	for i := range calls {
		answer, err := r.call.Answer(ctx, r.toolStep(turn, i))
		if err != nil {
			return err
		}
		if answer == nil {
			continue
		}
		if at := answer.Asked.UnixNano(); from == 0 || at < from {
			from = at
		}
		to = max(to, answer.At.UnixNano())
	}
	for p := r; p != nil; p = p.parent {
		p.waited.Add(max(to-from, 0))
	}
	return nil
}

func (r *run) toolStep(turn, i int) string {
	return fmt.Sprintf("%sturn-%d/tool-%d", r.prefix, turn, i+1)
}
