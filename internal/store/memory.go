package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"

	"agentstudio/internal/memory"
)

// Memories keeps what agents noted.
type Memories struct{ db *DB }

// NewMemories returns the store of memories.
func NewMemories(db *DB) *Memories { return &Memories{db: db} }

var _ memory.Store = (*Memories)(nil)

const memoryColumns = `id, agent_id, key, text, created_at, updated_at`

func scanMemory(row scanner) (m memory.Memory, err error) {
	var created, updated int64
	err = row.Scan(&m.ID, &m.AgentID, &m.Key, &m.Text, &created, &updated)
	m.CreatedAt, m.UpdatedAt = at(created), at(updated)
	return m, err
}

// termChunk is how many terms are written with one statement.
const termChunk = 100

// Save implements memory.Store.
func (s *Memories) Save(ctx context.Context, scope memory.Scope, m memory.Memory, terms map[string]int, most int) (kept memory.Memory, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		var others int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM memories WHERE workspace_id = $1 AND agent_id = $2 AND key <> $3`, scope.WorkspaceID, scope.AgentID, m.Key).Scan(&others); err != nil {
			return err
		}
		if others >= most {
			return memory.Full(most)
		}
		words := 0
		for _, n := range terms {
			words += n
		}
		if kept, err = scanMemory(tx.QueryRowContext(ctx, `INSERT INTO memories (id, workspace_id, agent_id, key, text, words, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (workspace_id, agent_id, key) DO UPDATE SET text = excluded.text, words = excluded.words, updated_at = excluded.updated_at RETURNING `+memoryColumns,
			m.ID, scope.WorkspaceID, scope.AgentID, m.Key, m.Text, words, ms(m.CreatedAt), ms(m.UpdatedAt))); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM memory_terms WHERE memory_id = $1`, kept.ID); err != nil {
			return err
		}
		for chunk := range slices.Chunk(slices.Sorted(maps.Keys(terms)), termChunk) {
			var rows []string
			var args []any
			for _, term := range chunk {
				rows = append(rows, "("+parameters(len(args)+1, 5)+")")
				args = append(args, kept.ID, scope.WorkspaceID, scope.AgentID, term, terms[term])
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO memory_terms (memory_id, workspace_id, agent_id, term, times) VALUES `+strings.Join(rows, ", "), args...); err != nil {
				return err
			}
		}
		return nil
	})
	return kept, err
}

// Recall implements memory.Store.
func (s *Memories) Recall(ctx context.Context, scope memory.Scope, key string) (memory.Memory, error) {
	m, err := scanMemory(s.db.Read().QueryRowContext(ctx, `SELECT `+memoryColumns+` FROM memories WHERE workspace_id = $1 AND agent_id IN ($2, '') AND key = $3
		ORDER BY agent_id DESC LIMIT 1`, scope.WorkspaceID, scope.AgentID, key))
	return m, noRows(err, "memory")
}

// Matches implements memory.Store.
func (s *Memories) Matches(ctx context.Context, scope memory.Scope, terms []string) (found []memory.Match, totals memory.Totals, err error) {
	args := []any{scope.WorkspaceID, scope.AgentID}
	rows, err := s.db.Read().QueryContext(ctx, `SELECT t.memory_id, t.term, t.times, m.words FROM memory_terms t JOIN memories m ON m.id = t.memory_id
		WHERE t.workspace_id = $1 AND t.agent_id IN ($2, '') AND t.term IN (`+parameters(3, len(terms))+`)`, append(args, anySlice(terms)...)...)
	found, err = collect(rows, err, func(row scanner) (m memory.Match, err error) {
		return m, row.Scan(&m.MemoryID, &m.Term, &m.Times, &m.Words)
	})
	if err != nil {
		return nil, totals, err
	}
	err = s.db.Read().QueryRowContext(ctx, `SELECT count(*), CAST(COALESCE(SUM(words), 0) AS BIGINT) FROM memories WHERE workspace_id = $1 AND agent_id IN ($2, '')`, args...).Scan(&totals.Memories, &totals.Words)
	return found, totals, explain(err)
}

// ByID implements memory.Store.
func (s *Memories) ByID(ctx context.Context, scope memory.Scope, ids []string) ([]memory.Memory, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+memoryColumns+` FROM memories WHERE workspace_id = $1 AND id IN (`+parameters(2, len(ids))+`)`, append([]any{scope.WorkspaceID}, anySlice(ids)...)...)
	return collect(rows, err, scanMemory)
}

// Latest implements memory.Store.
func (s *Memories) Latest(ctx context.Context, scope memory.Scope, limit, offset int) ([]memory.Memory, int, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+memoryColumns+` FROM memories WHERE workspace_id = $1 AND agent_id IN ($2, '') ORDER BY updated_at DESC, id DESC LIMIT $3 OFFSET $4`,
		scope.WorkspaceID, scope.AgentID, limit, offset)
	items, err := collect(rows, err, scanMemory)
	if err != nil {
		return nil, 0, err
	}
	total, err := s.db.total(ctx, len(items), limit, offset, `SELECT count(*) FROM memories WHERE workspace_id = $1 AND agent_id IN ($2, '')`, scope.WorkspaceID, scope.AgentID)
	return items, total, err
}

// Forget implements memory.Store.
func (s *Memories) Forget(ctx context.Context, scope memory.Scope, key string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM memories WHERE workspace_id = $1 AND agent_id = $2 AND key = $3`, scope.WorkspaceID, scope.AgentID, key)
		return mustAffect(r, err, "memory")
	})
}
