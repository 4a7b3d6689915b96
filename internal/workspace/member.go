package workspace

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
)

// Members lists who is in a workspace, oldest first.
func (s *Service) Members(ctx context.Context, by access.Actor, id string, limit, offset int) ([]Member, int, error) {
	if err := by.Need(id, access.Read); err != nil {
		return nil, 0, err
	}
	return s.store.Members(ctx, id, limit, offset)
}

// SetRole changes a member's role. Only owners make or change owners.
func (s *Service) SetRole(ctx context.Context, by access.Actor, id, userID string, role access.Role) (Member, error) {
	if err := needAs(by, id, access.ManageMembers); err != nil {
		return Member{}, err
	}
	m, err := s.store.Member(ctx, id, userID)
	if err != nil {
		return m, err
	}
	if (role == access.Owner || m.Role == access.Owner) && by.Roles[id] != access.Owner {
		return m, fault.New(fault.Forbidden, "only an owner may make or change an owner")
	}
	a := NewActivity(by, id, "member.role_changed", "member", userID, map[string]any{"role": m.Role}, map[string]any{"role": role}, s.now())
	if err := s.store.SetRole(ctx, id, userID, role, a); err != nil {
		return m, err
	}
	m.Role = role
	return m, nil
}

// Remove takes a member out. Everybody may leave; the last owner may not.
func (s *Service) Remove(ctx context.Context, by access.Actor, id, userID string) error {
	need := access.ManageMembers
	if userID == by.UserID {
		need = access.Read
	}
	if err := needAs(by, id, need); err != nil {
		return err
	}
	m, err := s.store.Member(ctx, id, userID)
	if err != nil {
		return err
	}
	if m.Role == access.Owner && by.Roles[id] != access.Owner {
		return fault.New(fault.Forbidden, "only an owner may remove an owner")
	}
	return s.store.RemoveMember(ctx, id, userID, NewActivity(by, id, "member.removed", "member", userID, map[string]any{"role": m.Role}, nil, s.now()))
}

// Transfer gives the workspace to another member; the actor becomes an admin.
func (s *Service) Transfer(ctx context.Context, by access.Actor, id, userID string) (Workspace, error) {
	if err := needAs(by, id, access.OwnWorkspace); err != nil {
		return Workspace{}, err
	}
	w, err := s.store.ByID(ctx, id, by.UserID)
	if err != nil {
		return w, err
	}
	if w.IsPersonal {
		return w, fault.New(fault.Conflict, "a personal workspace cannot be given away")
	}
	if userID == by.UserID {
		return w, fault.New(fault.Conflict, "you own this workspace already")
	}
	a := NewActivity(by, id, "workspace.transferred", "workspace", id, map[string]any{"owner": by.UserID}, map[string]any{"owner": userID}, s.now())
	if err := s.store.Transfer(ctx, id, by.UserID, userID, a); err != nil {
		return w, err
	}
	w.Role = access.Admin
	return w, nil
}

// Invite mails an invitation. The token is in the letter only.
func (s *Service) Invite(ctx context.Context, by access.Actor, id, email string, role access.Role, message string) (Invitation, error) {
	if err := needAs(by, id, access.ManageMembers); err != nil {
		return Invitation{}, err
	}
	email = strings.ToLower(strings.TrimSpace(email))
	if err := checkInvite(email, role, message); err != nil {
		return Invitation{}, err
	}
	w, err := s.store.ByID(ctx, id, by.UserID)
	if err != nil {
		return Invitation{}, err
	}
	token, hash, err := s.newToken()
	if err != nil {
		return Invitation{}, err
	}
	now := s.now()
	i := Invitation{ID: s.cfg.NewID(), WorkspaceID: id, WorkspaceName: w.Name, Email: email, Role: role, Message: message, Status: Pending,
		InvitedBy: by.UserID, CreatedAt: now, ExpiresAt: now.Add(InvitationTTL)}
	a := NewActivity(by, id, "member.invited", "invitation", i.ID, nil, map[string]any{"email": email, "role": role}, now)
	if err := s.store.Invite(ctx, i, hash, maxInvitations, a); err != nil {
		return Invitation{}, err
	}
	return i, s.mail(ctx, by, i, token)
}

func checkInvite(email string, role access.Role, message string) error {
	var bad []fault.Detail
	if a, err := mail.ParseAddress(email); err != nil || a.Address != email || len(email) > 254 {
		bad = append(bad, fault.Detail{Location: "body.email", Message: "this is not an e-mail address"})
	}
	if role != access.Admin && role != access.Editor && role != access.Viewer {
		bad = append(bad, fault.Detail{Location: "body.role", Message: "must be admin, editor or viewer"})
	}
	if utf8.RuneCountInString(message) > 1000 {
		bad = append(bad, fault.Detail{Location: "body.message", Message: "at most 1000 characters"})
	}
	if len(bad) > 0 {
		return fault.InvalidInput(bad...)
	}
	return nil
}

func (s *Service) newToken() (token, hash string, err error) {
	var b [32]byte
	if _, err := io.ReadFull(s.cfg.Random, b[:]); err != nil {
		return "", "", fmt.Errorf("read randomness: %w", err)
	}
	token = "asi_" + base64.RawURLEncoding.EncodeToString(b[:])
	return token, hashToken(token), nil
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// mail sends the letter. The invitation stands when it fails: it can be resent.
func (s *Service) mail(ctx context.Context, by access.Actor, i Invitation, token string) error {
	name := strings.Join(strings.Fields(i.WorkspaceName), " ")
	text := fmt.Sprintf("%s invites you to the workspace %q as %s.\n\n", by.Email, name, i.Role)
	if i.Message != "" {
		text += i.Message + "\n\n"
	}
	text += fmt.Sprintf("Accept: %s/invitations/%s\n\nThe invitation is good for seven days and for this address only.\n", s.cfg.PublicURL, token)
	return s.mailer.Send(ctx, i.Email, "An invitation to "+name, text)
}

// Invitations lists the open ones to the actor's address, or, with a
// workspace, those of the workspace, which its admins may see.
func (s *Service) Invitations(ctx context.Context, by access.Actor, workspaceID string, limit, offset int) ([]Invitation, int, error) {
	if workspaceID == "" {
		if err := signedIn(by); err != nil {
			return nil, 0, err
		}
		return s.store.Invitations(ctx, "", by.Email, s.now(), limit, offset)
	}
	if err := by.Need(workspaceID, access.ManageMembers); err != nil {
		return nil, 0, err
	}
	return s.store.Invitations(ctx, workspaceID, "", s.now(), limit, offset)
}

// Answer accepts or declines an invitation to the actor's own address, named
// by its token or, since the address is proven, by its id.
func (s *Service) Answer(ctx context.Context, by access.Actor, token string, accept bool) (Invitation, error) {
	if err := signedIn(by); err != nil {
		return Invitation{}, err
	}
	i, err := s.store.InvitationByToken(ctx, hashToken(token), token)
	if err != nil {
		return i, err
	}
	if i.Email != by.Email {
		return Invitation{}, fault.New(fault.NotFound, "there is no such invitation, or it is not yours")
	}
	now := s.now()
	if err := open(i, now); err != nil {
		return i, err
	}
	i.Status = Declined
	action := "invitation.declined"
	if accept {
		i.Status, action = Accepted, "member.joined"
	}
	i.AnsweredAt = &now
	a := NewActivity(by, i.WorkspaceID, action, "invitation", i.ID, nil, map[string]any{"role": i.Role}, now)
	return i, s.store.Answer(ctx, i, by.UserID, accept, a)
}

func open(i Invitation, now time.Time) error {
	if i.Status != Pending {
		return fault.New(fault.Conflict, "this invitation is %s already", i.Status)
	}
	if !now.Before(i.ExpiresAt) {
		return fault.New(fault.Conflict, "this invitation has expired: ask for a new one")
	}
	return nil
}

// managed loads an invitation of a workspace whose members the actor manages.
func (s *Service) managed(ctx context.Context, by access.Actor, id string) (Invitation, error) {
	if err := signedIn(by); err != nil {
		return Invitation{}, err
	}
	i, err := s.store.Invitation(ctx, id)
	if err != nil {
		return i, err
	}
	return i, by.Need(i.WorkspaceID, access.ManageMembers)
}

// Withdraw deletes an invitation.
func (s *Service) Withdraw(ctx context.Context, by access.Actor, id string) error {
	i, err := s.managed(ctx, by, id)
	if err != nil {
		return err
	}
	return s.store.Withdraw(ctx, i, NewActivity(by, i.WorkspaceID, "invitation.withdrawn", "invitation", id, map[string]any{"email": i.Email}, nil, s.now()))
}

// Resend mails a new letter; the link in the old one dies.
func (s *Service) Resend(ctx context.Context, by access.Actor, id string) (Invitation, error) {
	i, err := s.managed(ctx, by, id)
	if err != nil {
		return Invitation{}, err
	}
	if i.Status != Pending && i.Status != Expired {
		return i, fault.New(fault.Conflict, "this invitation is %s already", i.Status)
	}
	token, hash, err := s.newToken()
	if err != nil {
		return i, err
	}
	now := s.now()
	i.Status, i.ExpiresAt = Pending, now.Add(InvitationTTL)
	a := NewActivity(by, i.WorkspaceID, "invitation.resent", "invitation", id, nil, map[string]any{"email": i.Email}, now)
	if err := s.store.Resend(ctx, i, hash, a); err != nil {
		return i, err
	}
	return i, s.mail(ctx, by, i, token)
}
