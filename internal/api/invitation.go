package api

import (
	"context"

	"agentstudio/internal/access"
	"agentstudio/internal/workspace"
)

// Invitation asks an address to join a workspace.
type Invitation struct {
	ID            string                     `json:"id"`
	WorkspaceID   string                     `json:"workspace_id"`
	WorkspaceName string                     `json:"workspace_name"`
	Email         string                     `json:"email"`
	Role          access.Role                `json:"role"`
	Message       string                     `json:"message"`
	Status        workspace.InvitationStatus `json:"status"`
	InvitedBy     string                     `json:"invited_by"`
	CreatedAt     Time                       `json:"created_at"`
	ExpiresAt     Time                       `json:"expires_at"`
	AnsweredAt    *Time                      `json:"answered_at"`
}

func viewInvitation(i workspace.Invitation) Invitation {
	return Invitation{ID: i.ID, WorkspaceID: i.WorkspaceID, WorkspaceName: i.WorkspaceName, Email: i.Email, Role: i.Role, Message: i.Message, Status: i.Status,
		InvitedBy: i.InvitedBy, CreatedAt: Time(i.CreatedAt), ExpiresAt: Time(i.ExpiresAt), AnsweredAt: whenPtr(i.AnsweredAt)}
}

func answerInvitation(i workspace.Invitation, err error) (*Body[Invitation], error) {
	if err != nil {
		return nil, err
	}
	return &Body[Invitation]{viewInvitation(i)}, nil
}

func (s *Server) invitationRoutes() {
	register(s, op{Method: "POST", Path: "/workspaces/{id}/invite", ID: "invite", Tag: "workspaces", Status: 201, Creates: true, Summary: "Invite an address by mail",
		Notes: "When the letter cannot be sent (502), the invitation stands and can be sent again."}, s.invite)
	register(s, op{Method: "GET", Path: "/invitations", ID: "list-invitations", Tag: "workspaces",
		Summary: "The open invitations to oneself or, with workspace_id, those of a workspace one manages"}, s.listInvitations)
	register(s, op{Method: "POST", Path: "/invitations/{token}/accept", ID: "accept-invitation", Tag: "workspaces", Summary: "Join the workspace",
		Notes: "By the token of the letter or the invitation's id; only the invited address may."}, s.acceptInvitation)
	register(s, op{Method: "POST", Path: "/invitations/{token}/decline", ID: "decline-invitation", Tag: "workspaces", Summary: "Turn an invitation down"}, s.declineInvitation)
	register(s, op{Method: "POST", Path: "/invitations/{id}/resend", ID: "resend-invitation", Tag: "workspaces", Summary: "Send a new letter; the old link dies"}, s.resendInvitation)
	register(s, op{Method: "DELETE", Path: "/invitations/{id}", ID: "withdraw-invitation", Tag: "workspaces", Status: 204, Summary: "Take an invitation back"}, s.withdrawInvitation)
}

type inviteInput struct {
	IDPath
	Body struct {
		Email   string `json:"email" maxLength:"320"`
		Role    string `json:"role" maxLength:"50" doc:"admin, editor or viewer"`
		Message string `json:"message,omitempty" maxLength:"1000"`
	}
}

func (s *Server) invite(ctx context.Context, by access.Actor, in *inviteInput) (*Body[Invitation], error) {
	role, err := parseRole(in.Body.Role)
	if err != nil {
		return nil, err
	}
	return answerInvitation(s.Workspaces.Invite(ctx, by, in.ID, in.Body.Email, role, in.Body.Message))
}

type listInvitationsInput struct {
	Paging
	WorkspaceID string `query:"workspace_id" format:"uuid" doc:"Left out: the invitations to oneself"`
}

func (s *Server) listInvitations(ctx context.Context, by access.Actor, in *listInvitationsInput) (*Body[Page[Invitation]], error) {
	items, total, err := s.Workspaces.Invitations(ctx, by, in.WorkspaceID, in.Limit, in.Offset)
	if err != nil {
		return nil, err
	}
	return pageOf(items, total, in.Paging, viewInvitation), nil
}

type tokenPath struct {
	Token string `path:"token" maxLength:"200"`
}

func (s *Server) acceptInvitation(ctx context.Context, by access.Actor, in *tokenPath) (*Body[Invitation], error) {
	return answerInvitation(s.Workspaces.Answer(ctx, by, in.Token, true))
}

func (s *Server) declineInvitation(ctx context.Context, by access.Actor, in *tokenPath) (*Body[Invitation], error) {
	return answerInvitation(s.Workspaces.Answer(ctx, by, in.Token, false))
}

func (s *Server) resendInvitation(ctx context.Context, by access.Actor, in *IDPath) (*Body[Invitation], error) {
	return answerInvitation(s.Workspaces.Resend(ctx, by, in.ID))
}

func (s *Server) withdrawInvitation(ctx context.Context, by access.Actor, in *IDPath) (*none, error) {
	return nil, s.Workspaces.Withdraw(ctx, by, in.ID)
}
