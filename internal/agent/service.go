package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/workspace"
)

// Filter chooses agents of a workspace.
type Filter struct {
	Query         string // in name or description, in any case
	Type          Type
	Role          Role
	Tags          []string // any of them
	Sort          string   // updated_at, created_at, name; with a minus for the other way round
	Limit, Offset int
}

// Store keeps saved agents. Every method is one transaction, and writes its
// activity in it; what is not there is a fault.NotFound.
type Store interface {
	Workspace(ctx context.Context, id string) (workspaceID string, err error)
	Find(ctx context.Context, workspaceID, id string) (*Agent, error)
	// List returns a page, and how many match in all.
	List(ctx context.Context, workspaceID string, f Filter) ([]Agent, int, error)
	// Missing returns those of the ids that the workspace has no agent of.
	Missing(ctx context.Context, workspaceID string, ids []string) ([]string, error)
	// Insert keeps a new agent unless allowed, which sees the other agents of
	// the workspace as they are in the transaction, says no. Conflict: the
	// workspace has the most already.
	Insert(ctx context.Context, a *Agent, most int, allowed func(Graph) error, act workspace.Activity) error
	// Save keeps the agent as its Version, unless allowed says no. Stale: the
	// kept one is not the version before.
	Save(ctx context.Context, a *Agent, allowed func(Graph) error, act workspace.Activity) error
	// Delete removes the agent, unless allowed says no. Stale: it is not the version.
	Delete(ctx context.Context, workspaceID, id string, version int64, allowed func(Graph) error, act workspace.Activity) error
}

// Service holds the use cases of saved agents. It is safe for concurrent use.
type Service struct {
	store  Store
	runner *Runner
	cfg    Config
}

// Config adjusts a Service. NewID must be set.
type Config struct {
	NewID func() string
	Now   func() time.Time
}

// NewService returns the use cases.
func NewService(store Store, runner *Runner, cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{store: store, runner: runner, cfg: cfg}
}

func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// Create saves an agent. Invalid: with every fault of the definition.
func (s *Service) Create(ctx context.Context, by access.Actor, workspaceID string, d Definition) (*Agent, error) {
	return s.create(ctx, by, workspaceID, d, "agent.created")
}

func (s *Service) create(ctx context.Context, by access.Actor, workspaceID string, d Definition, action string) (*Agent, error) {
	if err := by.Need(workspaceID, access.Write); err != nil {
		return nil, err
	}
	d.normalise()
	if err := mayFree(by, workspaceID, &d); err != nil {
		return nil, err
	}
	now := s.now()
	a := &Agent{ID: s.cfg.NewID(), WorkspaceID: workspaceID, UserID: by.UserID, Version: 1, CreatedAt: now, UpdatedAt: now, Definition: d}
	act := workspace.NewActivity(by, workspaceID, action, "agent", a.ID, nil, map[string]any{"name": d.Name, "version": 1}, now)
	if err := s.store.Insert(ctx, a, MaxPerWorkspace, s.allows(ctx, a), act); err != nil {
		return nil, err
	}
	return a, nil
}

// allows finds everything wrong with an agent among the others.
func (s *Service) allows(ctx context.Context, a *Agent) func(Graph) error {
	own := s.runner.check(&a.Definition)
	unknown, err := s.runner.unknown(ctx, a.WorkspaceID, &a.Definition)
	own = append(own, unknown...)
	return func(g Graph) error {
		if err != nil {
			return err
		}
		if found := append(own, g.check(a.ID, &a.Definition)...); len(found) > 0 {
			return fault.InvalidInput(found...)
		}
		return nil
	}
}

// Find returns an agent.
func (s *Service) Find(ctx context.Context, by access.Actor, id string) (*Agent, error) {
	return s.load(ctx, by, id, access.Read)
}

func (s *Service) load(ctx context.Context, by access.Actor, id string, p access.Permission) (*Agent, error) {
	ws, err := s.store.Workspace(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := by.Need(ws, p); err != nil {
		return nil, err
	}
	return s.store.Find(ctx, ws, id)
}

// List returns agents of a workspace, and how many match in all.
func (s *Service) List(ctx context.Context, by access.Actor, workspaceID string, f Filter) ([]Agent, int, error) {
	if err := by.Need(workspaceID, access.Read); err != nil {
		return nil, 0, err
	}
	f.Tags = normaliseTags(f.Tags)
	return s.store.List(ctx, workspaceID, f)
}

// Update changes an agent. ifMatch, when not empty, must be its ETag: Stale
// otherwise, naming the present one. What leaves it as it was makes no version.
func (s *Service) Update(ctx context.Context, by access.Actor, id, ifMatch string, change func(*Definition)) (*Agent, error) {
	a, err := s.load(ctx, by, id, access.Write)
	if err != nil {
		return nil, err
	}
	if err := match(a, ifMatch); err != nil {
		return nil, err
	}
	before := a.Definition
	change(&a.Definition)
	a.normalise()
	if same(before, a.Definition) {
		return a, nil
	}
	if err := mayFree(by, a.WorkspaceID, &a.Definition); err != nil {
		return nil, err
	}
	a.Version, a.UpdatedAt = a.Version+1, s.now()
	act := workspace.NewActivity(by, a.WorkspaceID, "agent.updated", "agent", a.ID, map[string]any{"name": before.Name, "version": a.Version - 1},
		map[string]any{"name": a.Name, "version": a.Version}, a.UpdatedAt)
	if err := s.store.Save(ctx, a, s.allows(ctx, a), act); err != nil {
		return nil, err
	}
	return a, nil
}

// mayFree returns Forbidden when the agent is to ask nobody and the actor is no
// administrator: neither may such an agent be made, nor changed.
func mayFree(by access.Actor, workspaceID string, d *Definition) error {
	if d.Permissions.Mode != ModeBypass || by.Need(workspaceID, access.Bypass) == nil {
		return nil
	}
	return fault.New(fault.Forbidden, "only administrators of the workspace, signed in, may save an agent with permissions.mode bypass: choose auto, or ask one of them").WithCode("needs_admin")
}

func match(a *Agent, ifMatch string) error {
	if ifMatch == "" || ifMatch == "*" || ifMatch == a.ETag() {
		return nil
	}
	return Stale(a.Version)
}

// Stale says that somebody else changed the agent first.
func Stale(version int64) error {
	return fault.New(fault.Stale, "somebody else has changed this agent: it is at version %d now (ETag \"%d\")", version, version)
}

func same(a, b Definition) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// Duplicate makes a copy, in the same workspace; "" names it after the agent.
func (s *Service) Duplicate(ctx context.Context, by access.Actor, id, name string) (*Agent, error) {
	a, err := s.load(ctx, by, id, access.Read)
	if err != nil {
		return nil, err
	}
	d := a.Definition
	if d.Name = name; name == "" {
		const suffix = " (Copy)"
		runes := []rune(a.Name)
		d.Name = string(runes[:min(len(runes), 255-len(suffix))]) + suffix
	}
	return s.create(ctx, by, a.WorkspaceID, d, "agent.duplicated")
}

// Delete removes an agent. Conflict: other agents name it.
func (s *Service) Delete(ctx context.Context, by access.Actor, id, ifMatch string) error {
	a, err := s.load(ctx, by, id, access.Write)
	if err != nil {
		return err
	}
	if err := match(a, ifMatch); err != nil {
		return err
	}
	act := workspace.NewActivity(by, a.WorkspaceID, "agent.deleted", "agent", a.ID, map[string]any{"name": a.Name, "version": a.Version}, nil, s.now())
	return s.store.Delete(ctx, a.WorkspaceID, a.ID, a.Version, func(g Graph) error {
		delete(g, a.ID) // it may name itself
		if users := g.users(a.ID); len(users) > 0 {
			return fault.New(fault.Conflict, "other agents call this one: take it out of %s first", strings.Join(users, ", "))
		}
		return nil
	}, act)
}
