package api

import (
	"context"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/workspace"
)

// Member is a person's place in a workspace.
type Member struct {
	WorkspaceID string      `json:"workspace_id"`
	UserID      string      `json:"user_id"`
	Email       string      `json:"email"`
	FullName    string      `json:"full_name"`
	AvatarURL   *string     `json:"avatar_url"`
	Role        access.Role `json:"role"`
	JoinedAt    Time        `json:"joined_at"`
}

func viewMember(m workspace.Member) Member {
	return Member{WorkspaceID: m.WorkspaceID, UserID: m.UserID, Email: m.Email, FullName: m.FullName, AvatarURL: m.AvatarURL, Role: m.Role, JoinedAt: Time(m.JoinedAt)}
}

func (s *Server) memberRoutes() {
	register(s, op{Method: "GET", Path: "/workspaces/{id}/members", ID: "list-members", Tag: "workspaces", Summary: "Who is in a workspace, oldest first"}, s.listMembers)
	register(s, op{Method: "PATCH", Path: "/workspaces/{id}/members/{user_id}", ID: "set-role", Tag: "workspaces", Summary: "Change a member's role"}, s.setRole)
	register(s, op{Method: "DELETE", Path: "/workspaces/{id}/members/{user_id}", ID: "remove-member", Tag: "workspaces", Status: 204,
		Summary: "Take a member out, or leave", Notes: "The last owner cannot go."}, s.removeMember)
}

type listMembersInput struct {
	IDPath
	Paging
}

func (s *Server) listMembers(ctx context.Context, by access.Actor, in *listMembersInput) (*Body[Page[Member]], error) {
	items, total, err := s.Workspaces.Members(ctx, by, in.ID, in.Limit, in.Offset)
	if err != nil {
		return nil, err
	}
	return pageOf(items, total, in.Paging, viewMember), nil
}

type MemberPath struct {
	IDPath
	UserID string `path:"user_id" format:"uuid"`
}

type setRoleInput struct {
	MemberPath
	Body struct {
		Role string `json:"role" maxLength:"50" doc:"owner, admin, editor or viewer"`
	}
}

func (s *Server) setRole(ctx context.Context, by access.Actor, in *setRoleInput) (*Body[Member], error) {
	role, err := parseRole(in.Body.Role)
	if err != nil {
		return nil, err
	}
	m, err := s.Workspaces.SetRole(ctx, by, in.ID, in.UserID, role)
	if err != nil {
		return nil, err
	}
	return &Body[Member]{viewMember(m)}, nil
}

func parseRole(text string) (access.Role, error) {
	role, err := access.ParseRole(text)
	if err != nil {
		return "", wanted("body.role", fault.Message(err))
	}
	return role, nil
}

func (s *Server) removeMember(ctx context.Context, by access.Actor, in *MemberPath) (*none, error) {
	err := s.Workspaces.Remove(ctx, by, in.ID, in.UserID)
	s.recheck(ctx, in.UserID)
	return nil, err
}
