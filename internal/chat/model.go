package chat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/agent"
	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"

	"github.com/google/uuid"
)

// What the ids of models begin with.
const (
	agentPrefix    = "agent/"
	workflowPrefix = "workflow/"
)

// Model is something that can be talked to.
type Model struct {
	ID          string // "agent/support", "workflow/ask-the-docs"
	Name        string // as people wrote it
	Description string
	CreatedAt   time.Time

	is    string // id of the agent or workflow
	offer *workflow.Offer
}

// Models lists what can be talked to in a workspace: its agents, the oldest
// first, then its workflows.
func (s *Service) Models(ctx context.Context, by access.Actor, workspaceID string) ([]Model, error) {
	out, err := s.agentModels(ctx, by, workspaceID)
	if err != nil {
		return nil, err
	}
	offers, err := s.workflows.Offered(ctx, by, workspaceID, "chat")
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	for _, o := range offers {
		out = append(out, Model{ID: name(workflowPrefix, o.Name, o.WorkflowID, taken), Name: o.Name, Description: o.Description, CreatedAt: madeAt(o.WorkflowID), is: o.WorkflowID, offer: &o})
	}
	return out, nil
}

func (s *Service) agentModels(ctx context.Context, by access.Actor, workspaceID string) ([]Model, error) {
	out := []Model{}
	taken := map[string]bool{}
	const page = 100
	for offset := 0; offset < agent.MaxPerWorkspace; offset += page {
		found, total, err := s.agents.List(ctx, by, workspaceID, agent.Filter{Sort: "created_at", Limit: page, Offset: offset})
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			out = append(out, Model{ID: name(agentPrefix, a.Name, a.ID, taken), Name: a.Name, Description: a.Description, CreatedAt: a.CreatedAt, is: a.ID})
		}
		if offset+len(found) >= total || len(found) == 0 {
			break
		}
	}
	return out, nil
}

// Model finds a model by its id; instead of the name in it, the id of the agent
// or workflow will do, which stays when the name changes. NotFound, code
// model_not_found, names the nearest.
func (s *Service) Model(ctx context.Context, by access.Actor, workspaceID, id string) (Model, error) {
	if err := by.Need(workspaceID, access.Read); err != nil {
		return Model{}, err
	}
	if own, ok := strings.CutPrefix(id, agentPrefix); ok && isID(own) {
		a, err := s.agents.Find(ctx, by, own)
		if err == nil && a.WorkspaceID == workspaceID {
			return Model{ID: id, Name: a.Name, Description: a.Description, CreatedAt: a.CreatedAt, is: a.ID}, nil
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return Model{}, err
		}
	}
	all, err := s.Models(ctx, by, workspaceID)
	if err != nil {
		return Model{}, err
	}
	var names []string
	for _, m := range all {
		if m.ID == id || m.offer != nil && id == workflowPrefix+m.is {
			m.ID = id
			return m, nil
		}
		names = append(names, m.ID)
	}
	return Model{}, fault.New(fault.NotFound, "there is no model %q in this workspace%s; GET /v1/models lists its agents and published chat workflows", id, fault.DidYouMean(id, names)).WithCode("model_not_found")
}

func isID(s string) bool { _, err := uuid.Parse(s); return err == nil && len(s) == 36 }

// madeAt is when an id was made.
func madeAt(id string) time.Time {
	u, err := uuid.Parse(id)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(u.Time().UnixTime()).UTC()
}

// name is the id of a model. Of two that would be called the same the older
// keeps it.
func name(prefix, of, id string, taken map[string]bool) string {
	words := strings.FieldsFunc(strings.ToLower(of), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	const longest, digits = 64, 6
	out := strings.Join(words, "-")
	out = strings.TrimRight(out[:min(len(out), longest)], "-")
	if out == "" || taken[out] {
		sum := sha256.Sum256([]byte(id))
		out = strings.TrimLeft(out+"-"+hex.EncodeToString(sum[:])[:digits], "-")
	}
	taken[out] = true
	return prefix + out
}
