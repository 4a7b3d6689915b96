package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"agentstudio/internal/agent"
	"agentstudio/internal/fault"
	"agentstudio/internal/workspace"
)

// Agents keeps saved agents.
type Agents struct{ db *DB }

// NewAgents returns the store of agents.
func NewAgents(db *DB) *Agents { return &Agents{db: db} }

var _ agent.Store = (*Agents)(nil)

// Workspace implements agent.Store.
func (s *Agents) Workspace(ctx context.Context, id string) (ws string, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT workspace_id FROM agents WHERE id = $1`, id).Scan(&ws)
	return ws, noRows(err, "agent")
}

const agentColumns = `a.id, a.workspace_id, a.user_id, a.definition, a.version, a.created_at, a.updated_at`

func scanAgent(row scanner) (a agent.Agent, err error) {
	var definition string
	var created, updated int64
	if err := row.Scan(&a.ID, &a.WorkspaceID, &a.UserID, &definition, &a.Version, &created, &updated); err != nil {
		return a, err
	}
	a.CreatedAt, a.UpdatedAt = at(created), at(updated)
	if err := json.Unmarshal([]byte(definition), &a.Definition); err != nil {
		return a, fmt.Errorf("read definition of agent %s: %w", a.ID, err)
	}
	return a, nil
}

// Find implements agent.Store.
func (s *Agents) Find(ctx context.Context, workspaceID, id string) (*agent.Agent, error) {
	a, err := scanAgent(s.db.Read().QueryRowContext(ctx, `SELECT `+agentColumns+` FROM agents a WHERE a.id = $1 AND a.workspace_id = $2`, id, workspaceID))
	if err != nil {
		return nil, noRows(err, "agent")
	}
	return &a, nil
}

// List implements agent.Store.
func (s *Agents) List(ctx context.Context, workspaceID string, f agent.Filter) ([]agent.Agent, int, error) {
	var wanted conditions
	wanted.add(`a.workspace_id = ?`, workspaceID)
	if f.Type != "" {
		wanted.add(`a.type = ?`, string(f.Type))
	}
	if f.Role != "" {
		wanted.add(`a.role = ?`, string(f.Role))
	}
	if f.Query != "" {
		wanted.add(`a.search LIKE ? ESCAPE '\'`, "%"+literal(f.Query)+"%")
	}
	if len(f.Tags) > 0 {
		wanted.add(`EXISTS (SELECT 1 FROM agent_tags t WHERE t.agent_id = a.id AND t.tag IN (`+strings.TrimSuffix(strings.Repeat("?, ", len(f.Tags)), ", ")+`))`, anySlice(f.Tags)...)
	}
	order, known := map[string]string{"": "a.updated_at DESC, a.id DESC", "-updated_at": "a.updated_at DESC, a.id DESC", "updated_at": "a.updated_at, a.id",
		"-created_at": "a.created_at DESC, a.id DESC", "created_at": "a.created_at, a.id", "name": "lower(a.name), a.id", "-name": "lower(a.name) DESC, a.id DESC"}[f.Sort]
	if !known {
		return nil, 0, fault.InvalidInput(fault.Detail{Location: "query.sort", Code: "unknown", Message: "sort is updated_at, created_at or name, with a minus for the other way round", Value: f.Sort})
	}
	page, args := wanted.page(f.Limit, f.Offset, ` ORDER BY `+order)
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+agentColumns+` FROM agents a`+page, args...)
	items, err := collect(rows, err, scanAgent)
	if err != nil {
		return nil, 0, err
	}
	total, err := s.db.total(ctx, len(items), f.Limit, f.Offset, `SELECT count(*) FROM agents a`+wanted.where(), wanted.args...)
	return items, total, err
}

// Missing implements agent.Store.
func (s *Agents) Missing(ctx context.Context, workspaceID string, ids []string) ([]string, error) {
	var missing []string
	for _, id := range ids {
		var found int
		err := s.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM agents WHERE id = $1 AND workspace_id = $2`, id, workspaceID).Scan(&found)
		if err != nil {
			return nil, explain(err)
		}
		if found == 0 {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// change runs a change of a workspace's agents. The activity is written first:
// it takes the workspace's row, so that one change sees what another has made.
func (s *Agents) change(ctx context.Context, act workspace.Activity, allowed func(agent.Graph) error, write func(tx *sql.Tx) error) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := appendActivity(ctx, tx, act); err != nil {
			return err
		}
		g, err := agentGraph(ctx, tx, act.WorkspaceID)
		if err != nil {
			return err
		}
		if err := allowed(g); err != nil {
			return err
		}
		return write(tx)
	})
}

// Insert implements agent.Store.
func (s *Agents) Insert(ctx context.Context, a *agent.Agent, most int, allowed func(agent.Graph) error, act workspace.Activity) error {
	bounded := func(g agent.Graph) error {
		if len(g) >= most {
			return fault.New(fault.Conflict, "a workspace has at most %d agents: delete some first", most)
		}
		return allowed(g)
	}
	return s.change(ctx, act, bounded, func(tx *sql.Tx) error {
		definition, err := json.Marshal(a.Definition)
		if err != nil {
			return fmt.Errorf("write definition: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO agents (id, workspace_id, user_id, name, search, type, role, definition, version, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, a.ID, a.WorkspaceID, a.UserID, a.Name, agentSearch(a), string(a.Type), string(a.Role),
			string(definition), a.Version, ms(a.CreatedAt), ms(a.UpdatedAt)); err != nil {
			return err
		}
		return writeAgentParts(ctx, tx, a)
	})
}

func agentSearch(a *agent.Agent) string { return strings.ToLower(a.Name + "\n" + a.Description) }

// writeAgentParts renews the rows by which agents are found.
func writeAgentParts(ctx context.Context, tx *sql.Tx, a *agent.Agent) error {
	for _, table := range []string{`DELETE FROM agent_tags WHERE agent_id = $1`, `DELETE FROM agent_links WHERE agent_id = $1`} {
		if _, err := tx.ExecContext(ctx, table, a.ID); err != nil {
			return err
		}
	}
	for _, tag := range a.Tags {
		if _, err := tx.ExecContext(ctx, `INSERT INTO agent_tags (agent_id, tag) VALUES ($1, $2)`, a.ID, tag); err != nil {
			return err
		}
	}
	for how, ids := range map[string][]string{"task": a.SubAgents, "handoff": a.Handoffs} {
		for i, id := range ids {
			if _, err := tx.ExecContext(ctx, `INSERT INTO agent_links (agent_id, how, position, target_id) VALUES ($1, $2, $3, $4)`, a.ID, how, i, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// agentGraph reads who names whom; a workspace's agents are bounded.
func agentGraph(ctx context.Context, tx *sql.Tx, workspaceID string) (agent.Graph, error) {
	type row struct {
		id, name    string
		how, target sql.NullString
	}
	rows, err := tx.QueryContext(ctx, `SELECT a.id, a.name, l.how, l.target_id FROM agents a LEFT JOIN agent_links l ON l.agent_id = a.id
		WHERE a.workspace_id = $1 ORDER BY a.id, l.how, l.position`, workspaceID)
	found, err := collect(rows, err, func(s scanner) (r row, err error) {
		return r, s.Scan(&r.id, &r.name, &r.how, &r.target)
	})
	if err != nil {
		return nil, err
	}
	g := agent.Graph{}
	for _, r := range found {
		links := g[r.id]
		links.Name = r.name
		switch r.how.String {
		case "task":
			links.SubAgents = append(links.SubAgents, r.target.String)
		case "handoff":
			links.Handoffs = append(links.Handoffs, r.target.String)
		}
		g[r.id] = links
	}
	return g, nil
}

// Save implements agent.Store.
func (s *Agents) Save(ctx context.Context, a *agent.Agent, allowed func(agent.Graph) error, act workspace.Activity) error {
	return s.change(ctx, act, allowed, func(tx *sql.Tx) error {
		if err := agentStillAt(ctx, tx, a.WorkspaceID, a.ID, a.Version-1); err != nil {
			return err
		}
		definition, err := json.Marshal(a.Definition)
		if err != nil {
			return fmt.Errorf("write definition: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE agents SET name = $1, search = $2, type = $3, role = $4, definition = $5, version = $6, updated_at = $7
			WHERE id = $8 AND workspace_id = $9`, a.Name, agentSearch(a), string(a.Type), string(a.Role), string(definition), a.Version, ms(a.UpdatedAt), a.ID, a.WorkspaceID); err != nil {
			return err
		}
		return writeAgentParts(ctx, tx, a)
	})
}

// agentStillAt refuses when somebody was first; the workspace's row is locked.
func agentStillAt(ctx context.Context, tx *sql.Tx, workspaceID, id string, version int64) error {
	var current int64
	if err := tx.QueryRowContext(ctx, `SELECT version FROM agents WHERE id = $1 AND workspace_id = $2`, id, workspaceID).Scan(&current); err != nil {
		return noRows(err, "agent")
	}
	if current != version {
		return agent.Stale(current)
	}
	return nil
}

// Delete implements agent.Store.
func (s *Agents) Delete(ctx context.Context, workspaceID, id string, version int64, allowed func(agent.Graph) error, act workspace.Activity) error {
	return s.change(ctx, act, allowed, func(tx *sql.Tx) error {
		if err := agentStillAt(ctx, tx, workspaceID, id, version); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM memories WHERE workspace_id = $1 AND agent_id = $2`, workspaceID, id); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `DELETE FROM agents WHERE id = $1 AND workspace_id = $2`, id, workspaceID)
		return mustAffect(r, err, "agent")
	})
}
