package mcp

import (
	"context"
	"fmt"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/limit"
	"agentstudio/internal/tool"
)

// Source offers the tools of a workspace's servers to agents and nodes, as
// mcp/<server>/<tool>.
type Source struct {
	store  Store
	pool   *Pool
	limits func(name string) limit.Rate
}

// NewSource returns the tools of all servers. limits says how often a workspace
// may use one, by its full name; nil: as often as it likes.
func NewSource(store Store, pool *Pool, limits func(name string) limit.Rate) *Source {
	return &Source{store: store, pool: pool, limits: limits}
}

var _ tool.Source = (*Source)(nil)

// Tools implements tool.Source: as the servers were found last.
func (s *Source) Tools(ctx context.Context, workspaceID string) ([]tool.Tool, error) {
	servers, _, err := s.store.List(ctx, workspaceID, Filter{Sort: "name", Limit: MaxPerWorkspace})
	if err != nil {
		return nil, err
	}
	var out []tool.Tool
	for _, server := range servers {
		for _, t := range server.Tools {
			out = append(out, s.tool(&server, t))
		}
	}
	return out, nil
}

// Check implements tool.Source: the server must be there; whether it offers
// the tool is known only when it is asked.
func (s *Source) Check(ctx context.Context, workspaceID, name string) error {
	_, _, err := s.server(ctx, workspaceID, name)
	return err
}

func (s *Source) server(ctx context.Context, workspaceID, name string) (*Server, string, error) {
	of, called, ok := splitName(name)
	if !ok {
		return nil, "", fault.New(fault.NotFound, "there is no tool %q: those of mcp servers are called mcp/<server>/<tool>", name)
	}
	server, err := s.store.Named(ctx, workspaceID, of)
	if !fault.Is(err, fault.NotFound) {
		return server, called, err
	}
	servers, _, err := s.store.List(ctx, workspaceID, Filter{Limit: MaxPerWorkspace})
	if err != nil {
		return nil, "", err
	}
	names := make([]string, len(servers))
	for i := range servers {
		names[i] = servers[i].Name
	}
	return nil, "", fault.New(fault.NotFound, "the workspace has no mcp server %q%s", of, fault.DidYouMean(of, names))
}

// Find implements tool.Source. A tool that was found before is taken as it was:
// the server is reached when the tool is called.
func (s *Source) Find(ctx context.Context, workspaceID, name string) (tool.Tool, error) {
	server, called, err := s.server(ctx, workspaceID, name)
	if err != nil {
		return tool.Tool{}, err
	}
	for _, t := range server.Tools {
		if t.Name == called {
			return s.tool(server, t), nil
		}
	}
	l, err := s.pool.connected(ctx, server)
	if err != nil {
		return tool.Tool{}, err
	}
	t, err := l.tool(called)
	if err != nil {
		return tool.Tool{}, err
	}
	return s.tool(server, t), nil
}

func (s *Source) tool(server *Server, t Tool) tool.Tool {
	id, workspaceID := server.ID, server.WorkspaceID
	description := t.Description
	if description == "" {
		description = t.Label()
	}
	return tool.Tool{
		Spec: tool.Spec{Name: ToolName(server.Name, t.Name), Title: t.Label(), Description: description, Category: "mcp", Schema: t.InputSchema, Risk: t.Risk(), Effect: !t.ReadOnly,
			Limit: rate(s.limits, ToolName(server.Name, t.Name)), Restrictions: restrictions(server, t)},
		Run: func(ctx context.Context, call tool.Call) (tool.Result, error) {
			server, err := s.store.Find(ctx, workspaceID, id) // as it is now
			if err != nil {
				return tool.Result{}, err
			}
			use := Use{Tool: t.Name, Args: call.Args, Key: call.Key}
			if call.Progress != nil {
				use.Progress = func(p Progress) { call.Progress(p.String()) }
			}
			out, err := s.pool.Call(ctx, server, use)
			if err != nil {
				return tool.Result{}, err
			}
			if out.IsError {
				return tool.Result{}, fault.New(fault.Invalid, "%s", orSomething(out.Text(), t.Name)).WithCode("tool_error")
			}
			return tool.Result{Text: out.Text(), Value: out.Value()}, nil
		},
	}
}

func rate(limits func(string) limit.Rate, name string) limit.Rate {
	if limits == nil {
		return limit.Rate{}
	}
	return limits(name)
}

// restrictions are what is known of a tool that others run.
func restrictions(server *Server, t Tool) []string {
	said := []string{fmt.Sprintf("Runs at the MCP server %s; a call takes %s at most.", server.Name, limit.Spoken(server.Timeout))}
	if t.ReadOnly {
		said = append(said, "The server says that it reads only.")
	}
	return said
}

func orSomething(text, name string) string {
	if strings.TrimSpace(text) == "" {
		return fmt.Sprintf("the tool %s failed and did not say why", name)
	}
	return text
}

// String is the progress in words.
func (p Progress) String() string {
	far := fmt.Sprintf("%g", p.Done)
	if p.Total > 0 {
		far = fmt.Sprintf("%g of %g", p.Done, p.Total)
	}
	if p.Message == "" {
		return far
	}
	return far + ": " + p.Message
}
