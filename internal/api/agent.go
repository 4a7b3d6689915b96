package api

import (
	"context"
	"strings"

	"agentstudio/internal/access"
	"agentstudio/internal/agent"
)

func (s *Server) agentRoutes() {
	register(s, op{Method: "GET", Path: "/agents", ID: "list-agents", Tag: "agents", Summary: "Agents of a workspace"}, s.listAgents)
	register(s, op{Method: "POST", Path: "/agents", ID: "create-agent", Tag: "agents", Status: 201, Creates: true, Summary: "Save an agent"}, s.createAgent)
	register(s, op{Method: "GET", Path: "/agents/{id}", ID: "get-agent", Tag: "agents", Summary: "One agent"}, s.getAgent)
	register(s, op{Method: "PUT", Path: "/agents/{id}", ID: "put-agent", Tag: "agents", Summary: "Change the fields that are sent"}, s.updateAgent)
	register(s, op{Method: "PATCH", Path: "/agents/{id}", ID: "update-agent", Tag: "agents", Summary: "Change the fields that are sent"}, s.updateAgent)
	register(s, op{Method: "DELETE", Path: "/agents/{id}", ID: "delete-agent", Tag: "agents", Status: 204, Summary: "Delete an agent",
		Notes: "409 while other agents name it. Nodes that name it fail with unknown_agent from then on; runs that have begun go on."}, s.deleteAgent)
	register(s, op{Method: "POST", Path: "/agents/{id}/duplicate", ID: "duplicate-agent", Tag: "agents", Status: 201, Creates: true, Summary: "Make a copy"}, s.duplicateAgent)
}

type listAgentsInput struct {
	Paging
	InWorkspace
	Query string   `query:"query" maxLength:"255" doc:"In name or description, in any case"`
	Type  string   `query:"type" enum:"agent,code,vision,research,router,extract,evaluate"`
	Role  string   `query:"role" enum:"coordinator,specialist,executor,validator"`
	Tags  []string `query:"tags,explode" maxItems:"20" doc:"Any of them"`
	Sort  string   `query:"sort" enum:"updated_at,-updated_at,created_at,-created_at,name,-name" doc:"Default -updated_at"`
}

func (s *Server) listAgents(ctx context.Context, by access.Actor, in *listAgentsInput) (*Body[Page[Agent]], error) {
	f := agent.Filter{Query: in.Query, Type: agent.Type(in.Type), Role: agent.Role(in.Role), Tags: in.Tags, Sort: in.Sort, Limit: in.Limit, Offset: in.Offset}
	items, total, err := s.Agents.List(ctx, by, workspaceOr(by, in.WorkspaceID), f)
	if err != nil {
		return nil, err
	}
	return pageOf(items, total, in.Paging, viewAgent), nil
}

type createAgentInput struct {
	Body struct {
		WorkspaceID string `json:"workspace_id,omitempty" format:"uuid" doc:"Left out: the personal workspace, or the one of the API key"`
		Name        string `json:"name" maxLength:"255"`
		AgentFields
	}
}

func (s *Server) createAgent(ctx context.Context, by access.Actor, in *createAgentInput) (*oneAgent, error) {
	d := agent.Definition{Name: in.Body.Name}
	in.Body.apply(&d)
	return newAgent(s.Agents.Create(ctx, by, workspaceOr(by, in.Body.WorkspaceID), d))
}

func (s *Server) getAgent(ctx context.Context, by access.Actor, in *IDPath) (*oneAgent, error) {
	return answerAgent(s.Agents.Find(ctx, by, in.ID))
}

type updateAgentInput struct {
	IDPath
	Match
	Body struct {
		Name *string `json:"name,omitempty" maxLength:"255"`
		AgentFields
	}
}

func (s *Server) updateAgent(ctx context.Context, by access.Actor, in *updateAgentInput) (*oneAgent, error) {
	return answerAgent(s.Agents.Update(ctx, by, in.ID, in.tag(), func(d *agent.Definition) {
		set(&d.Name, in.Body.Name)
		in.Body.apply(d)
	}))
}

type deleteAgentInput struct {
	IDPath
	Match
}

func (s *Server) deleteAgent(ctx context.Context, by access.Actor, in *deleteAgentInput) (*none, error) {
	return nil, s.Agents.Delete(ctx, by, in.ID, in.tag())
}

type duplicateAgentInput struct {
	IDPath
	Body *struct {
		Name string `json:"name,omitempty" maxLength:"255" doc:"Left out: the name with (Copy)"`
	}
}

func (s *Server) duplicateAgent(ctx context.Context, by access.Actor, in *duplicateAgentInput) (*oneAgent, error) {
	name := ""
	if in.Body != nil {
		name = strings.TrimSpace(in.Body.Name)
	}
	return newAgent(s.Agents.Duplicate(ctx, by, in.ID, name))
}
