package api

import (
	"context"
	"strconv"

	"agentstudio/internal/access"
	"agentstudio/internal/workspace"
)

// Workspace owns workflows, executions and everything else.
type Workspace struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Slug        string      `json:"slug" doc:"Its name in addresses, such as those of webhooks"`
	Description string      `json:"description"`
	IsPersonal  bool        `json:"is_personal"`
	Role        access.Role `json:"role" doc:"What the one who asks is in it"`
	CreatedBy   string      `json:"created_by"`
	Version     int64       `json:"version"`
	CreatedAt   Time        `json:"created_at"`
	UpdatedAt   Time        `json:"updated_at"`
}

func viewWorkspace(w workspace.Workspace) Workspace {
	return Workspace{ID: w.ID, Name: w.Name, Slug: w.Slug, Description: w.Description, IsPersonal: w.IsPersonal, Role: w.Role, CreatedBy: w.CreatedBy,
		Version: w.Version, CreatedAt: Time(w.CreatedAt), UpdatedAt: Time(w.UpdatedAt)}
}

type oneWorkspace struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     Workspace
}

func answerWorkspace(w workspace.Workspace, err error) (*oneWorkspace, error) {
	if err != nil {
		return nil, err
	}
	return &oneWorkspace{ETag: quoted(strconv.FormatInt(w.Version, 10)), Body: viewWorkspace(w)}, nil
}

func (s *Server) workspaceRoutes() {
	register(s, op{Method: "GET", Path: "/workspaces", ID: "list-workspaces", Tag: "workspaces", Summary: "The workspaces one can see, by name"}, s.listWorkspaces)
	register(s, op{Method: "POST", Path: "/workspaces", ID: "create-workspace", Tag: "workspaces", Status: 201, Creates: true, Summary: "Make a workspace, as its owner"}, s.createWorkspace)
	register(s, op{Method: "GET", Path: "/workspaces/{id}", ID: "get-workspace", Tag: "workspaces", Summary: "One workspace"}, s.getWorkspace)
	register(s, op{Method: "PUT", Path: "/workspaces/{id}", ID: "put-workspace", Tag: "workspaces", Summary: "Change the fields that are sent"}, s.updateWorkspace)
	register(s, op{Method: "PATCH", Path: "/workspaces/{id}", ID: "update-workspace", Tag: "workspaces", Summary: "Change the fields that are sent"}, s.updateWorkspace)
	register(s, op{Method: "DELETE", Path: "/workspaces/{id}", ID: "delete-workspace", Tag: "workspaces", Status: 204, Summary: "Delete a workspace with everything in it"}, s.deleteWorkspace)
	register(s, op{Method: "POST", Path: "/workspaces/{id}/transfer", ID: "transfer-workspace", Tag: "workspaces", Summary: "Make another member the owner and oneself an admin"}, s.transferWorkspace)
}

func (s *Server) listWorkspaces(ctx context.Context, by access.Actor, in *Paging) (*Body[Page[Workspace]], error) {
	items, total, err := s.Workspaces.List(ctx, by, in.Limit, in.Offset)
	if err != nil {
		return nil, err
	}
	return pageOf(items, total, *in, viewWorkspace), nil
}

type createWorkspaceInput struct {
	Body struct {
		Name        string `json:"name" maxLength:"255"`
		Slug        string `json:"slug,omitempty" maxLength:"63" doc:"Left out: made from the name"`
		Description string `json:"description,omitempty" maxLength:"2000"`
	}
}

func (s *Server) createWorkspace(ctx context.Context, by access.Actor, in *createWorkspaceInput) (*oneWorkspace, error) {
	f := workspace.Fields{Name: &in.Body.Name, Slug: optional(in.Body.Slug), Description: &in.Body.Description}
	out, err := answerWorkspace(s.Workspaces.Create(ctx, by, f))
	if err == nil {
		out.Location = base + "/workspaces/" + out.Body.ID
	}
	return out, err
}

func (s *Server) getWorkspace(ctx context.Context, by access.Actor, in *IDPath) (*oneWorkspace, error) {
	return answerWorkspace(s.Workspaces.ByID(ctx, by, in.ID))
}

type updateWorkspaceInput struct {
	IDPath
	Match
	Body struct {
		Name        *string      `json:"name,omitempty" maxLength:"255"`
		Slug        *string      `json:"slug,omitempty" maxLength:"63"`
		Description nullableText `json:"description,omitempty" required:"false"`
	}
}

func (s *Server) updateWorkspace(ctx context.Context, by access.Actor, in *updateWorkspaceInput) (*oneWorkspace, error) {
	f := workspace.Fields{Name: in.Body.Name, Slug: in.Body.Slug, Description: in.Body.Description.text()}
	return answerWorkspace(s.Workspaces.Update(ctx, by, in.ID, in.version(), f))
}

func (s *Server) deleteWorkspace(ctx context.Context, by access.Actor, in *IDPath) (*none, error) {
	return nil, s.Workspaces.Delete(ctx, by, in.ID)
}

type transferInput struct {
	IDPath
	Body struct {
		UserID string `json:"user_id" format:"uuid"`
	}
}

func (s *Server) transferWorkspace(ctx context.Context, by access.Actor, in *transferInput) (*oneWorkspace, error) {
	return answerWorkspace(s.Workspaces.Transfer(ctx, by, in.ID, in.Body.UserID))
}
