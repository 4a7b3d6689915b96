// Package workspace is about the places people share: who is a member, who is
// invited, and what was done there.
package workspace

import (
	"context"
	"encoding/json"
	"time"

	"agentstudio/internal/access"
)

// InvitationTTL is how long an invitation can be accepted.
const InvitationTTL = 7 * 24 * time.Hour

const (
	maxOwned       = 100 // workspaces one person may make
	maxInvitations = 500 // open ones of a workspace
)

// Workspace owns workflows, agents, files and executions.
type Workspace struct {
	ID          string
	Name        string
	Slug        string
	Description string
	IsPersonal  bool
	CreatedBy   string
	Version     int64
	CreatedAt   time.Time
	UpdatedAt   time.Time
	// Role is what the one who asks is in it.
	Role access.Role
}

// Member is a person's place in a workspace.
type Member struct {
	WorkspaceID string
	UserID      string
	Email       string
	FullName    string
	AvatarURL   *string
	Role        access.Role
	JoinedAt    time.Time
}

// InvitationStatus says what became of an invitation.
type InvitationStatus string

// The states of an invitation. Expired is pending past its time.
const (
	Pending  InvitationStatus = "pending"
	Accepted InvitationStatus = "accepted"
	Declined InvitationStatus = "declined"
	Expired  InvitationStatus = "expired"
)

// Invitation asks an address to join a workspace.
type Invitation struct {
	ID            string
	WorkspaceID   string
	WorkspaceName string
	Email         string
	Role          access.Role
	Message       string
	Status        InvitationStatus
	InvitedBy     string
	CreatedAt     time.Time
	ExpiresAt     time.Time
	AnsweredAt    *time.Time
}

// Activity is one thing somebody did. Entries are never changed; each carries
// the hash of the one before it.
type Activity struct {
	ID           string
	WorkspaceID  string
	Seq          int64
	UserID       string
	UserEmail    string
	Action       string // "workflow.published"
	ResourceType string
	ResourceID   string
	Before       json.RawMessage // summary, or nil
	After        json.RawMessage
	IP           string
	UserAgent    string
	At           time.Time
}

// NewActivity notes what an actor did. The id and place in the chain come
// from the store.
func NewActivity(by access.Actor, workspaceID, action, resourceType, resourceID string, before, after any, now time.Time) Activity {
	return Activity{WorkspaceID: workspaceID, UserID: by.UserID, UserEmail: by.Email, Action: action, ResourceType: resourceType,
		ResourceID: resourceID, Before: summary(before), After: summary(after), IP: by.IP, UserAgent: by.UserAgent, At: now}
}

func summary(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

// ActivityFilter chooses entries, newest first.
type ActivityFilter struct {
	UserID string // only this person's; empty means everybody's
	Action string
	Before int64 // seq to go on from; 0 starts at the newest
	Limit  int
	Offset int
}

// Store keeps workspaces. Every method is one transaction and writes its
// activity in it; what is not there is a fault.NotFound.
type Store interface {
	Members
	Invitations
	// Create adds the workspace and its owner. Conflict when the owner has the most.
	Create(ctx context.Context, w Workspace, slugs []string, most int, a Activity) (Workspace, error)
	// Workspaces lists those the user is a member of, by name.
	Workspaces(ctx context.Context, userID string, limit, offset int) ([]Workspace, int, error)
	ByID(ctx context.Context, id, userID string) (Workspace, error)
	// Update saves name, description and slug; Stale when the version is not
	// the current one, Conflict when the slug is taken.
	Update(ctx context.Context, w Workspace, ifVersion int64, a Activity) (Workspace, error)
	Delete(ctx context.Context, id string) error
	Activity(ctx context.Context, workspaceID string, f ActivityFilter) ([]Activity, int, error)
}

// Members keeps who is in a workspace. Conflict when the last owner would go.
type Members interface {
	Members(ctx context.Context, workspaceID string, limit, offset int) ([]Member, int, error)
	Member(ctx context.Context, workspaceID, userID string) (Member, error)
	SetRole(ctx context.Context, workspaceID, userID string, role access.Role, a Activity) error
	RemoveMember(ctx context.Context, workspaceID, userID string, a Activity) error
	// Transfer makes to an owner and from an admin.
	Transfer(ctx context.Context, workspaceID, from, to string, a Activity) error
}

// Invitations keeps who may join.
type Invitations interface {
	// Invite adds an invitation and withdraws an expired one to the same address.
	// Conflict when the address is a member or has an open invitation.
	Invite(ctx context.Context, i Invitation, tokenHash string, most int, a Activity) error
	// Invitations lists a workspace's, or, without one, the open ones to an
	// address; newest first.
	Invitations(ctx context.Context, workspaceID, email string, now time.Time, limit, offset int) ([]Invitation, int, error)
	Invitation(ctx context.Context, id string) (Invitation, error)
	// InvitationByToken finds one by the hash of its token, or by its id.
	InvitationByToken(ctx context.Context, tokenHash, id string) (Invitation, error)
	// Answer accepts (which makes the user a member) or declines an open one.
	Answer(ctx context.Context, i Invitation, userID string, accept bool, a Activity) error
	Withdraw(ctx context.Context, i Invitation, a Activity) error
	// Resend gives an open one a new token and a new week.
	Resend(ctx context.Context, i Invitation, tokenHash string, a Activity) error
}
