package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"agentstudio/internal/execution"
)

// retentionLock is the advisory lock of the one process that cleans up a
// PostgreSQL database. The number is ours alone and must never change.
const retentionLock = 7_203_114_904

// day is in milliseconds.
const day = 24 * 60 * 60 * 1000

// Retention removes what was kept long enough. Each method removes a bounded
// number of things in one short transaction and says how many it found, so
// that a caller goes on until there is nothing more.
type Retention struct{ db *DB }

// NewRetention returns the store of what may be removed.
func NewRetention(db *DB) *Retention { return &Retention{db: db} }

// Alone runs do unless another process does so just now; then it reports
// false. On SQLite there is no other process.
func (s *Retention) Alone(ctx context.Context, do func(context.Context) error) (ran bool, err error) {
	if s.db.dialect == SQLite {
		return true, do(ctx)
	}
	conn, err := s.db.write.Conn(ctx)
	if err != nil {
		return false, explain(fmt.Errorf("clean up: %w", err))
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, retentionLock).Scan(&ran); err != nil || !ran {
		return false, explain(err)
	}
	defer func() {
		_, unlocked := conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, retentionLock)
		err = errors.Join(err, explain(unlocked))
	}()
	return true, do(ctx)
}

// Scopes returns what keeps executions for a time of its own: every workflow
// with a retention, and every workspace.
func (s *Retention) Scopes(ctx context.Context) (workflows map[string]int, workspaces []string, err error) {
	workflows = map[string]int{}
	rows, err := s.db.Read().QueryContext(ctx, `SELECT id, retention_days FROM workflows WHERE retention_days > 0`)
	if _, err = collect(rows, err, func(row scanner) (struct{}, error) {
		var id string
		var days int
		err := row.Scan(&id, &days)
		workflows[id] = days
		return struct{}{}, err
	}); err != nil {
		return nil, nil, err
	}
	rows, err = s.db.Read().QueryContext(ctx, `SELECT id FROM workspaces ORDER BY id`)
	workspaces, err = collect(rows, err, func(row scanner) (id string, err error) { return id, row.Scan(&id) })
	return workflows, workspaces, err
}

// ended narrows to executions that are over since before $2 and whose end
// starts no other any more. Shares go with the execution of their split.
const ended = ` AND (e.trigger_type <> 'split' OR NOT EXISTS (SELECT 1 FROM executions p WHERE p.id = e.parent_id)) AND e.created_at < $2 AND e.completed_at > 0 AND e.completed_at < $2 AND e.status IN ('completed', 'failed', 'cancelled')
	AND NOT EXISTS (SELECT 1 FROM follow_ups f WHERE f.source_id = e.id)`

// OfWorkflow removes executions of a workflow that ended before the moment.
func (s *Retention) OfWorkflow(ctx context.Context, workflowID string, before time.Time, limit int) (int, error) {
	return s.remove(ctx, `SELECT e.id FROM executions e WHERE e.workflow_id = $1`+ended+` ORDER BY e.created_at LIMIT $3`, workflowID, before.UnixMilli(), limit)
}

// OfWorkspace removes executions of a workspace that ended before the moment,
// those of workflows with a retention of their own left out.
func (s *Retention) OfWorkspace(ctx context.Context, workspaceID string, before time.Time, limit int) (int, error) {
	return s.remove(ctx, `SELECT e.id FROM executions e WHERE e.workspace_id = $1`+ended+`
		AND NOT EXISTS (SELECT 1 FROM workflows w WHERE w.id = e.workflow_id AND w.retention_days > 0) ORDER BY e.created_at LIMIT $3`, workspaceID, before.UnixMilli(), limit)
}

func (s *Retention) remove(ctx context.Context, selection string, args ...any) (n int, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, selection, args...)
		ids, err := collect(rows, err, func(row scanner) (id string, err error) { return id, row.Scan(&id) })
		if err != nil {
			return err
		}
		n = len(ids)
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, `DELETE FROM executions WHERE id = $1`, id); err != nil {
				return err
			}
			if err := removeParts(ctx, tx, id); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// removeParts removes what belongs to an execution beside its row, the shares of
// its splits with it.
func removeParts(ctx context.Context, tx *sql.Tx, id string) error {
	found, err := tx.QueryContext(ctx, `DELETE FROM executions WHERE parent_id <> '' AND parent_id = $1 AND trigger_type = 'split' RETURNING id`, id)
	shares, err := collect(found, err, func(row scanner) (id string, err error) { return id, row.Scan(&id) })
	if err != nil {
		return err
	}
	for _, share := range shares {
		if err := removeParts(ctx, tx, share); err != nil {
			return err
		}
	}
	for _, table := range []string{"ask_approvers", "letters"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE ask_id IN (SELECT id FROM asks WHERE execution_id = $1)`, id); err != nil {
			return err
		}
	}
	for _, table := range []string{"node_executions", "execution_events", "execution_logs", "agent_steps", "execution_keys", "execution_definitions", "asks"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE execution_id = $1`, id); err != nil {
			return err
		}
	}
	return nil
}

// Payloads removes large values that nothing refers to, among the next limit
// after the place, and moves the place on; it is the zero Place again at the
// end. A value written, or written again, after the moment is left alone: its
// commit may be under way.
func (s *Retention) Payloads(ctx context.Context, at *execution.PayloadKey, before time.Time, limit int) (removed int64, err error) {
	var last execution.PayloadKey
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT workspace_id, hash FROM payloads WHERE (workspace_id, hash) > ($1, $2) ORDER BY workspace_id, hash LIMIT $3`, at.WorkspaceID, at.Hash, limit)
		found, err := collect(rows, err, func(row scanner) (p execution.PayloadKey, err error) { return p, row.Scan(&p.WorkspaceID, &p.Hash) })
		if err != nil || len(found) == 0 {
			return err
		}
		end := found[len(found)-1]
		if len(found) == limit {
			last = end
		}
		result, err := tx.ExecContext(ctx, `DELETE FROM payloads WHERE (workspace_id, hash) > ($1, $2) AND (workspace_id, hash) <= ($3, $4) AND created_at < $5
			AND NOT EXISTS (SELECT 1 FROM node_executions n WHERE n.output_ref = payloads.hash)
			AND NOT EXISTS (SELECT 1 FROM executions e WHERE e.output_ref = payloads.hash)`, at.WorkspaceID, at.Hash, end.WorkspaceID, end.Hash, before.UnixMilli())
		if err != nil {
			return err
		}
		removed, err = result.RowsAffected()
		return err
	})
	if err == nil {
		*at = last
	}
	return removed, err
}

// Expired removes at most limit each of the keys, codes and tickets that mean
// nothing any more, and sessions that ended a week ago.
func (s *Retention) Expired(ctx context.Context, now time.Time, limit int) (removed int64, err error) {
	at := now.UnixMilli()
	for _, one := range []struct {
		table, key, column string
		before             int64
	}{
		{"execution_keys", "execution_id", "created_at", at - keyLife.Milliseconds()},
		{"idempotency_keys", "key", "expires_at", at},
		{"otps", "email", "expires_at", at - day},
		{"tickets", "token_hash", "expires_at", at - day},
		{"sessions", "id", "expires_at", at - 7*day},
	} {
		var n int64
		err := s.db.Write(ctx, func(tx *sql.Tx) error {
			result, err := tx.ExecContext(ctx, `DELETE FROM `+one.table+` WHERE `+one.column+` < $1 AND `+one.key+` IN (SELECT `+one.key+` FROM `+one.table+` WHERE `+one.column+` < $1 LIMIT $2)`, one.before, limit)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		})
		if err != nil {
			return removed, fmt.Errorf("clean up %s: %w", one.table, err)
		}
		removed += n
	}
	return removed, nil
}
