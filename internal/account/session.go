package account

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
)

// Authenticate returns who is behind an access token or an API key;
// Unauthenticated when nobody is. The session is looked up each time, so
// signing out holds at once on every replica.
func (s *Service) Authenticate(ctx context.Context, token string) (access.Actor, error) {
	now := s.now()
	if strings.HasPrefix(token, keyPrefix) {
		return s.live(s.store.KeyActor(ctx, Hash(token), "", now))
	}
	c, err := s.keys.verify(token, now)
	if err != nil {
		return access.Actor{}, err
	}
	by, err := s.live(s.store.SessionActor(ctx, c.SessionID, now))
	if err == nil && by.UserID != c.Subject {
		return access.Actor{}, fault.New(fault.Unauthenticated, "the access token does not match its session")
	}
	return by, err
}

func (s *Service) live(by access.Actor, err error) (access.Actor, error) {
	if fault.Is(err, fault.NotFound) {
		return access.Actor{}, fault.New(fault.Unauthenticated, "these credentials are unknown, expired or revoked")
	}
	return by, err
}

// Refresh trades a refresh token for new tokens. Using one a second time ends
// the session it belongs to: either the user or a thief holds a stolen copy,
// and nobody can tell which.
func (s *Service) Refresh(ctx context.Context, token string) (Tokens, error) {
	refused := fault.New(fault.Unauthenticated, "the refresh token is not valid any more: sign in again")
	if !strings.HasPrefix(token, refreshPrefix) {
		return Tokens{}, refused
	}
	fresh, err := randomToken(s.cfg.Random, refreshPrefix)
	if err != nil {
		return Tokens{}, err
	}
	now := s.now()
	r, err := s.store.Rotate(ctx, Hash(token), Hash(fresh), now, now.Add(RefreshTTL))
	if fault.Is(err, fault.NotFound) || err == nil && r.Reused {
		return Tokens{}, refused
	}
	if err != nil {
		return Tokens{}, fmt.Errorf("rotate token: %w", err)
	}
	return s.tokens(r.User, r.Session.ID, fresh, now)
}

// SignOut ends the actor's session, or the one the refresh token belongs to.
func (s *Service) SignOut(ctx context.Context, by access.Actor, refresh string) error {
	if by.SessionID == "" && refresh == "" {
		return needSession(by)
	}
	now := s.now()
	if refresh != "" {
		if err := s.store.RevokeFamily(ctx, Hash(refresh), now); err != nil {
			return fmt.Errorf("revoke family: %w", err)
		}
	}
	if by.SessionID == "" {
		return nil
	}
	err := s.store.RevokeSession(ctx, by.UserID, by.SessionID, now)
	if fault.Is(err, fault.NotFound) { // the refresh token was this session's
		return nil
	}
	return err
}

// Sessions lists the devices that are signed in, last used first.
func (s *Service) Sessions(ctx context.Context, by access.Actor) ([]Session, error) {
	if err := needSession(by); err != nil {
		return nil, err
	}
	return s.store.Sessions(ctx, by.UserID, s.now())
}

// EndSession signs one of the actor's devices out.
func (s *Service) EndSession(ctx context.Context, by access.Actor, id string) error {
	if err := needSession(by); err != nil {
		return err
	}
	return s.store.RevokeSession(ctx, by.UserID, id, s.now())
}

// NewTicket returns a token for one WebSocket connection, good for TicketTTL
// and for one use.
func (s *Service) NewTicket(ctx context.Context, by access.Actor) (string, error) {
	if by.UserID == "" {
		return "", fault.New(fault.Unauthenticated, "sign in first")
	}
	ticket, err := randomToken(s.cfg.Random, ticketPrefix)
	if err != nil {
		return "", err
	}
	return ticket, s.store.SaveTicket(ctx, Hash(ticket), by, s.now().Add(TicketTTL))
}

// SpendTicket returns who a ticket was made for and makes it useless.
func (s *Service) SpendTicket(ctx context.Context, ticket string) (access.Actor, error) {
	now := s.now()
	session, key, err := s.store.SpendTicket(ctx, Hash(ticket), now)
	if err != nil {
		return s.live(access.Actor{}, err)
	}
	if key != "" {
		return s.live(s.store.KeyActor(ctx, "", key, now))
	}
	return s.live(s.store.SessionActor(ctx, session, now))
}

// Renew returns the actor as of now; Unauthenticated when the session or key
// has ended.
func (s *Service) Renew(ctx context.Context, by access.Actor) (access.Actor, error) {
	if by.APIKeyID != "" {
		return s.live(s.store.KeyActor(ctx, "", by.APIKeyID, s.now()))
	}
	return s.live(s.store.SessionActor(ctx, by.SessionID, s.now()))
}

// NewKey is what an API key is made from. An empty workspace is the personal one.
type NewKey struct {
	WorkspaceID string
	Name        string
	Scopes      []access.Scope
	ExpiresAt   *time.Time
}

// CreateAPIKey makes a key that acts for the actor in one workspace. The
// secret is returned this once.
func (s *Service) CreateAPIKey(ctx context.Context, by access.Actor, in NewKey) (k APIKey, secret string, err error) {
	if err := needSession(by); err != nil {
		return k, "", err
	}
	if in.WorkspaceID == "" {
		in.WorkspaceID = by.Personal
	}
	if err := by.Need(in.WorkspaceID, access.Read); err != nil {
		return k, "", err
	}
	now := s.now()
	if err := in.check(now); err != nil {
		return k, "", err
	}
	if secret, err = randomToken(s.cfg.Random, keyPrefix); err != nil {
		return k, "", err
	}
	k = APIKey{ID: s.cfg.NewID(), WorkspaceID: in.WorkspaceID, UserID: by.UserID, Name: in.Name, Prefix: secret[:10],
		Scopes: in.Scopes, CreatedAt: now, ExpiresAt: in.ExpiresAt}
	return k, secret, s.store.SaveAPIKey(ctx, k, Hash(secret), maxAPIKeys)
}

func (in *NewKey) check(now time.Time) error {
	var bad []fault.Detail
	in.Name = strings.TrimSpace(in.Name)
	if n := utf8.RuneCountInString(in.Name); n < 1 || n > 255 {
		bad = append(bad, fault.Detail{Location: "body.name", Message: "1 to 255 characters"})
	}
	if len(in.Scopes) == 0 {
		bad = append(bad, fault.Detail{Location: "body.scopes", Message: "name at least one of read, execute, write"})
	}
	for _, s := range in.Scopes {
		if !slices.Contains([]access.Scope{access.ScopeRead, access.ScopeExecute, access.ScopeWrite}, s) {
			bad = append(bad, fault.Detail{Location: "body.scopes", Message: fmt.Sprintf("%q is not one of read, execute, write", s)})
		}
	}
	if in.ExpiresAt != nil {
		t := in.ExpiresAt.UTC().Truncate(time.Millisecond)
		in.ExpiresAt = &t
		if !t.After(now) {
			bad = append(bad, fault.Detail{Location: "body.expires_at", Message: "must be in the future"})
		}
	}
	if len(bad) > 0 {
		return fault.InvalidInput(bad...)
	}
	slices.Sort(in.Scopes)
	in.Scopes = slices.Compact(in.Scopes)
	return nil
}

// APIKeys lists the actor's keys, newest first, without their secrets.
func (s *Service) APIKeys(ctx context.Context, by access.Actor) ([]APIKey, error) {
	if err := needSession(by); err != nil {
		return nil, err
	}
	return s.store.APIKeys(ctx, by.UserID)
}

// DeleteAPIKey deletes a key of the actor's, or one of a workspace whose
// members the actor manages.
func (s *Service) DeleteAPIKey(ctx context.Context, by access.Actor, id string) error {
	if err := needSession(by); err != nil {
		return err
	}
	k, err := s.store.APIKey(ctx, id)
	if err != nil {
		return err
	}
	if k.UserID != by.UserID {
		if err := by.Need(k.WorkspaceID, access.ManageMembers); err != nil {
			return fault.New(fault.NotFound, "there is no such API key, or it is not yours")
		}
	}
	return s.store.DeleteAPIKey(ctx, id)
}
