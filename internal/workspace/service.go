package workspace

import (
	"context"
	"crypto/rand"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
)

// Mailer sends one plain-text letter, or fails with fault.Upstream.
type Mailer interface {
	Send(ctx context.Context, to, subject, text string) error
}

// Config is what may be changed about a Service.
type Config struct {
	PublicURL string           // what links in letters begin with
	Now       func() time.Time // default time.Now
	Random    io.Reader        // default crypto/rand
	NewID     func() string    // default UUID v7
}

// Service holds the use cases of workspaces. It is safe for concurrent use.
type Service struct {
	store  Store
	mailer Mailer
	cfg    Config
}

// NewService returns the use cases.
func NewService(store Store, mailer Mailer, cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.NewID == nil {
		cfg.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	return &Service{store: store, mailer: mailer, cfg: cfg}
}

func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// Fields are what one may change about a workspace; nil leaves a field as it is.
type Fields struct {
	Name        *string
	Slug        *string
	Description *string
}

func (f Fields) apply(w *Workspace) error {
	var bad []fault.Detail
	if f.Name != nil {
		w.Name = strings.TrimSpace(*f.Name)
		if n := utf8.RuneCountInString(w.Name); n < 1 || n > 255 {
			bad = append(bad, fault.Detail{Location: "body.name", Message: "1 to 255 characters"})
		}
	}
	if f.Slug != nil {
		w.Slug = *f.Slug
		if !slugPattern().MatchString(w.Slug) || len(w.Slug) > 63 {
			bad = append(bad, fault.Detail{Location: "body.slug", Message: "1 to 63 lower-case letters, digits and single dashes", Value: w.Slug})
		}
	}
	if f.Description != nil {
		w.Description = *f.Description
		if utf8.RuneCountInString(w.Description) > 2000 {
			bad = append(bad, fault.Detail{Location: "body.description", Message: "at most 2000 characters"})
		}
	}
	if len(bad) > 0 {
		return fault.InvalidInput(bad...)
	}
	return nil
}

func slugPattern() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`) }

// signedIn refuses API keys, which act inside one workspace only.
func signedIn(by access.Actor) error {
	if by.UserID == "" {
		return fault.New(fault.Unauthenticated, "sign in first")
	}
	if by.APIKeyID != "" {
		return fault.New(fault.Forbidden, "an API key may not do this: sign in with a code")
	}
	return nil
}

// needAs is Need for what no API key may do, whatever its scopes.
func needAs(by access.Actor, workspaceID string, p access.Permission) error {
	if err := by.Need(workspaceID, p); err != nil {
		return err
	}
	return signedIn(by)
}

// Create makes a workspace that the actor owns. slugs are tried in order after
// the wanted one, if any.
func (s *Service) Create(ctx context.Context, by access.Actor, in Fields) (Workspace, error) {
	if err := signedIn(by); err != nil {
		return Workspace{}, err
	}
	now := s.now()
	w := Workspace{ID: s.cfg.NewID(), CreatedBy: by.UserID, Version: 1, CreatedAt: now, UpdatedAt: now, Role: access.Owner}
	if in.Name == nil {
		in.Name = new(string)
	}
	if err := in.apply(&w); err != nil {
		return Workspace{}, err
	}
	slugs := []string{w.Slug}
	if w.Slug == "" {
		base := slugOf(w.Name)
		slugs = []string{base, base + "-" + w.ID[len(w.ID)-6:], w.ID}
	}
	return s.store.Create(ctx, w, slugs, maxOwned, NewActivity(by, w.ID, "workspace.created", "workspace", w.ID, nil, map[string]any{"name": w.Name}, now))
}

func slugOf(name string) string {
	parts := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	slug := strings.Join(parts, "-")
	if len(slug) > 50 {
		slug = strings.Trim(slug[:50], "-")
	}
	if slug == "" {
		return "workspace"
	}
	return slug
}

// List returns the workspaces the actor can see, by name.
func (s *Service) List(ctx context.Context, by access.Actor, limit, offset int) ([]Workspace, int, error) {
	if by.UserID == "" {
		return nil, 0, fault.New(fault.Unauthenticated, "sign in first")
	}
	if by.APIKeyID != "" { // a key sees its one workspace
		w, err := s.ByID(ctx, by, by.Personal)
		if err != nil || offset > 0 {
			return []Workspace{}, 1, err
		}
		return []Workspace{w}, 1, nil
	}
	return s.store.Workspaces(ctx, by.UserID, limit, offset)
}

// ByID returns one workspace.
func (s *Service) ByID(ctx context.Context, by access.Actor, id string) (Workspace, error) {
	if err := by.Need(id, access.Read); err != nil {
		return Workspace{}, err
	}
	return s.store.ByID(ctx, id, by.UserID)
}

// Update changes the fields that are not nil. ifVersion 0 overwrites whatever
// is there.
func (s *Service) Update(ctx context.Context, by access.Actor, id string, ifVersion int64, in Fields) (Workspace, error) {
	if err := needAs(by, id, access.ManageMembers); err != nil {
		return Workspace{}, err
	}
	w, err := s.store.ByID(ctx, id, by.UserID)
	if err != nil {
		return w, err
	}
	before := map[string]any{"name": w.Name, "slug": w.Slug}
	if err := in.apply(&w); err != nil {
		return w, err
	}
	w.UpdatedAt = s.now()
	after := map[string]any{"name": w.Name, "slug": w.Slug}
	return s.store.Update(ctx, w, ifVersion, NewActivity(by, id, "workspace.updated", "workspace", id, before, after, w.UpdatedAt))
}

// Delete removes a workspace with everything in it. A personal one stays.
func (s *Service) Delete(ctx context.Context, by access.Actor, id string) error {
	if err := needAs(by, id, access.OwnWorkspace); err != nil {
		return err
	}
	w, err := s.store.ByID(ctx, id, by.UserID)
	if err != nil {
		return err
	}
	if w.IsPersonal {
		return fault.New(fault.Conflict, "a personal workspace cannot be deleted")
	}
	return s.store.Delete(ctx, id)
}

// Activity lists what was done, newest first; editors and viewers see their
// own entries.
func (s *Service) Activity(ctx context.Context, by access.Actor, workspaceID string, f ActivityFilter) ([]Activity, int, error) {
	if workspaceID == "" {
		workspaceID = by.Personal
	}
	if err := by.Need(workspaceID, access.ReadOwnActivity); err != nil {
		return nil, 0, err
	}
	if !by.System && !by.Roles[workspaceID].Holds(access.ReadActivity) {
		if f.UserID != "" && f.UserID != by.UserID {
			return nil, 0, fault.New(fault.Forbidden, "your role sees its own activity only")
		}
		f.UserID = by.UserID
	}
	return s.store.Activity(ctx, workspaceID, f)
}
