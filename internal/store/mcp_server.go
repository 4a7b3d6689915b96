package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/mcp"
	"agentstudio/internal/workspace"
)

// MCPServers keeps the MCP servers of workspaces.
type MCPServers struct{ db *DB }

// NewMCPServers returns the store of MCP servers.
func NewMCPServers(db *DB) *MCPServers { return &MCPServers{db: db} }

var _ mcp.Store = (*MCPServers)(nil)

// Workspace implements mcp.Store.
func (s *MCPServers) Workspace(ctx context.Context, id string) (ws string, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT workspace_id FROM mcp_servers WHERE id = $1`, id).Scan(&ws)
	return ws, noRows(err, "mcp server")
}

const mcpServerColumns = `m.id, m.workspace_id, m.user_id, m.definition, m.version, m.epoch, m.created_at, m.updated_at,
	m.status, m.last_error, m.last_connected_at, m.seen_at, m.capabilities, m.tools`

func scanMCPServer(row scanner) (m mcp.Server, err error) {
	var definition, capabilities, tools string
	var created, updated, connected, seen int64
	if err := row.Scan(&m.ID, &m.WorkspaceID, &m.UserID, &definition, &m.Version, &m.Epoch, &created, &updated,
		&m.Status, &m.LastError, &connected, &seen, &capabilities, &tools); err != nil {
		return m, err
	}
	m.CreatedAt, m.UpdatedAt, m.SeenAt = at(created), at(updated), at(seen)
	if connected > 0 {
		m.LastConnectedAt = at(connected)
	}
	if capabilities != "" {
		m.Capabilities = json.RawMessage(capabilities)
	}
	if err := json.Unmarshal([]byte(definition), &m.Definition); err != nil {
		return m, fmt.Errorf("read definition of mcp server %s: %w", m.ID, err)
	}
	if tools != "" {
		if err := json.Unmarshal([]byte(tools), &m.Tools); err != nil {
			return m, fmt.Errorf("read tools of mcp server %s: %w", m.ID, err)
		}
	}
	return m, nil
}

// Find implements mcp.Store.
func (s *MCPServers) Find(ctx context.Context, workspaceID, id string) (*mcp.Server, error) {
	return s.one(ctx, `m.workspace_id = $1 AND m.id = $2`, workspaceID, id)
}

// Named implements mcp.Store.
func (s *MCPServers) Named(ctx context.Context, workspaceID, name string) (*mcp.Server, error) {
	return s.one(ctx, `m.workspace_id = $1 AND m.name = $2`, workspaceID, name)
}

func (s *MCPServers) one(ctx context.Context, where string, args ...any) (*mcp.Server, error) {
	m, err := scanMCPServer(s.db.Read().QueryRowContext(ctx, `SELECT `+mcpServerColumns+` FROM mcp_servers m WHERE `+where, args...))
	if err != nil {
		return nil, noRows(err, "mcp server")
	}
	return &m, nil
}

// List implements mcp.Store.
func (s *MCPServers) List(ctx context.Context, workspaceID string, f mcp.Filter) ([]mcp.Server, int, error) {
	var wanted conditions
	wanted.add(`m.workspace_id = ?`, workspaceID)
	if f.Transport != "" {
		wanted.add(`m.transport = ?`, string(f.Transport))
	}
	if f.Category != "" {
		wanted.add(`m.category = ?`, strings.ToLower(f.Category))
	}
	if f.Query != "" {
		wanted.add(`m.search LIKE ? ESCAPE '\'`, "%"+literal(f.Query)+"%")
	}
	order, known := map[string]string{"": "m.updated_at DESC, m.id DESC", "-updated_at": "m.updated_at DESC, m.id DESC", "updated_at": "m.updated_at, m.id",
		"-created_at": "m.created_at DESC, m.id DESC", "created_at": "m.created_at, m.id", "name": "lower(m.name), m.id", "-name": "lower(m.name) DESC, m.id DESC"}[f.Sort]
	if !known {
		return nil, 0, fault.InvalidInput(fault.Detail{Location: "query.sort", Code: "unknown", Message: "sort is updated_at, created_at or name, with a minus for the other way round", Value: f.Sort})
	}
	page, args := wanted.page(f.Limit, f.Offset, ` ORDER BY `+order)
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+mcpServerColumns+` FROM mcp_servers m`+page, args...)
	items, err := collect(rows, err, scanMCPServer)
	if err != nil {
		return nil, 0, err
	}
	total, err := s.db.total(ctx, len(items), f.Limit, f.Offset, `SELECT count(*) FROM mcp_servers m`+wanted.where(), wanted.args...)
	return items, total, err
}

// change runs a change of a workspace's servers. The activity is written first:
// it takes the workspace's row, so that one change sees what another has made.
func (s *MCPServers) change(ctx context.Context, act workspace.Activity, write func(tx *sql.Tx) error) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := appendActivity(ctx, tx, act); err != nil {
			return err
		}
		return write(tx)
	})
}

func mcpNameFree(ctx context.Context, tx *sql.Tx, m *mcp.Server) error {
	var taken int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM mcp_servers WHERE workspace_id = $1 AND name = $2 AND id <> $3`, m.WorkspaceID, m.Name, m.ID).Scan(&taken); err != nil {
		return err
	}
	if taken > 0 {
		return fault.New(fault.Conflict, "the workspace has an mcp server %q already: choose another name", m.Name).WithCode("name_taken")
	}
	return nil
}

func mcpSearch(m *mcp.Server) string { return strings.ToLower(m.Name + "\n" + m.Description) }

// Insert implements mcp.Store.
func (s *MCPServers) Insert(ctx context.Context, m *mcp.Server, most int, act workspace.Activity) error {
	definition, err := json.Marshal(m.Definition)
	if err != nil {
		return fmt.Errorf("write definition: %w", err)
	}
	return s.change(ctx, act, func(tx *sql.Tx) error {
		var count int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM mcp_servers WHERE workspace_id = $1`, m.WorkspaceID).Scan(&count); err != nil {
			return err
		}
		if count >= most {
			return fault.New(fault.Conflict, "a workspace has at most %d mcp servers: delete some first", most)
		}
		if err := mcpNameFree(ctx, tx, m); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO mcp_servers (id, workspace_id, user_id, name, search, transport, category, definition, version, epoch, created_at, updated_at, status, seen_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`, m.ID, m.WorkspaceID, m.UserID, m.Name, mcpSearch(m), string(m.Transport), m.Category,
			string(definition), m.Version, m.Epoch, ms(m.CreatedAt), ms(m.UpdatedAt), string(m.Status), ms(m.SeenAt))
		return err
	})
}

// Save implements mcp.Store.
func (s *MCPServers) Save(ctx context.Context, m *mcp.Server, act workspace.Activity) error {
	definition, err := json.Marshal(m.Definition)
	if err != nil {
		return fmt.Errorf("write definition: %w", err)
	}
	return s.change(ctx, act, func(tx *sql.Tx) error {
		if err := mcpStillAt(ctx, tx, m.WorkspaceID, m.ID, m.Version-1); err != nil {
			return err
		}
		if err := mcpNameFree(ctx, tx, m); err != nil {
			return err
		}
		// The epoch may have grown since it was read: by a disconnection.
		return tx.QueryRowContext(ctx, `UPDATE mcp_servers SET name = $1, search = $2, transport = $3, category = $4, definition = $5, version = $6, epoch = epoch + 1, updated_at = $7,
			status = $8, last_error = '', seen_at = $9, capabilities = '', tools = '' WHERE id = $10 AND workspace_id = $11 RETURNING epoch`, m.Name, mcpSearch(m), string(m.Transport), m.Category,
			string(definition), m.Version, ms(m.UpdatedAt), string(m.Status), ms(m.SeenAt), m.ID, m.WorkspaceID).Scan(&m.Epoch)
	})
}

// mcpStillAt refuses when somebody was first; the workspace's row is locked.
func mcpStillAt(ctx context.Context, tx *sql.Tx, workspaceID, id string, version int64) error {
	var current int64
	if err := tx.QueryRowContext(ctx, `SELECT version FROM mcp_servers WHERE id = $1 AND workspace_id = $2`, id, workspaceID).Scan(&current); err != nil {
		return noRows(err, "mcp server")
	}
	if current != version {
		return mcp.Stale(current)
	}
	return nil
}

// Delete implements mcp.Store.
func (s *MCPServers) Delete(ctx context.Context, workspaceID, id string, version int64, act workspace.Activity) error {
	return s.change(ctx, act, func(tx *sql.Tx) error {
		if err := mcpStillAt(ctx, tx, workspaceID, id, version); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `DELETE FROM mcp_servers WHERE id = $1 AND workspace_id = $2`, id, workspaceID)
		return mustAffect(r, err, "mcp server")
	})
}

// Disconnect implements mcp.Store.
func (s *MCPServers) Disconnect(ctx context.Context, workspaceID, id string, act workspace.Activity) error {
	return s.change(ctx, act, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE mcp_servers SET epoch = epoch + 1, status = $1, last_error = '', seen_at = $2 WHERE id = $3 AND workspace_id = $4`,
			string(mcp.Disconnected), ms(act.At), id, workspaceID)
		return mustAffect(r, err, "mcp server")
	})
}

// Note implements mcp.Store.
func (s *MCPServers) Note(ctx context.Context, id string, epoch int64, st mcp.State) error {
	var tools []byte
	if st.Status == mcp.Connected {
		var err error
		if tools, err = json.Marshal(st.Tools); err != nil {
			return fmt.Errorf("write tools: %w", err)
		}
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		var err error
		switch st.Status {
		case mcp.Connected:
			_, err = tx.ExecContext(ctx, `UPDATE mcp_servers SET status = $1, last_error = '', seen_at = $2, last_connected_at = $3, capabilities = $4, tools = $5 WHERE id = $6 AND epoch = $7`,
				string(st.Status), ms(st.SeenAt), ms(st.LastConnectedAt), string(st.Capabilities), string(tools), id, epoch)
		case mcp.Failed:
			_, err = tx.ExecContext(ctx, `UPDATE mcp_servers SET status = $1, last_error = $2, seen_at = $3 WHERE id = $4 AND epoch = $5`, string(st.Status), st.LastError, ms(st.SeenAt), id, epoch)
		default:
			_, err = tx.ExecContext(ctx, `UPDATE mcp_servers SET status = $1, seen_at = $2 WHERE id = $3 AND epoch = $4`, string(st.Status), ms(st.SeenAt), id, epoch)
		}
		return err
	})
}

// Seen implements mcp.Store.
func (s *MCPServers) Seen(ctx context.Context, ids []string, now time.Time) (map[string]int64, error) {
	epochs := make(map[string]int64, len(ids))
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		for _, id := range ids {
			var epoch int64
			err := tx.QueryRowContext(ctx, `UPDATE mcp_servers SET seen_at = $1 WHERE id = $2 RETURNING epoch`, ms(now), id).Scan(&epoch)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			epochs[id] = epoch
		}
		return nil
	})
	return epochs, err
}
