package workflow

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"agentstudio/internal/node"
	"agentstudio/internal/workspace"
)

// Status is whether a workflow's triggers are armed.
type Status string

// The statuses.
const (
	Draft     Status = "draft"
	Published Status = "published"
	Archived  Status = "archived"
)

// Workflow is a stored workflow with its newest definition.
type Workflow struct {
	ID               string
	WorkspaceID      string
	UserID           string // who made it
	Status           Status
	Definition       Definition
	Version          int // the newest
	PublishedVersion int // the live one; 0 when none
	ParentWorkflowID string
	CreatedAt        time.Time
	UpdatedAt        time.Time
	Webhooks         []Webhook // armed ones
}

// ETag changes with everything that If-Match guards.
func (w *Workflow) ETag() string {
	return strconv.Itoa(w.Version) + "-" + strconv.FormatInt(w.UpdatedAt.UnixMilli(), 36)
}

// Summary is a workflow in a list.
type Summary struct {
	ID               string
	WorkspaceID      string
	UserID           string
	Name             string
	Description      string
	Status           Status
	Tags             []string
	Version          int
	PublishedVersion int
	ParentWorkflowID string
	NodeCount        int
	TriggerKinds     []string
	LastExecution    *LastExecution
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

// LastExecution is how a workflow's newest execution stands.
type LastExecution struct {
	ID        string
	Status    string
	CreatedAt time.Time
}

// Version is one saved definition.
type Version struct {
	Number     int
	UserID     string
	Message    string
	CreatedAt  time.Time
	Definition *Definition // nil in lists
}

// Webhook is an armed webhook trigger.
type Webhook struct {
	WorkspaceID   string
	WorkspaceSlug string
	WorkflowID    string
	Version       int
	NodeID        string
	node.Webhook
}

// Filter narrows a list of workflows. Zero fields do not narrow.
type Filter struct {
	Query  string // in name and description, any case, literally
	Status Status
	Tags   []string // any of them
	Sort   string   // updated_at, created_at, name; "-" before it reverses; default -updated_at
	Limit  int
	Offset int
}

// Store keeps workflows. Workspace tells which workspace owns one; every other
// method takes it first. Every method is one transaction and writes its
// activity in it.
type Store interface {
	Versions
	Workspace(ctx context.Context, id string) (string, error)
	Insert(ctx context.Context, workspaceID string, w *Workflow, message string, a workspace.Activity) error
	Find(ctx context.Context, workspaceID, id string) (*Workflow, error)
	List(ctx context.Context, workspaceID string, f Filter) ([]Summary, int, error)
	// Save writes the definition as a new version. Stale: the workflow has
	// changed since it was read.
	Save(ctx context.Context, workspaceID string, w *Workflow, read string, message string, a workspace.Activity) error
	// SetStatus writes status and live version, and replaces what is armed.
	// Conflict: a webhook path is taken by another workflow. Stale as in Save.
	SetStatus(ctx context.Context, workspaceID string, w *Workflow, read string, armings []Arming, a workspace.Activity) error
	Delete(ctx context.Context, workspaceID, id string, a workspace.Activity) error
	Saved(ctx context.Context, workspaceID, id string, limit, offset int) ([]Version, int, error)
	SavedVersion(ctx context.Context, workspaceID, id string, number int) (*Version, error)
	// Schedules returns the armed schedules of a workflow.
	Schedules(ctx context.Context, workspaceID, id string) ([]ArmedSchedule, error)
	// Webhook finds what is armed at a path of a workspace's slug.
	Webhook(ctx context.Context, slug, path string) (*Webhook, error)
}

// Facts are what a list shows of a definition.
func (d *Definition) Facts(kinds *node.Kinds) (nodes int, triggers []string) {
	triggers = []string{}
	for _, n := range d.Nodes {
		if t, ok := kinds.Find(n.Kind); ok && t.Spec().Group == node.Trigger {
			triggers = append(triggers, n.Kind)
		}
	}
	return len(d.Nodes), triggers
}

// Clone returns a deep copy.
func (d *Definition) Clone() *Definition {
	text, err := json.Marshal(d)
	if err != nil {
		return &Definition{Name: d.Name}
	}
	var out Definition
	if err := json.Unmarshal(text, &out); err != nil {
		return &Definition{Name: d.Name}
	}
	out.Normalise()
	return &out
}
