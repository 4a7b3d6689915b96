package api

import (
	"context"
	"net/url"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/mcp"
)

func (s *Server) mcpServerRoutes() {
	const tag = "mcp"
	register(s, op{Method: "GET", Path: "/mcp/templates", ID: "list-mcp-templates", Tag: tag, Summary: "Servers that are easy to set up"}, s.listMCPTemplates)
	register(s, op{Method: "GET", Path: "/mcp/servers", ID: "list-mcp-servers", Tag: tag, Summary: "MCP servers of a workspace"}, s.listMCPServers)
	register(s, op{Method: "POST", Path: "/mcp/servers", ID: "create-mcp-server", Tag: tag, Status: 201, Creates: true, Summary: "Set up an MCP server",
		Notes: "The transport stdio starts a program on the studio's machine: for administrators of the installation, where the operator allows it. So is a server that a credential is sent to."}, s.createMCPServer)
	register(s, op{Method: "GET", Path: "/mcp/servers/{id}", ID: "get-mcp-server", Tag: tag, Summary: "One MCP server, and how its connection stands"}, s.getMCPServer)
	register(s, op{Method: "PUT", Path: "/mcp/servers/{id}", ID: "put-mcp-server", Tag: tag, Summary: "Change the fields that are sent"}, s.updateMCPServer)
	register(s, op{Method: "PATCH", Path: "/mcp/servers/{id}", ID: "update-mcp-server", Tag: tag, Summary: "Change the fields that are sent", Notes: "Its connections are closed; the next use opens them anew."}, s.updateMCPServer)
	register(s, op{Method: "DELETE", Path: "/mcp/servers/{id}", ID: "delete-mcp-server", Tag: tag, Status: 204, Summary: "Delete an MCP server"}, s.deleteMCPServer)
	register(s, op{Method: "POST", Path: "/mcp/servers/{id}/connect", ID: "connect-mcp-server", Tag: tag, Summary: "Connect now", Notes: "Every use connects by itself. 502 and 504 say why it does not work."}, s.connectMCPServer)
	register(s, op{Method: "POST", Path: "/mcp/servers/{id}/disconnect", ID: "disconnect-mcp-server", Tag: tag, Summary: "Close its connections, on every replica"}, s.disconnectMCPServer)
	register(s, op{Method: "GET", Path: "/mcp/servers/{id}/tools", ID: "list-mcp-tools", Tag: tag, Summary: "The tools it offers"}, s.listMCPTools)
	register(s, op{Method: "GET", Path: "/mcp/servers/{id}/resources", ID: "list-mcp-resources", Tag: tag, Summary: "What it lets one read"}, s.listMCPResources)
	register(s, op{Method: "GET", Path: "/mcp/servers/{id}/prompts", ID: "list-mcp-prompts", Tag: tag, Summary: "The prompts it offers"}, s.listMCPPrompts)
	register(s, op{Method: "POST", Path: "/mcp/servers/{id}/tools/{name}/call", ID: "call-mcp-tool", Tag: tag, Summary: "Try a tool",
		Notes: "The arguments are checked against the tool's schema first; an answer with is_error is the tool's own failure."}, s.callMCPTool)
}

func (s *Server) listMCPTemplates(context.Context, access.Actor, *none) (*Body[List[MCPTemplate]], error) {
	all := mcp.Templates()
	return &Body[List[MCPTemplate]]{List[MCPTemplate]{Items: views(all, viewMCPTemplate), Total: len(all)}}, nil
}

type listMCPServersInput struct {
	Paging
	InWorkspace
	Query     string `query:"query" maxLength:"255" doc:"In name or description, in any case"`
	Transport string `query:"transport" enum:"stdio,http,sse"`
	Category  string `query:"category" maxLength:"64"`
	Sort      string `query:"sort" enum:"updated_at,-updated_at,created_at,-created_at,name,-name" doc:"Default -updated_at"`
}

func (s *Server) listMCPServers(ctx context.Context, by access.Actor, in *listMCPServersInput) (*Body[Page[MCPServer]], error) {
	f := mcp.Filter{Query: in.Query, Transport: mcp.Transport(in.Transport), Category: in.Category, Sort: in.Sort, Limit: in.Limit, Offset: in.Offset}
	items, total, err := s.MCPServers.List(ctx, by, workspaceOr(by, in.WorkspaceID), f)
	if err != nil {
		return nil, err
	}
	return pageOf(items, total, in.Paging, viewMCPServer), nil
}

type createMCPServerInput struct {
	Body struct {
		WorkspaceID string `json:"workspace_id,omitempty" format:"uuid" doc:"Left out: the personal workspace, or the one of the API key"`
		Name        string `json:"name" maxLength:"100" doc:"Its tools are called mcp/<name>/<tool>"`
		MCPServerFields
	}
}

func (s *Server) createMCPServer(ctx context.Context, by access.Actor, in *createMCPServerInput) (*oneMCPServer, error) {
	d := mcp.Definition{Name: in.Body.Name, AutoReconnect: true}
	in.Body.apply(&d)
	out, err := answerMCPServer(s.MCPServers.Create(ctx, by, workspaceOr(by, in.Body.WorkspaceID), d))
	if err == nil {
		out.Location = base + "/mcp/servers/" + out.Body.ID
	}
	return out, err
}

func (s *Server) getMCPServer(ctx context.Context, by access.Actor, in *IDPath) (*oneMCPServer, error) {
	return answerMCPServer(s.MCPServers.Find(ctx, by, in.ID))
}

type updateMCPServerInput struct {
	IDPath
	Match
	Body struct {
		Name *string `json:"name,omitempty" maxLength:"100"`
		MCPServerFields
	}
}

func (s *Server) updateMCPServer(ctx context.Context, by access.Actor, in *updateMCPServerInput) (*oneMCPServer, error) {
	return answerMCPServer(s.MCPServers.Update(ctx, by, in.ID, in.tag(), func(d *mcp.Definition) {
		set(&d.Name, in.Body.Name)
		in.Body.apply(d)
	}))
}

type deleteMCPServerInput struct {
	IDPath
	Match
}

func (s *Server) deleteMCPServer(ctx context.Context, by access.Actor, in *deleteMCPServerInput) (*none, error) {
	return nil, s.MCPServers.Delete(ctx, by, in.ID, in.tag())
}

func (s *Server) connectMCPServer(ctx context.Context, by access.Actor, in *IDPath) (*oneMCPServer, error) {
	return answerMCPServer(s.MCPServers.Connect(ctx, by, in.ID))
}

func (s *Server) disconnectMCPServer(ctx context.Context, by access.Actor, in *IDPath) (*oneMCPServer, error) {
	return answerMCPServer(s.MCPServers.Disconnect(ctx, by, in.ID))
}

func (s *Server) listMCPTools(ctx context.Context, by access.Actor, in *IDPath) (*Body[List[MCPTool]], error) {
	server, tools, err := s.MCPServers.Tools(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	return &Body[List[MCPTool]]{List[MCPTool]{Items: views(tools, func(t mcp.Tool) MCPTool { return viewMCPTool(server.Name, t) }), Total: len(tools)}}, nil
}

func (s *Server) listMCPResources(ctx context.Context, by access.Actor, in *IDPath) (*Body[List[mcp.Resource]], error) {
	found, err := s.MCPServers.Resources(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	return &Body[List[mcp.Resource]]{List[mcp.Resource]{Items: listed(found), Total: len(found)}}, nil
}

func (s *Server) listMCPPrompts(ctx context.Context, by access.Actor, in *IDPath) (*Body[List[mcp.Prompt]], error) {
	found, err := s.MCPServers.Prompts(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	return &Body[List[mcp.Prompt]]{List[mcp.Prompt]{Items: listed(found), Total: len(found)}}, nil
}

type callMCPToolInput struct {
	IDPath
	Name string `path:"name" maxLength:"512" doc:"As the server calls it; a slash in it is written %2F"`
	Body struct {
		Arguments map[string]any `json:"arguments,omitempty"`
	}
}

func (s *Server) callMCPTool(ctx context.Context, by access.Actor, in *callMCPToolInput) (*Body[MCPResult], error) {
	name, err := url.PathUnescape(in.Name)
	if err != nil {
		return nil, fault.New(fault.NotFound, "there is no tool of this name")
	}
	args := in.Body.Arguments
	if args == nil {
		args = map[string]any{}
	}
	began := s.cfg.Now()
	out, err := s.MCPServers.Call(ctx, by, in.ID, name, rawJSON(args))
	if err != nil {
		return nil, argumentsInBody(err)
	}
	return &Body[MCPResult]{MCPResult{Content: listed(out.Content), Structured: out.Structured, IsError: out.IsError, DurationMS: s.cfg.Now().Sub(began).Round(time.Millisecond).Milliseconds()}}, nil
}

// argumentsInBody places the faults of arguments inside the request's body.
func argumentsInBody(err error) error {
	f := fault.As(err)
	if f == nil || len(f.Details) == 0 {
		return err
	}
	placed := *f
	placed.Details = views(f.Details, func(d fault.Detail) fault.Detail { d.Location = "body." + d.Location; return d })
	return &placed
}
