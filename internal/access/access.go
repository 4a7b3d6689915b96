// Package access says who may do what: the actor behind a call, the four
// roles of a workspace, and the permissions each role holds.
package access

import (
	"agentstudio/internal/fault"
)

// Permission names something one may do in a workspace.
type Permission string

// The permissions, one per row of the role table.
const (
	Read            Permission = "read"              // see workflows, executions, agents, analytics, files
	Write           Permission = "write"             // create, edit, delete, publish workflows and agents
	Execute         Permission = "execute"           // execute, cancel, retry, approve
	UseTools        Permission = "use_tools"         // use tools, upload files
	UseSecrets      Permission = "use_secrets"       // refer to credentials and MCP servers
	ManageSecrets   Permission = "manage_secrets"    // create and change credentials and MCP servers
	ManageMembers   Permission = "manage_members"    // invite, remove, change roles, settings, budgets
	ReadActivity    Permission = "read_activity"     // see everybody's activity
	ReadOwnActivity Permission = "read_own_activity" // see one's own activity
	Bypass          Permission = "bypass"            // let agents use risky tools without anybody's consent; never by API key
	OwnWorkspace    Permission = "own_workspace"     // delete or transfer the workspace
)

// Role is what a member is in a workspace.
type Role string

// The roles, strongest first.
const (
	Owner  Role = "owner"
	Admin  Role = "admin"
	Editor Role = "editor"
	Viewer Role = "viewer"
)

// Roles lists every role, strongest first.
func Roles() []Role { return []Role{Owner, Admin, Editor, Viewer} }

// ParseRole reads a role; "administrator" is read as admin.
func ParseRole(s string) (Role, error) {
	switch s {
	case "owner", "admin", "editor", "viewer":
		return Role(s), nil
	case "administrator":
		return Admin, nil
	}
	return "", fault.New(fault.Invalid, "role %q is not one of owner, admin, editor, viewer", s)
}

// Holds reports whether the role has the permission.
func (r Role) Holds(p Permission) bool {
	switch p {
	case Read, ReadOwnActivity:
		return r == Owner || r == Admin || r == Editor || r == Viewer
	case Write, Execute, UseTools, UseSecrets:
		return r == Owner || r == Admin || r == Editor
	case ManageSecrets, ManageMembers, ReadActivity, Bypass:
		return r == Owner || r == Admin
	case OwnWorkspace:
		return r == Owner
	}
	return false
}

// Scope limits an API key. A key without scopes may do nothing.
type Scope string

// The scopes of API keys. Each includes the ones before it.
const (
	ScopeRead    Scope = "read"
	ScopeExecute Scope = "execute"
	ScopeWrite   Scope = "write"
)

func (s Scope) holds(p Permission) bool {
	switch p {
	case Read, ReadOwnActivity:
		return s == ScopeRead || s == ScopeExecute || s == ScopeWrite
	case Execute, UseTools, UseSecrets:
		return s == ScopeExecute || s == ScopeWrite
	case Write:
		return s == ScopeWrite
	}
	return false
}

// Actor is who is behind a call. The zero Actor is nobody and holds nothing.
type Actor struct {
	UserID    string
	Email     string
	SessionID string // set for a signed-in device
	APIKeyID  string // set for an API key
	// Admin is the administrator of the installation; it gives no rights inside
	// other people's workspaces.
	Admin bool
	// System is the studio itself: triggers, recovery, maintenance.
	System bool
	// Roles maps workspace id to role. An API key has its one workspace only.
	Roles map[string]Role
	// Scopes limits an API key; nil for everybody else.
	Scopes []Scope
	// Personal is the id of the actor's personal workspace.
	Personal string

	IP        string
	UserAgent string
}

// SystemActor returns the actor of the studio itself, named for what it does.
func SystemActor(name string) Actor { return Actor{System: true, UserAgent: name} }

// Need returns nil when the actor holds the permission in the workspace,
// NotFound when the actor is no member there (existence is not revealed), and
// Forbidden when the member's role or the key's scopes are too low.
func (a Actor) Need(workspaceID string, p Permission) error {
	if a.System {
		return nil
	}
	if a.UserID == "" {
		return fault.New(fault.Unauthenticated, "sign in first")
	}
	role, member := a.Roles[workspaceID]
	if !member {
		return fault.New(fault.NotFound, "there is no such thing here, or it is not yours")
	}
	if !role.Holds(p) {
		return fault.New(fault.Forbidden, "your role %s may not do this: it needs the permission %s", role, p)
	}
	if a.APIKeyID != "" && !a.scoped(p) {
		return fault.New(fault.Forbidden, "this API key's scopes do not include the permission %s", p)
	}
	return nil
}

func (a Actor) scoped(p Permission) bool {
	for _, s := range a.Scopes {
		if s.holds(p) {
			return true
		}
	}
	return false
}
