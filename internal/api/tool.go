package api

import (
	"context"
	"encoding/json"
	"strings"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/limit"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
	"agentstudio/internal/toolbox"
)

// Tool is what one needs to know to use a tool.
type Tool struct {
	ID          string          `json:"id" doc:"What agents and nodes call it"`
	Title       string          `json:"title"`
	Description string          `json:"description" doc:"What models read of it"`
	Category    string          `json:"category"`
	Risk        node.Risk       `json:"risk"`
	Effect      bool            `json:"effect" doc:"Changes something outside"`
	InputSchema json.RawMessage `json:"input_schema" doc:"JSON Schema of its arguments"`
	Configured  bool            `json:"configured" doc:"Whether it can be used here"`
	Needs       []string        `json:"needs" doc:"What an operator sets up for it"`
	// Limit is nil for tools that have none.
	Limit        *ToolLimit `json:"limit,omitempty" doc:"How often the workspace may use it, by agents, nodes and people together; left out: as often as it likes"`
	Restrictions []string   `json:"restrictions" doc:"What it cannot do, whoever calls it, in sentences"`
}

// ToolLimit is how often a tool may be used. A burst may use it up at once;
// then it becomes free again bit by bit.
type ToolLimit struct {
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
}

func viewLimit(r limit.Rate) *ToolLimit {
	if r.Requests <= 0 || r.Per <= 0 {
		return nil
	}
	return &ToolLimit{Calls: r.Requests, Seconds: r.Per.Seconds()}
}

func viewTool(t tool.Tool) Tool {
	return Tool{ID: t.Name, Title: t.Title, Description: t.Description, Category: t.Category, Risk: t.Risk, Effect: t.Effect, InputSchema: t.Schema,
		Configured: t.Configured == nil || t.Configured(), Needs: listed(t.Needs), Limit: viewLimit(t.Limit), Restrictions: listed(t.Restrictions)}
}

// aiTools is the category of tools that ask a model: they count as calls of one.
const aiTools = "ai"

func (s *Server) toolRoutes() {
	register(s, op{Method: "GET", Path: "/tools", ID: "list-tools", Tag: "tools", Summary: "Every tool: the built-in ones, and those of the workspace's MCP servers"}, s.listTools)
	register(s, op{Method: "GET", Path: "/tools/{name}", ID: "get-tool", Tag: "tools", Summary: "One tool"}, s.getTool)
	register(s, op{Method: "GET", Path: "/tools/mcp/{server}/{tool}", ID: "get-mcp-tool", Tag: "tools", Summary: "One tool of an MCP server of the workspace"}, s.getMCPTool)
	register(s, op{Method: "POST", Path: "/tools/mcp/{server}/{tool}/call", ID: "call-tool-of-mcp", Tag: "tools", Summary: "Use a tool of an MCP server by hand", Notes: "What it does is real. The call stands in the ledger, as one of an agent does."}, s.callToolOfMCP)
	register(s, op{Method: "POST", Path: "/tools/{name}/call", ID: "call-tool", Tag: "tools", Summary: "Use a tool by hand", Notes: "What it does is real. The call stands in the ledger, as one of an agent does."}, s.callTool)
	register(s, op{Method: "POST", Path: "/tools/web/search", ID: "search-web", Tag: "tools", Summary: "Search the web"}, s.searchWeb)
	register(s, op{Method: "POST", Path: "/tools/web/read", ID: "read-web", Tag: "tools", Summary: "Read a page as Markdown"}, s.readWeb)
	s.chatRoutes()
	s.mediaRoutes()
}

type listToolsInput struct {
	InWorkspace
	Category string `query:"category" maxLength:"50"`
}

func (s *Server) listTools(ctx context.Context, by access.Actor, in *listToolsInput) (*Body[List[Tool]], error) {
	items := []Tool{}
	if s.Toolbox != nil {
		all, err := s.Toolbox.List(ctx, by, workspaceOr(by, in.WorkspaceID))
		if err != nil {
			return nil, err
		}
		for _, t := range all {
			if in.Category == "" || in.Category == t.Category {
				items = append(items, viewTool(t))
			}
		}
	}
	return &Body[List[Tool]]{List[Tool]{Items: items, Total: len(items)}}, nil
}

// ToolPath is the name of a tool in a path.
type ToolPath struct {
	Name string `path:"name" maxLength:"128"`
}

// MCPToolPath is the name of a tool of an MCP server in a path.
type MCPToolPath struct {
	Server string `path:"server" maxLength:"100"`
	Tool   string `path:"tool" maxLength:"200"`
}

func (p MCPToolPath) name() string { return "mcp/" + p.Server + "/" + p.Tool }

type getToolInput struct {
	ToolPath
	InWorkspace
}

func (s *Server) getTool(ctx context.Context, by access.Actor, in *getToolInput) (*Body[Tool], error) {
	return s.findTool(ctx, by, in.WorkspaceID, in.Name)
}

type getMCPToolInput struct {
	MCPToolPath
	InWorkspace
}

func (s *Server) getMCPTool(ctx context.Context, by access.Actor, in *getMCPToolInput) (*Body[Tool], error) {
	return s.findTool(ctx, by, in.WorkspaceID, in.name())
}

func (s *Server) findTool(ctx context.Context, by access.Actor, workspaceID, name string) (*Body[Tool], error) {
	if s.Toolbox == nil {
		return nil, fault.New(fault.NotFound, "there is no tool %q", name)
	}
	t, err := s.Toolbox.Find(ctx, by, workspaceOr(by, workspaceID), name)
	if err != nil {
		return nil, err
	}
	return &Body[Tool]{viewTool(t)}, nil
}

type callToolInput struct {
	ToolPath
	InWorkspace
	Body struct {
		Arguments Object `json:"arguments,omitempty" doc:"After the tool's input_schema"`
	}
}

// ToolResult is what a tool answered.
type ToolResult struct {
	Text       string     `json:"text" doc:"What a model reads"`
	Value      any        `json:"value" doc:"What a workflow reads"`
	Tokens     TokenCount `json:"tokens"`
	CostUSD    *float64   `json:"cost_usd" doc:"null: no price is known for a part of it"`
	DurationMS int64      `json:"duration_ms"`
}

func (s *Server) callTool(ctx context.Context, by access.Actor, in *callToolInput) (*Body[ToolResult], error) {
	return s.called(ctx, by, in.WorkspaceID, in.Name, in.Body.Arguments)
}

type callToolOfMCPInput struct {
	MCPToolPath
	InWorkspace
	Body struct {
		Arguments Object `json:"arguments,omitempty" doc:"After the tool's input_schema"`
	}
}

func (s *Server) callToolOfMCP(ctx context.Context, by access.Actor, in *callToolOfMCPInput) (*Body[ToolResult], error) {
	return s.called(ctx, by, in.WorkspaceID, in.name(), in.Body.Arguments)
}

func (s *Server) called(ctx context.Context, by access.Actor, workspaceID, name string, arguments Object) (*Body[ToolResult], error) {
	args := json.RawMessage(arguments)
	if len(args) == 0 {
		args = json.RawMessage("{}")
	}
	result, err := s.useTool(ctx, by, workspaceID, name, args)
	if err != nil {
		return nil, err
	}
	text := result.Text
	if text == "" {
		if shown, err := json.Marshal(result.Value); err == nil {
			text = string(shown)
		}
	}
	return &Body[ToolResult]{ToolResult{Text: text, Value: result.Value, Tokens: viewTokens(result.Usage), CostUSD: viewCost(result.Usage), DurationMS: result.Duration.Milliseconds()}}, nil
}

// useTool calls a tool for whoever asks. Those that ask a model are counted as
// calls of one.
func (s *Server) useTool(ctx context.Context, by access.Actor, workspaceID, name string, args json.RawMessage) (*toolbox.Result, error) {
	if s.Toolbox == nil {
		return nil, fault.New(fault.NotFound, "there is no tool %q", name)
	}
	ws := workspaceOr(by, workspaceID)
	if !tool.Sourced(name) { // those may be far away
		if t, err := s.Toolbox.Find(ctx, by, ws, name); err == nil && t.Category == aiTools {
			if err := by.Need(ws, access.UseTools); err != nil {
				return nil, err
			}
			if err := s.take(ctx, nil, "ai", by.UserID, s.cfg.Limits.AI); err != nil {
				return nil, err
			}
		}
	}
	return s.Toolbox.Use(ctx, by, ws, name, args)
}

// SearchResult is a page that a search found.
type SearchResult struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	Description string `json:"description"`
	Content     string `json:"content,omitempty"`
	PublishedAt string `json:"published_at,omitempty"`
}

type searchWebInput struct {
	InWorkspace
	Body struct {
		Query string `json:"query" minLength:"1" maxLength:"1000"`
		Num   int    `json:"num,omitempty" minimum:"1" maximum:"20" default:"5"`
	}
}

// SearchResults are the pages that a search found.
type SearchResults struct {
	Results []SearchResult `json:"results"`
}

func (s *Server) searchWeb(ctx context.Context, by access.Actor, in *searchWebInput) (*Body[SearchResults], error) {
	var out SearchResults
	_, err := s.viaTool(ctx, by, in.WorkspaceID, "web_search", in.Body, &out)
	out.Results = listed(out.Results)
	return &Body[SearchResults]{out}, err
}

type readWebInput struct {
	InWorkspace
	Body struct {
		URL string `json:"url" minLength:"1" maxLength:"4096"`
	}
}

// WebPage is a page as Markdown.
type WebPage struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	Content     string `json:"content" doc:"Markdown"`
	Description string `json:"description"`
	PublishedAt string `json:"published_at,omitempty"`
}

func (s *Server) readWeb(ctx context.Context, by access.Actor, in *readWebInput) (*Body[WebPage], error) {
	var out WebPage
	_, err := s.viaTool(ctx, by, in.WorkspaceID, "web_read", in.Body, &out)
	return &Body[WebPage]{out}, err
}

// viaTool calls a tool with the arguments and reads its value.
func (s *Server) viaTool(ctx context.Context, by access.Actor, workspaceID, name string, args, value any) (*toolbox.Result, error) {
	text, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	result, err := s.useTool(ctx, by, workspaceID, name, text)
	if err != nil {
		return nil, inRequest(err)
	}
	if text, err = json.Marshal(result.Value); err != nil {
		return nil, err
	}
	return result, json.Unmarshal(text, value)
}

// inRequest says where in a request of a fixed shape the arguments are.
func inRequest(err error) error {
	if f := fault.As(err); f != nil {
		for i, d := range f.Details {
			f.Details[i].Location = "body." + strings.TrimPrefix(strings.TrimPrefix(d.Location, "body."), "arguments.")
		}
	}
	return err
}
