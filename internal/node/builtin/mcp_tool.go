package builtin

import (
	"context"
	"encoding/json"
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

type mcpToolConfig struct {
	Server    string         `json:"server" jsonschema:"required,title=Server,minLength=1" jsonschema_description:"Name of an MCP server of the workspace." jsonschema_extras:"widget=mcp-server"`
	Tool      string         `json:"tool" jsonschema:"required,title=Tool,minLength=1" jsonschema_description:"Name of one of its tools." jsonschema_extras:"widget=mcp-tool"`
	Arguments map[string]any `json:"arguments,omitempty" jsonschema:"title=Arguments" jsonschema_extras:"widget=arguments"`
}

func mcpTool(tools Tools) node.Type {
	return node.Define(node.Spec{
		Kind: "mcp-tool", Title: "MCP tool", Group: node.MCP, Category: "mcp", Icon: "plug",
		Description: "Calls a tool of an MCP server.",
		Effect:      true, Risk: node.RiskHigh, Timeout: time.Hour + time.Minute, // the server's own bounds the call
		Docs: `Calls a tool of one of the workspace's MCP servers; the arguments are checked against its schema first.
Answers ` + "`{text, content, structured?}`" + `: ` + "`text`" + ` is all of it in words, ` + "`content`" + ` the parts (` + "`{type, text?, data?, mime_type?, uri?}`" + `, data in base64), ` + "`structured`" + ` the value, of tools that give one.
A failure of the tool fails the node, with the code ` + "`tool_error`" + `.

` + "```yaml" + `
config: {server: github, tool: create_issue, arguments: {title: "{{ input.title }}", repo: studio}}
` + "```",
	}, func(ctx context.Context, c node.Call, cfg mcpToolConfig) (node.Result, error) {
		if tools == nil {
			return node.Result{}, fault.New(fault.NotConfigured, "this studio has no MCP servers")
		}
		t, err := tools.Find(ctx, c.WorkspaceID, "mcp/"+cfg.Server+"/"+cfg.Tool)
		if fault.Is(err, fault.NotFound) {
			return node.Result{}, fault.New(fault.Invalid, "%s", fault.Message(err)).WithCode("unknown_tool")
		}
		if err != nil {
			return node.Result{}, err
		}
		if cfg.Arguments == nil {
			cfg.Arguments = map[string]any{}
		}
		args, err := json.Marshal(cfg.Arguments)
		if err != nil {
			return node.Result{}, fault.Wrap(fault.Invalid, err, "the arguments cannot be written as JSON")
		}
		out, err := t.Run(ctx, tool.Call{WorkspaceID: c.WorkspaceID, UserID: c.UserID, ExecutionID: c.ExecutionID, NodeID: c.NodeID, Key: c.Key, Args: args,
			Progress: func(message string) { c.Delta(node.Delta{Kind: "tool_progress", Text: message}) }})
		if err != nil {
			return node.Result{Usage: out.Usage}, inWords(err)
		}
		result := node.Output("", out.Value)
		result.Usage = out.Usage
		return result, nil
	})
}

// inWords puts every fault of an input into the message, where a node shows it.
func inWords(err error) error {
	f := fault.As(err)
	if f == nil || len(f.Details) == 0 {
		return err
	}
	said := make([]string, len(f.Details))
	for i, d := range f.Details {
		said[i] = d.Location + ": " + d.Message
	}
	told := *f
	told.Message = f.Message + ": " + strings.Join(said, "; ")
	return &told
}
