package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/schema"
	"agentstudio/internal/tool"
)

// Tools are the tools of workspaces, by their full names.
type Tools interface {
	Find(ctx context.Context, workspaceID, name string) (tool.Tool, error)
	// Fits checks the arguments of a call.
	Fits(t tool.Tool, args json.RawMessage) error
	// Names are those that are built in, and Faults what of arguments they
	// would not take.
	Names() []string
	Faults(name string, args map[string]any) []schema.Fault
}

type toolConfig struct {
	Tool      string         `json:"tool" jsonschema:"required,title=Tool,minLength=1,maxLength=128" jsonschema_description:"Name of a tool: calculator, or mcp/server/tool for one of an MCP server." jsonschema_extras:"widget=tool"`
	Arguments map[string]any `json:"arguments,omitempty" jsonschema:"title=Arguments" jsonschema_description:"What the tool is given." jsonschema_extras:"widget=arguments"`
	OnCrash   string         `json:"on_crash,omitempty" jsonschema:"title=When a process died during the call,enum=ask,enum=repeat,enum=fail,default=ask" jsonschema_description:"For tools that change something outside: whether it was done is not known then."`
}

func toolKind(tools Tools, gate *tool.Gate, now func() time.Time) node.Type {
	t := node.Define(node.Spec{
		Kind: "tool", Title: "Tool", Group: node.Action, Category: "tools", Icon: "wrench",
		Description: "Uses one of the tools that agents have.",
		Effect:      true, Risk: node.RiskHigh, Timeout: time.Hour + time.Minute,
		Docs: `Calls a tool with arguments, which are checked against its schema: what is written out when the workflow is published, the rest before the call. The output is the tool's value, or its text where it has none.

A tool that changes something outside is not called twice in silence. When the process dies during the call, ` + "`on_crash`" + ` decides: ` + "`ask`" + ` a person whether to call it again, ` + "`repeat`" + ` it with the same idempotency key, or ` + "`fail`" + ` with the code ` + "`unknown_outcome`" + `. Tools that change nothing are called again.

` + "```yaml" + `
config: {tool: image_generate, arguments: {prompt: "A poster of {{ trigger.city }}", aspect_ratio: "2:3"}}
` + "```",
	}, func(ctx context.Context, c node.Call, cfg toolConfig) (node.Result, error) {
		return useTool(ctx, c, tools, cfg.Tool, cfg.Arguments, toolCall{onCrash: cfg.OnCrash, gate: gate, now: now})
	})
	return node.Checked(t, func(cfg toolConfig) []fault.Detail { return checkTool(tools, cfg) })
}

// checkTool judges what is written out. Tools of a workspace are known only
// when they are called.
func checkTool(tools Tools, cfg toolConfig) (found []fault.Detail) {
	if tools == nil || strings.Contains(cfg.Tool, "{{") || tool.Sourced(cfg.Tool) || cfg.Tool == "" {
		return nil
	}
	known := false
	for _, name := range tools.Names() {
		known = known || name == cfg.Tool
	}
	if !known {
		return []fault.Detail{{Location: "tool", Code: "unknown_tool", Message: fmt.Sprintf("there is no tool %q%s", cfg.Tool, fault.DidYouMean(cfg.Tool, tools.Names())), Value: cfg.Tool}}
	}
	if cfg.Arguments == nil { // left out, or an expression
		return nil
	}
	for _, f := range tools.Faults(cfg.Tool, cfg.Arguments) {
		if computed(cfg.Arguments, f.Steps) {
			continue
		}
		at := "arguments"
		if f.Path != "" {
			at += "." + f.Path
		}
		found = append(found, fault.Detail{Location: at, Message: f.Message})
	}
	return found
}

// computed reports whether the value at a place is an expression.
func computed(v any, steps []string) bool {
	for _, step := range steps {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			var i int
			if _, err := fmt.Sscanf(step, "%d", &i); err != nil || i < 0 || i >= len(x) {
				return false
			}
			v = x[i]
		default:
			return false
		}
	}
	text, ok := v.(string)
	return ok && strings.Contains(text, "{{")
}

// useTool calls a tool of the workspace as a node does. How is what it is called
// with beside the tool and its arguments.
func useTool(ctx context.Context, c node.Call, tools Tools, name string, arguments map[string]any, how toolCall) (node.Result, error) {
	if tools == nil {
		return node.Result{}, fault.New(fault.NotConfigured, "this studio has no tools")
	}
	t, err := tools.Find(ctx, c.WorkspaceID, name)
	if fault.Is(err, fault.NotFound) {
		return node.Result{}, fault.New(fault.Invalid, "%s", fault.Message(err)).WithCode("unknown_tool")
	}
	if err != nil {
		return node.Result{}, err
	}
	if arguments == nil {
		arguments = map[string]any{}
	}
	how.Call, how.tool, how.onCrash = c, t, orDefault(how.onCrash, "ask")
	if how.args, err = json.Marshal(arguments); err != nil {
		return node.Result{}, fault.Wrap(fault.Invalid, err, "the arguments cannot be written as JSON")
	}
	if err := tools.Fits(t, how.args); err != nil {
		return node.Result{}, inArguments(err)
	}
	return how.once(ctx)
}

// toolCall is one attempt of a node at a tool.
type toolCall struct {
	node.Call
	tool    tool.Tool
	args    json.RawMessage
	onCrash string
	gate    *tool.Gate
	now     func() time.Time
}

// once calls the tool once, however often the node is taken up. Each call of
// a tool with an effect is noted before it is made: one without an outcome was
// cut off, and nobody knows how far it came.
func (c toolCall) once(ctx context.Context) (node.Result, error) {
	name := fmt.Sprintf("call-%d", c.Attempt)
	if ended := c.Resume; ended != nil && ended.Name == name {
		return c.ended(ctx, ended)
	}
	if start, runs, err := c.gate.Child(ctx, c.tool, c.with()); err != nil {
		return node.Result{}, err
	} else if runs {
		start.Name, start.Wait = name, true
		return node.Result{Child: &start}, nil
	}
	if c.tool.Effect {
		parked, err := c.begin(ctx, name)
		if parked.Park != nil || err != nil {
			return parked, err
		}
	}
	var spent node.Usage
	recorded, err := c.Step(ctx, node.Step{Name: name, Kind: "tool", Title: c.tool.Name, Input: c.args}, func(ctx context.Context) (node.StepResult, error) {
		out, err := c.gate.Use(ctx, c.tool, c.with())
		if spent = out.Usage; err != nil {
			return node.StepResult{}, err
		}
		if out.Value == nil {
			out.Value = out.Text
		}
		return node.StepResult{Output: out.Value, Usage: out.Usage}, nil
	})
	if err != nil {
		return node.Result{Usage: spent}, err
	}
	var value any
	if err := json.Unmarshal(recorded, &value); err != nil {
		return node.Result{}, fmt.Errorf("read the recorded result of %s: %w", c.tool.Name, err)
	}
	return node.Output("", value), nil // the step has its usage
}

func (c toolCall) with() tool.Call {
	return tool.Call{WorkspaceID: c.WorkspaceID, UserID: c.UserID, APIKeyID: c.APIKeyID, WorkflowID: c.WorkflowID, ExecutionID: c.ExecutionID, NodeID: c.NodeID,
		Key: c.Key, Args: c.args, Progress: func(message string) { c.Delta(node.Delta{Kind: "tool_progress", Text: message}) }}
}

// ended answers with what came of the workflow that was run for the call.
func (c toolCall) ended(ctx context.Context, with *node.Resume) (node.Result, error) {
	out, err := c.gate.Ended(ctx, c.tool, c.with(), with)
	return node.Output("", out.Value), err
}

// begin notes that the call is made now, unless an earlier life has noted that
// and nobody has allowed it again.
func (c toolCall) begin(ctx context.Context, name string) (node.Result, error) {
	past, err := c.Past(ctx)
	if err != nil {
		return node.Result{}, err
	}
	if _, done := past[name]; done {
		return node.Result{}, nil
	}
	begun := func(n int) string { return fmt.Sprintf("%s/begun-%d", name, n) }
	n := 0
	for _, noted := past[begun(1)]; noted; _, noted = past[begun(n+1)] {
		n++
	}
	if n > 0 {
		parked, err := c.again(ctx, fmt.Sprintf("%s/again-%d", name, n))
		if parked.Park != nil || err != nil {
			return parked, err
		}
	}
	_, err = c.Step(ctx, node.Step{Name: begun(n + 1), Kind: "begun", Title: c.tool.Name}, func(context.Context) (node.StepResult, error) {
		return node.StepResult{Output: c.now().UTC()}, nil
	})
	return node.Result{}, err
}

// again decides whether a call that was cut off is made again.
func (c toolCall) again(ctx context.Context, ask string) (node.Result, error) {
	unknown := fault.New(fault.Invalid, "the process died while %s was called: whether it was done is not known, and it was not called again", c.tool.Name).WithCode("unknown_outcome")
	switch c.onCrash {
	case "repeat":
		c.Log("warn", "the process died while "+c.tool.Name+" was called: it is called again with the same key", nil)
		return node.Result{}, nil
	case "fail":
		return node.Result{}, unknown
	}
	answer, err := c.Answer(ctx, ask)
	switch {
	case err != nil:
		return node.Result{}, err
	case answer == nil:
		return node.Await(node.Ask{Name: ask, Kind: "approval", Message: "The process died while " + c.tool.Name + " was called. Whether it was done is not known: look there first. Call it again?",
			Subject: map[string]any{"tool": c.tool.Name, "arguments": c.args}}), nil
	case answer.Decision != node.Approved:
		return node.Result{}, unknown
	}
	return node.Result{}, nil
}

// inArguments places the faults of arguments where a node has them.
func inArguments(err error) error {
	f := fault.As(err)
	if f == nil || len(f.Details) == 0 {
		return err
	}
	told := *f
	told.Details = slices.Clone(f.Details)
	for i, d := range told.Details {
		told.Details[i].Location = strings.TrimSuffix("arguments."+d.Location, ".")
	}
	return &told
}
