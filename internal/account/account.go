// Package account says who a person is: signing in by a mailed code, the
// devices that are signed in, and the API keys that act for a person.
package account

import (
	"context"
	"time"

	"agentstudio/internal/access"
)

// Times that tokens and codes live.
const (
	AccessTTL  = 15 * time.Minute
	RefreshTTL = 7 * 24 * time.Hour
	CodeTTL    = 5 * time.Minute
	TicketTTL  = 30 * time.Second

	maxMisses  = 5
	maxAPIKeys = 100
)

// User is a person with an account.
type User struct {
	ID              string
	Email           string
	FullName        string
	AvatarURL       *string
	IsActive        bool
	IsAdmin         bool
	EmailVerifiedAt *time.Time
	LastLoginAt     *time.Time
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// Session is one signed-in device.
type Session struct {
	ID         string
	UserID     string
	IP         string
	UserAgent  string
	CreatedAt  time.Time
	LastUsedAt time.Time
	ExpiresAt  time.Time
}

// APIKey acts for a person in one workspace, within its scopes.
type APIKey struct {
	ID          string
	WorkspaceID string
	UserID      string
	Name        string
	Prefix      string // the first characters, to tell keys apart
	Scopes      []access.Scope
	CreatedAt   time.Time
	ExpiresAt   *time.Time
	LastUsedAt  *time.Time
}

// Tokens is what signing in gives. Refresh is shown once and stored hashed.
type Tokens struct {
	Access  string
	Refresh string
	User    User
}

// Code is a one-time code as it is stored.
type Code struct {
	Email     string
	Hash      string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Entry is a verified address coming in: what to store when it has an account,
// and what to make when it has none.
type Entry struct {
	User    User // used when the address is new
	Session Session
	Token   string // hash of the refresh token
	// Workspace is the personal workspace a new account begins with; the first
	// slug that is free is taken.
	Workspace struct {
		ID, Name string
		Slugs    []string
	}
	// Signup says who may make an account; the first of an installation always may.
	Signup Signup
}

// Signup is the policy for new addresses.
type Signup string

// The policies.
const (
	SignupOpen   Signup = "open"
	SignupInvite Signup = "invite" // only addresses with an open invitation
	SignupClosed Signup = "closed"
)

// Rotation is the outcome of using a refresh token.
type Rotation struct {
	User    User
	Session Session
	// Reused says that the token had been rotated before; its family is revoked.
	Reused bool
}

// Store keeps accounts. Every method is one transaction; what is not there is
// a fault.NotFound.
type Store interface {
	Codes
	Sessions
	Keys
	// Enter finds or makes the account of an address and opens a session.
	// Forbidden when the policy does not let a new address in.
	Enter(ctx context.Context, e Entry) (User, error)
	// MayEnter reports whether the address has an account, or may make one.
	MayEnter(ctx context.Context, email string, policy Signup, now time.Time) (bool, error)
	User(ctx context.Context, id string) (User, error)
	UpdateUser(ctx context.Context, id string, fullName *string, avatarURL **string, now time.Time) (User, error)
}

// Codes keeps one-time codes, one per address.
type Codes interface {
	SaveCode(ctx context.Context, c Code) error
	// SpendCode deletes the code and reports true when the hash matches and the
	// code is neither expired nor locked by maxMisses; a wrong one counts as a
	// miss.
	SpendCode(ctx context.Context, email, hash string, maxMisses int, now time.Time) (bool, error)
}

// Sessions keeps the signed-in devices.
type Sessions interface {
	Rotate(ctx context.Context, oldHash, newHash string, now, expires time.Time) (Rotation, error)
	Sessions(ctx context.Context, userID string, now time.Time) ([]Session, error)
	// RevokeSession ends a session of the user.
	RevokeSession(ctx context.Context, userID, id string, now time.Time) error
	// RevokeFamily ends the session a refresh token belongs to, if there is one.
	RevokeFamily(ctx context.Context, hash string, now time.Time) error
	// SessionActor returns who a live session belongs to.
	SessionActor(ctx context.Context, sessionID string, now time.Time) (access.Actor, error)
	SaveTicket(ctx context.Context, hash string, by access.Actor, expires time.Time) error
	// SpendTicket deletes a ticket and returns the session or the key it stands for.
	SpendTicket(ctx context.Context, hash string, now time.Time) (sessionID, keyID string, err error)
}

// Keys keeps API keys.
type Keys interface {
	SaveAPIKey(ctx context.Context, k APIKey, hash string, most int) error
	APIKeys(ctx context.Context, userID string) ([]APIKey, error)
	APIKey(ctx context.Context, id string) (APIKey, error)
	DeleteAPIKey(ctx context.Context, id string) error
	// KeyActor returns who an unexpired key acts for, by its hash or its id,
	// and keeps the time of its use to the minute.
	KeyActor(ctx context.Context, hash, id string, now time.Time) (access.Actor, error)
}
