package workflow

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/workspace"

	"github.com/maypok86/otter/v2"
)

// Publisher announces what is committed.
type Publisher interface {
	Publish(ctx context.Context, events ...event.Event)
}

// Agents knows the saved agents of workspaces.
type Agents interface {
	// Missing returns those of the ids that the workspace has no agent of.
	Missing(ctx context.Context, workspaceID string, ids []string) ([]string, error)
}

// Config adjusts a Service. NewID must be set.
type Config struct {
	NewID  func() string
	Now    func() time.Time
	Agents Agents // nil: nodes may name any
}

// Service holds the use cases of workflows. It is safe for concurrent use.
type Service struct {
	store   Store
	kinds   *node.Kinds
	library *Library
	bus     Publisher
	cfg     Config
	// owners remembers whose workflows are, which never changes. What is deleted
	// is not found by the query that follows.
	owners *otter.Cache[string, string]
}

// maxOwners bounds what is remembered, about 100 bytes each.
const maxOwners = 5_000

// NewService returns the use cases.
func NewService(store Store, kinds *node.Kinds, library *Library, bus Publisher, cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	owners := otter.Must(&otter.Options[string, string]{MaximumSize: maxOwners, Executor: func(upkeep func()) { upkeep() }})
	return &Service{store: store, kinds: kinds, library: library, bus: bus, cfg: cfg, owners: owners}
}

func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// Create stores a draft at version 1. Invalid: the definition is broken;
// everything else wrong with it may be saved and is reported by Validate.
func (s *Service) Create(ctx context.Context, by access.Actor, workspaceID string, d *Definition) (*Workflow, error) {
	return s.create(ctx, by, workspaceID, d, "", "workflow.created")
}

func (s *Service) create(ctx context.Context, by access.Actor, workspaceID string, d *Definition, parent, action string) (*Workflow, error) {
	if err := by.Need(workspaceID, access.Write); err != nil {
		return nil, err
	}
	d.Normalise()
	if err := s.refuseBroken(d); err != nil {
		return nil, err
	}
	if err := needFreed(by, workspaceID, Freed(nil, d, s.kinds)); err != nil {
		return nil, err
	}
	now := s.now()
	w := &Workflow{ID: s.cfg.NewID(), WorkspaceID: workspaceID, UserID: by.UserID, Status: Draft, Definition: *d, Version: 1,
		ParentWorkflowID: parent, CreatedAt: now, UpdatedAt: now}
	a := workspace.NewActivity(by, workspaceID, action, "workflow", w.ID, nil, map[string]any{"name": d.Name, "version": 1}, now)
	if err := s.store.Insert(ctx, workspaceID, w, "", a); err != nil {
		return nil, err
	}
	s.tell(ctx, w, "created")
	return w, nil
}

func (s *Service) refuseBroken(d *Definition) error {
	if faults := checkHead(d); len(faults) > 0 {
		return fault.InvalidInput(faults...)
	}
	_, report := Compile(d, s.kinds)
	return Fault(fault.Invalid, "the workflow cannot be saved like this", prefixed(report.Broken()))
}

// checkHead finds what is wrong with a normalised definition's name,
// description and tags, which lists show and search.
func checkHead(d *Definition) []fault.Detail {
	var faults []fault.Detail
	find := func(location, message string) {
		faults = append(faults, fault.Detail{Location: location, Code: "bad_field", Message: message})
	}
	if n := utf8.RuneCountInString(d.Name); n < 1 || n > 255 || strings.Contains(d.Name, "\x00") {
		find("body.name", "a name has 1 to 255 characters, not only spaces, and no NUL")
	}
	if utf8.RuneCountInString(d.Description) > 10_000 || strings.Contains(d.Description, "\x00") {
		find("body.description", "a description has at most 10,000 characters, and no NUL")
	}
	for i, tag := range d.Tags {
		if utf8.RuneCountInString(tag) > 64 || strings.Contains(tag, "\x00") {
			find(fmt.Sprintf("body.tags[%d]", i), "a tag has at most 64 characters, and no NUL")
		}
	}
	return faults
}

// prefixed places problems inside a request's body.
func prefixed(problems []Problem) []Problem {
	out := slices.Clone(problems)
	for i := range out {
		out[i].Path = joinPath("body", out[i].Path)
	}
	return out
}

// Find returns a workflow.
func (s *Service) Find(ctx context.Context, by access.Actor, id string) (*Workflow, error) {
	return s.load(ctx, by, id, access.Read)
}

// WorkspaceOf returns the workspace of a workflow that the actor can see.
func (s *Service) WorkspaceOf(ctx context.Context, by access.Actor, id string) (string, error) {
	ws, err := s.store.Workspace(ctx, id)
	if err != nil {
		return "", err
	}
	return ws, by.Need(ws, access.Read)
}

func (s *Service) load(ctx context.Context, by access.Actor, id string, p access.Permission) (*Workflow, error) {
	ws, known := s.owners.GetIfPresent(id)
	if !known {
		var err error
		if ws, err = s.store.Workspace(ctx, id); err != nil {
			return nil, err
		}
		s.owners.Set(id, ws)
	}
	if err := by.Need(ws, p); err != nil {
		return nil, err
	}
	return s.store.Find(ctx, ws, id)
}

// List returns summaries, and how many match in all.
func (s *Service) List(ctx context.Context, by access.Actor, workspaceID string, f Filter) ([]Summary, int, error) {
	if err := by.Need(workspaceID, access.Read); err != nil {
		return nil, 0, err
	}
	f.Tags = NormaliseTags(f.Tags)
	return s.store.List(ctx, workspaceID, f)
}

// Patch holds the fields to replace; nil ones stay as they are.
type Patch struct {
	Name        *string
	Description *string
	Tags        *[]string
	Settings    *Settings
	Nodes       *[]Node
	Connections *[]Connection
	Tests       *[]TestCase
	Message     string // of the version
}

func (p Patch) apply(d *Definition) {
	replace(&d.Name, p.Name)
	replace(&d.Description, p.Description)
	replace(&d.Tags, p.Tags)
	replace(&d.Settings, p.Settings)
	replace(&d.Nodes, p.Nodes)
	replace(&d.Connections, p.Connections)
	replace(&d.Tests, p.Tests)
	d.Normalise()
}

func replace[T any](field *T, with *T) {
	if with != nil {
		*field = *with
	}
}

// Update saves the changed fields; a change of the definition makes a new
// version. ifMatch, when not empty, must be the workflow's ETag: Stale
// otherwise, naming the current one.
func (s *Service) Update(ctx context.Context, by access.Actor, id, ifMatch string, p Patch) (*Workflow, error) {
	w, err := s.load(ctx, by, id, access.Write)
	if err != nil {
		return nil, err
	}
	if err := match(w, ifMatch); err != nil {
		return nil, err
	}
	next := w.Definition.Clone()
	p.apply(next)
	return s.save(ctx, by, w, next, p.Message, "workflow.updated")
}

func match(w *Workflow, ifMatch string) error {
	if ifMatch == "" || ifMatch == "*" || ifMatch == w.ETag() {
		return nil
	}
	return fault.New(fault.Stale, "somebody else has changed this workflow: it is at version %d now (ETag %q)", w.Version, w.ETag())
}

func (s *Service) save(ctx context.Context, by access.Actor, w *Workflow, next *Definition, message, action string) (*Workflow, error) {
	if err := s.refuseBroken(next); err != nil {
		return nil, err
	}
	if sameJSON(&w.Definition, next) {
		return w, nil
	}
	if err := needFreed(by, w.WorkspaceID, Freed(&w.Definition, next, s.kinds)); err != nil {
		return nil, err
	}
	read := w.ETag()
	before := map[string]any{"name": w.Definition.Name, "version": w.Version}
	now := s.now()
	w.Definition, w.Version, w.UpdatedAt = *next, w.Version+1, now
	a := workspace.NewActivity(by, w.WorkspaceID, action, "workflow", w.ID, before, map[string]any{"name": next.Name, "version": w.Version, "message": message}, now)
	a.UserID = by.UserID
	if err := s.store.Save(ctx, w.WorkspaceID, w, read, message, a); err != nil {
		return nil, err
	}
	s.tell(ctx, w, "updated")
	return w, nil
}

func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// Delete removes a workflow with its versions and triggers. Its executions
// stay readable.
func (s *Service) Delete(ctx context.Context, by access.Actor, id, ifMatch string) error {
	w, err := s.load(ctx, by, id, access.Write)
	if err != nil {
		return err
	}
	if err := match(w, ifMatch); err != nil {
		return err
	}
	a := workspace.NewActivity(by, w.WorkspaceID, "workflow.deleted", "workflow", w.ID, map[string]any{"name": w.Definition.Name, "version": w.Version}, nil, s.now())
	if err := s.store.Delete(ctx, w.WorkspaceID, w.ID, a); err != nil {
		return err
	}
	s.tell(ctx, w, "deleted")
	return nil
}

// SetStatus publishes the newest version, or takes the workflow back to draft
// or archive, which disarms its triggers. Conflict: the workflow is not valid,
// with every error.
func (s *Service) SetStatus(ctx context.Context, by access.Actor, id, ifMatch string, status Status) (*Workflow, error) {
	w, err := s.load(ctx, by, id, access.Write)
	if err != nil {
		return nil, err
	}
	if err := match(w, ifMatch); err != nil {
		return nil, err
	}
	read, before := w.ETag(), w.Status
	var armings []Arming
	w.PublishedVersion = 0
	if status == Published {
		p, report := Compile(&w.Definition, s.kinds)
		if p == nil {
			return nil, Fault(fault.Conflict, fmt.Sprintf("the workflow has %d errors and cannot be published", len(report.Errors)), report.Errors)
		}
		if err := needFreed(by, w.WorkspaceID, Freed(nil, &w.Definition, s.kinds)); err != nil {
			return nil, err
		}
		if err := s.checkCycles(ctx, w, p); err != nil {
			return nil, err
		}
		unknown, err := s.unknownAgents(ctx, w.WorkspaceID, p)
		if err := cmp.Or(err, Fault(fault.Conflict, "the workflow names agents that are not there and cannot be published", unknown)); err != nil {
			return nil, err
		}
		armings = p.Armings()
		w.PublishedVersion = w.Version
	}
	now := s.now()
	w.Status, w.UpdatedAt = status, now
	action := map[Status]string{Published: "workflow.published", Draft: "workflow.unpublished", Archived: "workflow.archived"}[status]
	a := workspace.NewActivity(by, w.WorkspaceID, action, "workflow", w.ID, map[string]any{"status": before}, map[string]any{"status": status, "version": w.Version}, now)
	if err := s.store.SetStatus(ctx, w.WorkspaceID, w, read, armings, a); err != nil {
		return nil, err
	}
	s.tell(ctx, w, map[Status]string{Published: "published", Draft: "updated", Archived: "updated"}[status])
	return s.store.Find(ctx, w.WorkspaceID, w.ID)
}

// checkCycles follows the workflows that published ones call.
func (s *Service) checkCycles(ctx context.Context, w *Workflow, p *Program) error {
	var visit func(id string, p *Program, path []string) error
	visit = func(id string, p *Program, path []string) error {
		for _, called := range p.References() {
			if called == w.ID {
				return fault.New(fault.Conflict, "workflows call each other in a circle: %s", joinArrow(append(path, id, called))).WithCode("workflow_cycle")
			}
			if slices.Contains(path, called) || len(path) > 10 {
				continue
			}
			version, err := s.library.Live(ctx, w.WorkspaceID, called)
			if err != nil {
				return fault.Wrap(fault.Conflict, err, "the workflow %s that is called cannot run: %s", called, fault.Message(err)).WithCode("called_workflow")
			}
			next, err := s.library.Program(ctx, w.WorkspaceID, called, version)
			if err != nil {
				return err
			}
			if err := visit(called, next, append(slices.Clone(path), id)); err != nil {
				return err
			}
		}
		return nil
	}
	return visit(w.ID, p, nil)
}

// Duplicate makes a draft copy, in the same workspace unless another is named.
func (s *Service) Duplicate(ctx context.Context, by access.Actor, id, name, workspaceID string) (*Workflow, error) {
	w, err := s.load(ctx, by, id, access.Read)
	if err != nil {
		return nil, err
	}
	d := w.Definition.Clone()
	d.Name = name
	if name == "" {
		d.Name = clipName(w.Definition.Name, " (Copy)")
	}
	if workspaceID == "" {
		workspaceID = w.WorkspaceID
	}
	return s.create(ctx, by, workspaceID, d, w.ID, "workflow.duplicated")
}

func clipName(name, suffix string) string {
	runes := []rune(name)
	if most := 255 - len([]rune(suffix)); len(runes) > most {
		runes = runes[:most]
	}
	return string(runes) + suffix
}

// Validate reports everything wrong with a stored workflow's newest version.
func (s *Service) Validate(ctx context.Context, by access.Actor, id string) (Report, error) {
	w, err := s.load(ctx, by, id, access.Read)
	if err != nil {
		return Report{}, err
	}
	p, report := Compile(&w.Definition, s.kinds)
	if p == nil {
		return report, nil
	}
	unknown, err := s.unknownAgents(ctx, w.WorkspaceID, p)
	report.Errors = append(report.Errors, unknown...)
	report.IsValid = len(report.Errors) == 0
	return report, err
}

// unknownAgents finds nodes that name saved agents which are not there.
func (s *Service) unknownAgents(ctx context.Context, workspaceID string, p *Program) ([]Problem, error) {
	named := p.agentIDs()
	if s.cfg.Agents == nil || len(named) == 0 {
		return nil, nil
	}
	missing, err := s.cfg.Agents.Missing(ctx, workspaceID, slices.Sorted(maps.Keys(named)))
	if err != nil {
		return nil, err
	}
	var out []Problem
	for _, id := range missing {
		for _, n := range named[id] {
			out = append(out, Problem{Code: "unknown_agent", NodeID: p.Steps[n.step].Node.ID, Path: fmt.Sprintf("nodes[%d].config.%s", n.step, n.field),
				Message: fmt.Sprintf("there is no agent %q in this workspace: choose another, or save it first", id)})
		}
	}
	return out, nil
}

// Check reports everything wrong with a definition that is not stored.
func (s *Service) Check(d *Definition) Report {
	_, report := Compile(d, s.kinds)
	return report
}

// Saved returns a workflow's versions, newest first, and how many there are.
func (s *Service) Saved(ctx context.Context, by access.Actor, id string, limit, offset int) ([]Version, int, error) {
	w, err := s.load(ctx, by, id, access.Read)
	if err != nil {
		return nil, 0, err
	}
	return s.store.Saved(ctx, w.WorkspaceID, id, limit, offset)
}

// SavedVersion returns one version with its definition.
func (s *Service) SavedVersion(ctx context.Context, by access.Actor, id string, number int) (*Version, error) {
	w, err := s.load(ctx, by, id, access.Read)
	if err != nil {
		return nil, err
	}
	return s.store.SavedVersion(ctx, w.WorkspaceID, id, number)
}

// Restore saves an earlier version as a new one.
func (s *Service) Restore(ctx context.Context, by access.Actor, id string, number int) (*Workflow, error) {
	w, err := s.load(ctx, by, id, access.Write)
	if err != nil {
		return nil, err
	}
	v, err := s.store.SavedVersion(ctx, w.WorkspaceID, id, number)
	if err != nil {
		return nil, err
	}
	return s.save(ctx, by, w, v.Definition, fmt.Sprintf("restored version %d", number), "workflow.restored")
}

// Diff compares two versions.
func (s *Service) Diff(ctx context.Context, by access.Actor, id string, from, to int) (Diff, error) {
	a, err := s.SavedVersion(ctx, by, id, from)
	if err != nil {
		return Diff{}, err
	}
	b, err := s.SavedVersion(ctx, by, id, to)
	if err != nil {
		return Diff{}, err
	}
	return Compare(a.Definition, b.Definition), nil
}

// ArmedWebhook finds what is armed at a path. It needs no actor: the address
// itself, and the trigger's own authentication, decide who may call.
func (s *Service) ArmedWebhook(ctx context.Context, slug, path string) (*Webhook, error) {
	return s.store.Webhook(ctx, slug, path)
}

func (s *Service) tell(ctx context.Context, w *Workflow, name string) {
	data, err := json.Marshal(map[string]any{"workflow_id": w.ID, "name": w.Definition.Name, "status": w.Status, "version": w.Version, "published_version": w.PublishedVersion})
	if err != nil {
		return
	}
	e := event.Event{Type: event.WorkflowUpdate, Name: name, At: s.now(), Data: data}
	inWorkflow, inWorkspace := e, e
	inWorkflow.Room, inWorkspace.Room = event.WorkflowRoom(w.ID), event.WorkspaceRoom(w.WorkspaceID)
	s.bus.Publish(ctx, inWorkflow, inWorkspace)
}
