package workflow

import (
	"context"
	"strconv"
	"sync"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

// Versions is what a Library needs of the store.
type Versions interface {
	// Definition returns one saved version. NotFound: there is none.
	Definition(ctx context.Context, workspaceID, workflowID string, version int) (*Definition, error)
	// Edited returns the definition that an execution runs in place of a saved
	// version. NotFound: there is none.
	Edited(ctx context.Context, workspaceID, executionID string) (*Definition, error)
	// Heads returns the newest version of a workflow and the published one (0:
	// none). NotFound: there is no such workflow in the workspace.
	Heads(ctx context.Context, workspaceID, workflowID string) (newest, published int, err error)
}

// Library compiles versions of workflows and keeps what it compiled: versions
// never change. It is safe for concurrent use.
type Library struct {
	versions Versions
	kinds    *node.Kinds
	limit    int

	mu       sync.Mutex
	programs map[string]*Program
	order    []string // oldest first
}

// NewLibrary returns a library that keeps the limit programs used last; 500
// when limit is 0.
func NewLibrary(versions Versions, kinds *node.Kinds, limit int) *Library {
	if limit <= 0 {
		limit = 500
	}
	return &Library{versions: versions, kinds: kinds, limit: limit, programs: map[string]*Program{}}
}

// Program returns a version, compiled. A version that does not compile is a
// Conflict that lists what is wrong with it.
func (l *Library) Program(ctx context.Context, workspaceID, workflowID string, version int) (*Program, error) {
	return l.program(workspaceID+"/"+workflowID+"/"+strconv.Itoa(version), func() (*Definition, error) { return l.versions.Definition(ctx, workspaceID, workflowID, version) })
}

// Saved returns a saved version as it stands, be it valid or not.
func (l *Library) Saved(ctx context.Context, workspaceID, workflowID string, version int) (*Definition, error) {
	return l.versions.Definition(ctx, workspaceID, workflowID, version)
}

// Edited returns what an execution runs in place of a saved version, compiled.
func (l *Library) Edited(ctx context.Context, workspaceID, executionID string) (*Program, error) {
	return l.program(workspaceID+"/"+executionID, func() (*Definition, error) { return l.versions.Edited(ctx, workspaceID, executionID) })
}

// Compile compiles a definition that is not saved.
func (l *Library) Compile(d *Definition) (*Program, Report) { return Compile(d, l.kinds) }

func (l *Library) program(key string, find func() (*Definition, error)) (*Program, error) {
	l.mu.Lock()
	p := l.programs[key]
	l.mu.Unlock()
	if p != nil {
		return p, nil
	}
	def, err := find()
	if err != nil {
		return nil, err
	}
	p, report := Compile(def, l.kinds)
	if p == nil {
		return nil, Fault(fault.Conflict, "the workflow is not valid and cannot run", report.Errors)
	}
	l.keep(key, p)
	return p, nil
}

func (l *Library) keep(key string, p *Program) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.programs[key]; known {
		return
	}
	if len(l.order) >= l.limit {
		delete(l.programs, l.order[0])
		l.order = l.order[1:]
	}
	l.programs[key] = p
	l.order = append(l.order, key)
}

// Live returns the version that runs when a workflow starts by itself or from
// another: the published one. Conflict: it is not published.
func (l *Library) Live(ctx context.Context, workspaceID, workflowID string) (int, error) {
	_, published, err := l.versions.Heads(ctx, workspaceID, workflowID)
	if err != nil {
		return 0, err
	}
	if published == 0 {
		return 0, fault.New(fault.Conflict, "the workflow %s is not published: publish it so that others can call it", workflowID).WithCode("not_published")
	}
	return published, nil
}

// Newest returns the version that runs when a person tries a workflow out.
func (l *Library) Newest(ctx context.Context, workspaceID, workflowID string) (int, error) {
	newest, _, err := l.versions.Heads(ctx, workspaceID, workflowID)
	return newest, err
}
