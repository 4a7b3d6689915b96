package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"agentstudio/internal/usage"
)

// Usage keeps the records of calls to models.
type Usage struct{ db *DB }

// NewUsage returns the store of usage records.
func NewUsage(db *DB) *Usage { return &Usage{db: db} }

var usageColumns = strings.Split("id,workspace_id,user_id,workflow_id,execution_id,node_id,agent,provider,model,"+
	"input,output,cache_read,cache_write,cost_micros,latency_ms,first_token_ms,outcome,error_code,at,tool,agents,api_key_id,reasoning,kind,units", ",")

// Add inserts the records in one transaction. Records without an id get one;
// a record whose id is there already is left as it is, so that a batch may be
// handed in again.
func (s *Usage) Add(ctx context.Context, records []usage.Record) error {
	if len(records) == 0 {
		return nil
	}
	r := rows{table: "usage_records", columns: usageColumns, conflict: "ON CONFLICT (id) DO NOTHING"}
	for _, u := range records {
		if u.ID == "" {
			id, err := uuid.NewV7()
			if err != nil {
				return fmt.Errorf("make id: %w", err)
			}
			u.ID = id.String()
		}
		addUsage(&r, u)
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		return newBulkWriter(s.db).begin(tx).insert(ctx, &r)
	})
}

func addUsage(r *rows, u usage.Record) {
	r.add(u.ID, u.WorkspaceID, u.UserID, u.WorkflowID, u.ExecutionID, u.NodeID, u.Agent, u.Provider, u.Model,
		u.Input, u.Output, u.CacheRead, u.CacheWrite, u.CostMicros, u.Latency.Milliseconds(), u.FirstToken.Milliseconds(),
		string(u.Outcome), u.ErrorCode, ms(u.At), u.Tool, agentsPath(u), u.APIKeyID, u.Reasoning, u.Kind, u.Units)
}

// List returns the workspace's records since a time, newest first, at most limit.
func (s *Usage) List(ctx context.Context, workspaceID string, since time.Time, limit int) ([]usage.Record, error) {
	found, err := s.db.Read().QueryContext(ctx, `SELECT id, workspace_id, user_id, workflow_id, execution_id, node_id, agent, provider, model,
		input, output, cache_read, cache_write, cost_micros, latency_ms, first_token_ms, outcome, error_code, at, tool, agents, api_key_id, reasoning, kind, units
		FROM usage_records WHERE workspace_id = $1 AND at >= $2 ORDER BY at DESC, id DESC LIMIT $3`, workspaceID, ms(since), limit)
	return collect(found, err, scanUsage)
}

// agentsPath is who called the agent and itself, each between slashes.
func agentsPath(u usage.Record) string {
	if u.Agent == "" && len(u.Above) == 0 {
		return ""
	}
	return "/" + strings.Join(append(slices.Clone(u.Above), u.Agent), "/") + "/"
}

func scanUsage(row scanner) (u usage.Record, err error) {
	var latency, first, when int64
	var agents string
	err = row.Scan(&u.ID, &u.WorkspaceID, &u.UserID, &u.WorkflowID, &u.ExecutionID, &u.NodeID, &u.Agent, &u.Provider, &u.Model,
		&u.Input, &u.Output, &u.CacheRead, &u.CacheWrite, &u.CostMicros, &latency, &first, &u.Outcome, &u.ErrorCode, &when, &u.Tool, &agents, &u.APIKeyID, &u.Reasoning, &u.Kind, &u.Units)
	if path := strings.Split(strings.Trim(agents, "/"), "/"); len(path) > 1 {
		u.Above = path[:len(path)-1]
	}
	u.Latency, u.FirstToken, u.At = time.Duration(latency)*time.Millisecond, time.Duration(first)*time.Millisecond, at(when)
	return u, err
}
