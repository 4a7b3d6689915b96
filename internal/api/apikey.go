package api

import (
	"context"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/account"
)

// APIKey acts for a person in one workspace, within its scopes.
type APIKey struct {
	ID          string         `json:"id"`
	WorkspaceID string         `json:"workspace_id"`
	Name        string         `json:"name"`
	Prefix      string         `json:"prefix" doc:"How the key begins, to tell keys apart"`
	Scopes      []access.Scope `json:"scopes"`
	CreatedAt   Time           `json:"created_at"`
	ExpiresAt   *Time          `json:"expires_at"`
	LastUsedAt  *Time          `json:"last_used_at"`
}

// NewAPIKey is a key with its secret, which is shown this once.
type NewAPIKey struct {
	APIKey
	Key string `json:"key" doc:"Shown this once"`
}

func viewAPIKey(k account.APIKey) APIKey {
	return APIKey{ID: k.ID, WorkspaceID: k.WorkspaceID, Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes, CreatedAt: Time(k.CreatedAt), ExpiresAt: whenPtr(k.ExpiresAt), LastUsedAt: whenPtr(k.LastUsedAt)}
}

func (s *Server) apiKeyRoutes() {
	register(s, op{Method: "GET", Path: "/auth/api-keys", ID: "list-api-keys", Tag: "auth", Summary: "One's API keys, without their secrets"}, s.listAPIKeys)
	register(s, op{Method: "POST", Path: "/auth/api-keys", ID: "create-api-key", Tag: "auth", Status: 201, Summary: "Make an API key",
		Notes: "The secret is shown this once and kept as a hash only, so an Idempotency-Key has no effect here."}, s.createAPIKey)
	register(s, op{Method: "DELETE", Path: "/auth/api-keys/{id}", ID: "delete-api-key", Tag: "auth", Status: 204, Summary: "Delete an API key"}, s.deleteAPIKey)
}

func (s *Server) listAPIKeys(ctx context.Context, by access.Actor, in *Paging) (*Body[Page[APIKey]], error) {
	all, err := s.Accounts.APIKeys(ctx, by)
	if err != nil {
		return nil, err
	}
	return pageOf(cut(*in, all), len(all), *in, viewAPIKey), nil
}

type createAPIKeyInput struct {
	Body struct {
		WorkspaceID string         `json:"workspace_id,omitempty" format:"uuid" doc:"Left out: the personal workspace"`
		Name        string         `json:"name" minLength:"1" maxLength:"255"`
		Scopes      []access.Scope `json:"scopes" minItems:"1" maxItems:"10" doc:"read, execute, write"`
		ExpiresAt   *time.Time     `json:"expires_at,omitempty"`
	}
}

func (s *Server) createAPIKey(ctx context.Context, by access.Actor, in *createAPIKeyInput) (*Body[NewAPIKey], error) {
	k, secret, err := s.Accounts.CreateAPIKey(ctx, by, account.NewKey{WorkspaceID: in.Body.WorkspaceID, Name: in.Body.Name, Scopes: in.Body.Scopes, ExpiresAt: in.Body.ExpiresAt})
	if err != nil {
		return nil, err
	}
	return &Body[NewAPIKey]{NewAPIKey{APIKey: viewAPIKey(k), Key: secret}}, nil
}

func (s *Server) deleteAPIKey(ctx context.Context, by access.Actor, in *IDPath) (*none, error) {
	return nil, s.Accounts.DeleteAPIKey(ctx, by, in.ID)
}
