package usage

import (
	"context"
	"encoding/json"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/fault"
	"agentstudio/internal/workspace"
)

// Store keeps budgets, and the records that count for them. Every method is
// one transaction; what is not there is a fault.NotFound.
type Store interface {
	// Budgets returns the workspace's, the oldest first.
	Budgets(ctx context.Context, workspaceID string) ([]Budget, error)
	Budget(ctx context.Context, id string) (Budget, error)
	// Known reports whether the workspace has what a budget is for.
	Known(ctx context.Context, workspaceID string, s Scope, targetID string) (bool, error)
	Spent(ctx context.Context, b Budget, now time.Time) (Spent, error)
	// AddBudget keeps a new one. Conflict: there is one for the same, or the
	// workspace has the most.
	AddBudget(ctx context.Context, b Budget, most int, act workspace.Activity) error
	// SaveBudget keeps the bounds. Stale: the kept one is not the version before.
	SaveBudget(ctx context.Context, b Budget, act workspace.Activity) error
	RemoveBudget(ctx context.Context, workspaceID, id string, act workspace.Activity) error
	// Reserve holds what the call may come to, unless a budget refuses it.
	Reserve(ctx context.Context, r Reservation) error
	// Settle keeps the record in place of what was held, and returns the
	// budgets that came near or were reached with it, each once a period.
	Settle(ctx context.Context, reservationID string, r Record, now time.Time) (near, reached []Budget, err error)
}

// Publisher announces what is committed.
type Publisher interface {
	Publish(ctx context.Context, events ...event.Event)
}

// Service holds the use cases of budgets, and lets calls through that they
// allow. It is safe for concurrent use.
type Service struct {
	store Store
	bus   Publisher
	cfg   Config
}

// Config adjusts a Service. NewID must be set.
type Config struct {
	NewID func() string
	Now   func() time.Time
}

// NewService returns the use cases.
func NewService(store Store, bus Publisher, cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{store: store, bus: bus, cfg: cfg}
}

func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// List returns a workspace's budgets with what of each is gone.
func (s *Service) List(ctx context.Context, by access.Actor, workspaceID string) ([]Watched, error) {
	if err := by.Need(workspaceID, access.Read); err != nil {
		return nil, err
	}
	all, err := s.store.Budgets(ctx, workspaceID)
	if err != nil {
		return nil, err
	}
	out := make([]Watched, len(all))
	for i, b := range all {
		if out[i], err = s.watched(ctx, b); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Service) watched(ctx context.Context, b Budget) (Watched, error) {
	spent, err := s.store.Spent(ctx, b, s.now())
	return Watched{b, spent}, err
}

// Find returns a budget with what of it is gone.
func (s *Service) Find(ctx context.Context, by access.Actor, id string) (Watched, error) {
	b, err := s.load(ctx, by, id, access.Read)
	if err != nil {
		return Watched{}, err
	}
	return s.watched(ctx, b)
}

func (s *Service) load(ctx context.Context, by access.Actor, id string, p access.Permission) (Budget, error) {
	b, err := s.store.Budget(ctx, id)
	if err != nil {
		return b, err
	}
	return b, by.Need(b.WorkspaceID, p)
}

// Add makes a budget. Invalid: with every fault.
func (s *Service) Add(ctx context.Context, by access.Actor, b Budget) (Watched, error) {
	if err := by.Need(b.WorkspaceID, access.ManageMembers); err != nil {
		return Watched{}, err
	}
	found := b.check()
	if b.Scope != OfWorkspace && b.TargetID != "" {
		known, err := s.store.Known(ctx, b.WorkspaceID, b.Scope, b.TargetID)
		if err != nil {
			return Watched{}, err
		}
		if !known {
			found = append(found, fault.Detail{Location: "body.target_id", Code: "unknown", Message: "there is no such " + string(b.Scope) + " in this workspace"})
		}
	}
	if len(found) > 0 {
		return Watched{}, fault.InvalidInput(found...)
	}
	now := s.now()
	b.ID, b.Version, b.CreatedAt, b.UpdatedAt = s.cfg.NewID(), 1, now, now
	act := workspace.NewActivity(by, b.WorkspaceID, "budget.created", "budget", b.ID, nil, b.summary(), now)
	if err := s.store.AddBudget(ctx, b, maxBudgets, act); err != nil {
		return Watched{}, err
	}
	return s.watched(ctx, b)
}

func (b Budget) summary() map[string]any {
	return map[string]any{"scope": b.Scope, "target_id": b.TargetID, "period": b.Period, "max_cost_usd": dollars(b.MaxCost), "max_tokens": b.MaxTokens}
}

func (b Budget) check() []fault.Detail {
	var found []fault.Detail
	find := func(field, message string) {
		found = append(found, fault.Detail{Location: "body." + field, Message: message})
	}
	if b.MaxCost < 0 || b.MaxTokens < 0 || b.MaxCost == 0 && b.MaxTokens == 0 {
		find("max_cost_usd", "a budget has a bound above 0: max_cost_usd, max_tokens or both")
	}
	if b.Scope == OfWorkspace && b.TargetID != "" {
		find("target_id", "the budget of a workspace has no target: leave it out")
	}
	if b.Scope != OfWorkspace && b.TargetID == "" {
		find("target_id", "say which "+string(b.Scope)+" the budget is for")
	}
	return found
}

// Change sets the bounds; nil leaves one as it is. ifVersion, when not 0, must
// be the present one.
func (s *Service) Change(ctx context.Context, by access.Actor, id string, ifVersion int64, cost, tokens *int64) (Watched, error) {
	b, err := s.load(ctx, by, id, access.ManageMembers)
	if err != nil {
		return Watched{}, err
	}
	if ifVersion != 0 && ifVersion != b.Version {
		return Watched{}, Stale(b.Version)
	}
	before := b.summary()
	if cost != nil {
		b.MaxCost = *cost
	}
	if tokens != nil {
		b.MaxTokens = *tokens
	}
	if found := b.check(); len(found) > 0 {
		return Watched{}, fault.InvalidInput(found...)
	}
	b.Version, b.UpdatedAt = b.Version+1, s.now()
	act := workspace.NewActivity(by, b.WorkspaceID, "budget.updated", "budget", b.ID, before, b.summary(), b.UpdatedAt)
	if err := s.store.SaveBudget(ctx, b, act); err != nil {
		return Watched{}, err
	}
	return s.watched(ctx, b)
}

// Stale says that somebody else changed the budget first.
func Stale(version int64) error {
	return fault.New(fault.Stale, "somebody else has changed this budget: it is at version %d now", version)
}

// Remove deletes a budget.
func (s *Service) Remove(ctx context.Context, by access.Actor, id string) error {
	b, err := s.load(ctx, by, id, access.ManageMembers)
	if err != nil {
		return err
	}
	return s.store.RemoveBudget(ctx, b.WorkspaceID, id, workspace.NewActivity(by, b.WorkspaceID, "budget.deleted", "budget", id, b.summary(), nil, s.now()))
}

// letGo is when what a call holds is let go, should its process have died.
const letGo = time.Hour

// Reserve holds what a call may come to. OverBudget, code budget_exceeded: a
// budget does not allow it. "" means that no budget watches the call; anything
// else is to be settled.
func (s *Service) Reserve(ctx context.Context, r Record, cost, tokens int64) (id string, err error) {
	if r.WorkspaceID == "" {
		return "", nil
	}
	budgets, err := s.store.Budgets(ctx, r.WorkspaceID)
	if err != nil {
		return "", err
	}
	agents := append(append([]string{}, r.Above...), r.Agent)
	for _, b := range budgets {
		if b.Bounds(r.WorkflowID, agents) {
			now := s.now()
			held := Reservation{ID: s.cfg.NewID(), WorkspaceID: r.WorkspaceID, WorkflowID: r.WorkflowID, Agents: agents, Cost: cost, Tokens: tokens, At: now, Until: now.Add(letGo)}
			return held.ID, s.hold(ctx, held)
		}
	}
	return "", nil
}

// holdTime bounds how long a call waits for what it may come to to be held.
const holdTime = 10 * time.Second

// hold reserves, and is not cut off in it: of a reservation that was, nobody
// would know whether it is there, nor settle it. Whoever does not want the call
// any more finds out when it is made.
func (s *Service) hold(ctx context.Context, r Reservation) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Cancelled, context.Cause(ctx), "the call was cancelled before it was made")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), holdTime)
	defer cancel()
	return s.store.Reserve(ctx, r)
}

// Settle keeps the record of a call in place of what was held for it, and
// tells the workspace of budgets that little or nothing is left of.
func (s *Service) Settle(ctx context.Context, id string, r Record) error {
	if r.ID == "" {
		r.ID = id
	}
	now := s.now()
	near, reached, err := s.store.Settle(ctx, id, r, now)
	if err != nil {
		return err
	}
	for name, budgets := range map[string][]Budget{"near": near, "reached": reached} {
		for _, b := range budgets {
			data, err := json.Marshal(map[string]any{"budget_id": b.ID, "scope": b.Scope, "target_id": b.TargetID, "period": b.Period})
			if err == nil {
				s.bus.Publish(ctx, event.Event{Room: event.WorkspaceRoom(b.WorkspaceID), Type: event.Budget, Name: name, At: now, Data: data})
			}
		}
	}
	return nil
}
