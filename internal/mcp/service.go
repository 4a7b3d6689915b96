package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/limit"
	"agentstudio/internal/tool"
	"agentstudio/internal/workspace"
)

// Filter chooses servers of a workspace.
type Filter struct {
	Query         string // in name or description, in any case
	Transport     Transport
	Category      string
	Sort          string // updated_at, created_at, name; with a minus for the other way round
	Limit, Offset int
}

// Store keeps servers. Every method is one transaction, and writes its
// activity in it; what is not there is a fault.NotFound.
type Store interface {
	Workspace(ctx context.Context, id string) (workspaceID string, err error)
	Find(ctx context.Context, workspaceID, id string) (*Server, error)
	Named(ctx context.Context, workspaceID, name string) (*Server, error)
	// List returns a page, and how many match in all.
	List(ctx context.Context, workspaceID string, f Filter) ([]Server, int, error)
	// Insert keeps a new server. Conflict: the name is taken, or the workspace
	// has the most already.
	Insert(ctx context.Context, s *Server, most int, act workspace.Activity) error
	// Save keeps the definition as its Version in a new epoch. Stale: the kept
	// one is not the version before. Conflict: the name is taken.
	Save(ctx context.Context, s *Server, act workspace.Activity) error
	// Delete removes the server. Stale: it is not the version.
	Delete(ctx context.Context, workspaceID, id string, version int64, act workspace.Activity) error
	// Disconnect begins a new epoch.
	Disconnect(ctx context.Context, workspaceID, id string, act workspace.Activity) error
	States
}

// States keeps how connections stand.
type States interface {
	// Note keeps the state, if the server is still in the epoch. The last error
	// stays until the next failure or success, what was found until it is found
	// anew.
	Note(ctx context.Context, id string, epoch int64, s State) error
	// Seen renews the status of connections, and returns the epochs of their
	// servers; those that are gone are missing.
	Seen(ctx context.Context, ids []string, now time.Time) (map[string]int64, error)
}

// Service holds the use cases of servers. It is safe for concurrent use.
type Service struct {
	store Store
	pool  *Pool
	cfg   Config
}

// Config adjusts a Service. NewID must be set.
type Config struct {
	NewID func() string
	Now   func() time.Time
	// Gate is what calls by hand pass, as those of agents do; nil: one of their
	// own. Limits are those of the Source.
	Gate   *tool.Gate
	Limits func(name string) limit.Rate
}

// NewService returns the use cases.
func NewService(store Store, pool *Pool, cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Gate == nil {
		cfg.Gate = tool.NewGate(tool.GateConfig{Now: cfg.Now})
	}
	return &Service{store: store, pool: pool, cfg: cfg}
}

func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// maySet says why an actor may not set up a server like this. Programs run as
// the studio does, and credentials are the operator's: whoever says where one
// is sent could read it. Both take the administrator of the installation.
func (s *Service) maySet(by access.Actor, definitions ...Definition) error {
	for _, d := range definitions {
		if d.refers() && !by.Admin && !by.System {
			return fault.New(fault.Forbidden, "credentials are the operator's: only an administrator of this installation may set up or change a server that they are sent to")
		}
		if d.Transport != Stdio {
			continue
		}
		if !s.pool.cfg.Stdio {
			return notAllowed()
		}
		if !by.Admin && !by.System {
			return fault.New(fault.Forbidden, "a stdio server starts a program on this machine: only an administrator of this installation may set one up")
		}
	}
	return nil
}

func notAllowed() error {
	return fault.New(fault.NotConfigured, "the operator of this studio has not allowed servers that are programs on its machine: STUDIO_ALLOW_STDIO_MCP").WithCode("stdio_off")
}

// Create saves a server. Invalid: with every fault of the definition.
func (s *Service) Create(ctx context.Context, by access.Actor, workspaceID string, d Definition) (*Server, error) {
	if err := by.Need(workspaceID, access.ManageSecrets); err != nil {
		return nil, err
	}
	d.normalise()
	if found := d.check(); len(found) > 0 {
		return nil, fault.InvalidInput(found...)
	}
	if err := s.maySet(by, d); err != nil {
		return nil, err
	}
	now := s.now()
	server := &Server{ID: s.cfg.NewID(), WorkspaceID: workspaceID, UserID: by.UserID, Version: 1, Epoch: 1, CreatedAt: now, UpdatedAt: now, Definition: d,
		State: State{Status: Disconnected, SeenAt: now}}
	act := workspace.NewActivity(by, workspaceID, "mcp_server.created", "mcp_server", server.ID, nil, summary(d), now)
	if err := s.store.Insert(ctx, server, MaxPerWorkspace, act); err != nil {
		return nil, err
	}
	return server, nil
}

func summary(d Definition) map[string]any {
	return map[string]any{"name": d.Name, "transport": d.Transport}
}

// Find returns a server.
func (s *Service) Find(ctx context.Context, by access.Actor, id string) (*Server, error) {
	return s.load(ctx, by, id, access.UseSecrets)
}

func (s *Service) load(ctx context.Context, by access.Actor, id string, p access.Permission) (*Server, error) {
	ws, err := s.store.Workspace(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := by.Need(ws, p); err != nil {
		return nil, err
	}
	server, err := s.store.Find(ctx, ws, id)
	if err == nil {
		server.judged(s.cfg.Now())
	}
	return server, err
}

// List returns servers of a workspace, and how many match in all.
func (s *Service) List(ctx context.Context, by access.Actor, workspaceID string, f Filter) ([]Server, int, error) {
	if err := by.Need(workspaceID, access.UseSecrets); err != nil {
		return nil, 0, err
	}
	items, total, err := s.store.List(ctx, workspaceID, f)
	for i := range items {
		items[i].judged(s.cfg.Now())
	}
	return items, total, err
}

// Update changes a server; its connections are closed. ifMatch, when not
// empty, must be its ETag: Stale otherwise. What leaves it as it was changes
// nothing.
func (s *Service) Update(ctx context.Context, by access.Actor, id, ifMatch string, change func(*Definition)) (*Server, error) {
	server, err := s.load(ctx, by, id, access.ManageSecrets)
	if err != nil {
		return nil, err
	}
	if err := match(server, ifMatch); err != nil {
		return nil, err
	}
	before := server.Definition
	change(&server.Definition)
	server.normalise()
	if found := server.check(); len(found) > 0 {
		return nil, fault.InvalidInput(found...)
	}
	if same(before, server.Definition) {
		return server, nil
	}
	if err := s.maySet(by, before, server.Definition); err != nil {
		return nil, err
	}
	server.Version, server.Epoch, server.UpdatedAt = server.Version+1, server.Epoch+1, s.now()
	server.State = State{Status: Disconnected, LastConnectedAt: server.LastConnectedAt, SeenAt: server.UpdatedAt}
	act := workspace.NewActivity(by, server.WorkspaceID, "mcp_server.updated", "mcp_server", server.ID, summary(before), summary(server.Definition), server.UpdatedAt)
	if err := s.store.Save(ctx, server, act); err != nil {
		return nil, err
	}
	s.pool.drop(server.ID, server.Epoch)
	return server, nil
}

func match(s *Server, ifMatch string) error {
	if ifMatch == "" || ifMatch == "*" || ifMatch == s.ETag() {
		return nil
	}
	return Stale(s.Version)
}

// Stale says that somebody else changed the server first.
func Stale(version int64) error {
	return fault.New(fault.Stale, "somebody else has changed this server: it is at version %d now (ETag \"%d\")", version, version)
}

func same(a, b Definition) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// Delete removes a server and closes its connections.
func (s *Service) Delete(ctx context.Context, by access.Actor, id, ifMatch string) error {
	server, err := s.load(ctx, by, id, access.ManageSecrets)
	if err != nil {
		return err
	}
	if err := match(server, ifMatch); err != nil {
		return err
	}
	act := workspace.NewActivity(by, server.WorkspaceID, "mcp_server.deleted", "mcp_server", server.ID, summary(server.Definition), nil, s.now())
	if err := s.store.Delete(ctx, server.WorkspaceID, server.ID, server.Version, act); err != nil {
		return err
	}
	s.pool.drop(server.ID, server.Epoch+1)
	return nil
}

// Connect connects this process to the server, if it is not yet. Upstream,
// Timeout: why it could not.
func (s *Service) Connect(ctx context.Context, by access.Actor, id string) (*Server, error) {
	server, err := s.load(ctx, by, id, access.UseSecrets)
	if err != nil {
		return nil, err
	}
	if _, err := s.pool.connected(ctx, server); err != nil {
		return nil, err
	}
	return s.load(ctx, by, id, access.UseSecrets)
}

// Disconnect closes the connections of all processes. The next use connects
// anew.
func (s *Service) Disconnect(ctx context.Context, by access.Actor, id string) (*Server, error) {
	server, err := s.load(ctx, by, id, access.ManageSecrets)
	if err != nil {
		return nil, err
	}
	act := workspace.NewActivity(by, server.WorkspaceID, "mcp_server.disconnected", "mcp_server", server.ID, nil, summary(server.Definition), s.now())
	if err := s.store.Disconnect(ctx, server.WorkspaceID, server.ID, act); err != nil {
		return nil, err
	}
	s.pool.drop(server.ID, server.Epoch+1)
	return s.load(ctx, by, id, access.ManageSecrets)
}

// Tools returns what the server offers now.
func (s *Service) Tools(ctx context.Context, by access.Actor, id string) (*Server, []Tool, error) {
	server, err := s.load(ctx, by, id, access.UseSecrets)
	if err != nil {
		return nil, nil, err
	}
	tools, err := s.pool.Tools(ctx, server)
	return server, tools, err
}

// Resources returns what the server lets one read.
func (s *Service) Resources(ctx context.Context, by access.Actor, id string) ([]Resource, error) {
	server, err := s.load(ctx, by, id, access.UseSecrets)
	if err != nil {
		return nil, err
	}
	return ask(ctx, s.pool, server, Session.Resources)
}

// Prompts returns the prompts the server offers.
func (s *Service) Prompts(ctx context.Context, by access.Actor, id string) ([]Prompt, error) {
	server, err := s.load(ctx, by, id, access.UseSecrets)
	if err != nil {
		return nil, err
	}
	return ask(ctx, s.pool, server, Session.Prompts)
}

// Call tries a tool. Invalid: the arguments do not fit its schema, with every
// fault. TooMany: the workspace has used it as often as it may. A result that is
// an error is a result.
func (s *Service) Call(ctx context.Context, by access.Actor, id, name string, args json.RawMessage) (*Result, error) {
	server, err := s.load(ctx, by, id, access.UseSecrets)
	if err != nil {
		return nil, err
	}
	if err := by.Need(server.WorkspaceID, access.UseTools); err != nil {
		return nil, err
	}
	full := ToolName(server.Name, name)
	var out *Result
	t := tool.Tool{Spec: tool.Spec{Name: full, Limit: rate(s.cfg.Limits, full)}, Run: func(ctx context.Context, _ tool.Call) (_ tool.Result, err error) {
		if out, err = s.pool.Call(ctx, server, Use{Tool: name, Args: args}); err == nil && out.IsError {
			err = fault.New(fault.Invalid, "%s", orSomething(out.Text(), name)).WithCode("tool_error")
		}
		return tool.Result{}, err
	}}
	_, err = s.cfg.Gate.Use(ctx, t, tool.Call{WorkspaceID: server.WorkspaceID, UserID: by.UserID, APIKeyID: by.APIKeyID, By: &by, Args: args})
	if out != nil {
		return out, nil
	}
	return nil, err
}
