package builtin

import (
	"context"
	"time"

	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

type mcpToolConfig struct {
	Server    string         `json:"server" jsonschema:"required,title=Server,minLength=1" jsonschema_description:"Name of an MCP server of the workspace." jsonschema_extras:"widget=mcp-server"`
	Tool      string         `json:"tool" jsonschema:"required,title=Tool,minLength=1" jsonschema_description:"Name of one of its tools." jsonschema_extras:"widget=mcp-tool"`
	Arguments map[string]any `json:"arguments,omitempty" jsonschema:"title=Arguments" jsonschema_extras:"widget=arguments"`
	OnCrash   string         `json:"on_crash,omitempty" jsonschema:"title=When a process died during the call,enum=ask,enum=repeat,enum=fail,default=ask" jsonschema_description:"For tools that change something outside: whether it was done is not known then."`
}

func mcpTool(tools Tools, gate *tool.Gate, now func() time.Time) node.Type {
	return node.Define(node.Spec{
		Kind: "mcp-tool", Title: "MCP tool", Group: node.MCP, Category: "mcp", Icon: "plug",
		Description: "Calls a tool of an MCP server.",
		Effect:      true, Risk: node.RiskHigh, Timeout: time.Hour + time.Minute, // the server's own bounds the call
		Docs: `Calls a tool of one of the workspace's MCP servers; the arguments are checked against its schema first.
Answers ` + "`{text, content, structured?}`" + `: ` + "`text`" + ` is all of it in words, ` + "`content`" + ` the parts (` + "`{type, text?, data?, mime_type?, uri?}`" + `, data in base64), ` + "`structured`" + ` the value, of tools that give one.
A failure of the tool fails the node, with the code ` + "`tool_error`" + `. A call that a dying process cut off is made again only as ` + "`on_crash`" + ` says, unless the server says that the tool changes nothing.

` + "```yaml" + `
config: {server: github, tool: create_issue, arguments: {title: "{{ input.title }}", repo: studio}}
` + "```",
	}, func(ctx context.Context, c node.Call, cfg mcpToolConfig) (node.Result, error) {
		return useTool(ctx, c, tools, "mcp/"+cfg.Server+"/"+cfg.Tool, cfg.Arguments, toolCall{onCrash: cfg.OnCrash, gate: gate, now: now})
	})
}
