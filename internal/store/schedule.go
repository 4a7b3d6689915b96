package store

import (
	"context"
	"database/sql"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"
)

// DueSchedules returns the schedules to look at, most overdue first, and when
// the next one will be (zero: none is waiting).
func (s *Executions) DueSchedules(ctx context.Context, now time.Time, limit int) (due []execution.Scheduled, next time.Time, err error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT s.id, s.workspace_id, s.workflow_id, s.version, s.node_id, s.config, COALESCE(s.next_at, 0), s.created_at,
		s.last_execution, COALESCE(e.status, ''), COALESCE(e.completed_at, 0)
		FROM schedules s LEFT JOIN executions e ON e.id = s.last_execution WHERE s.due_at <= $1 ORDER BY s.due_at, s.id LIMIT $2`, ms(now), limit)
	due, err = collect(rows, err, func(row scanner) (d execution.Scheduled, err error) {
		var config string
		var nextAt, armed, ended int64
		if err := row.Scan(&d.ID, &d.WorkspaceID, &d.WorkflowID, &d.Version, &d.NodeID, &config, &nextAt, &armed, &d.LastExecution, &d.LastStatus, &ended); err != nil {
			return d, err
		}
		d.NextAt, d.ArmedAt, d.LastEnded = fromMillis(nextAt), fromMillis(armed), fromMillis(ended)
		return d, parseJSON(config, &d.Schedule)
	})
	if err != nil {
		return nil, next, err
	}
	var at sql.NullInt64
	err = s.db.Read().QueryRowContext(ctx, `SELECT min(due_at) FROM schedules WHERE due_at > $1`, ms(now)).Scan(&at)
	return due, fromMillis(at.Int64), explain(err)
}

// Fire moves a schedule on and creates the executions of the ticks that fire,
// all in one transaction. fired is false, and nothing was done, when the
// schedule is not where it was seen: somebody else has fired it, or it is
// armed no longer. Conflict: an execution of a tick is there already.
func (s *Executions) Fire(ctx context.Context, f execution.Firing) (fired bool, err error) {
	var m moves
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		last := f.Seen.LastExecution
		for _, n := range f.Executions {
			last = n.ID
		}
		result, err := tx.ExecContext(ctx, `UPDATE schedules SET next_at = $1, due_at = $2, last_execution = $3, last_at = COALESCE($4, last_at)
			WHERE id = $5 AND version = $6 AND COALESCE(next_at, 0) = $7 AND last_execution = $8`,
			nullMillis(f.Next), nullMillis(f.DueAt), last, nullMillis(f.Tick), f.Seen.ID, f.Seen.Version, millis(f.Seen.NextAt), f.Seen.LastExecution)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		if f.CancelLast {
			if err := s.cancel(ctx, tx, f.Seen.WorkspaceID, f.Seen.LastExecution); err != nil {
				return err
			}
		}
		fired = true
		m, err = s.insert(ctx, tx, f.Executions, nil)
		return err
	})
	if err == nil {
		s.tell(m.all())
	}
	if duplicate(err) {
		return false, fault.New(fault.Conflict, "an execution of this tick is there already")
	}
	return fired && err == nil, err
}

// cancel asks for the end of an execution, whichever worker runs it.
func (s *Executions) cancel(ctx context.Context, tx *sql.Tx, workspaceID, id string) error {
	result, err := tx.ExecContext(ctx, `UPDATE executions SET `+cancelSet+` WHERE id = $2 AND workspace_id = $3 AND status IN `+openStates, ms(s.now()), id, workspaceID)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 || s.enqueue == nil {
		return err
	}
	return lookAt(ctx, tx, s.enqueue, []execution.Ticket{{ID: id, WorkspaceID: workspaceID}})
}

// Hold has a schedule whose last execution still runs looked at again at
// until. held is false when it has ended meanwhile, or somebody has fired it.
func (s *Executions) Hold(ctx context.Context, seen execution.Scheduled, next, until time.Time) (held bool, err error) {
	return s.moved(ctx, `UPDATE schedules SET next_at = $1, due_at = $2 WHERE id = $3 AND last_execution = $4 AND COALESCE(next_at, 0) = $5
		AND EXISTS (SELECT 1 FROM executions e WHERE e.id = schedules.last_execution AND e.status IN ('pending', 'running', 'waiting', 'paused'))`,
		nullMillis(next), nullMillis(until), seen.ID, seen.LastExecution, millis(seen.NextAt))
}

// Release ends a Hold: the execution it waited for is over.
func (s *Executions) Release(ctx context.Context, scheduleID, execution string, now time.Time) error {
	_, err := s.moved(ctx, `UPDATE schedules SET due_at = $1 WHERE id = $2 AND last_execution = $3 AND due_at > $1 AND next_at <= $1`, ms(now), scheduleID, execution)
	return err
}

func (s *Executions) moved(ctx context.Context, update string, args ...any) (moved bool, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, update, args...)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		moved = n > 0
		return err
	})
	return moved && err == nil, err
}

func nullMillis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

// Schedules implements workflow.Store.
func (s *Workflows) Schedules(ctx context.Context, workspaceID, workflowID string) ([]workflow.ArmedSchedule, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT node_id, config, created_at, COALESCE(next_at, 0), COALESCE(last_at, 0) FROM schedules
		WHERE workspace_id = $1 AND workflow_id = $2 ORDER BY node_id`, workspaceID, workflowID)
	return collect(rows, err, func(row scanner) (a workflow.ArmedSchedule, err error) {
		var config string
		var armed, next, last int64
		if err := row.Scan(&a.NodeID, &config, &armed, &next, &last); err != nil {
			return a, err
		}
		a.ArmedAt, a.NextAt, a.LastAt = fromMillis(armed), fromMillis(next), fromMillis(last)
		return a, parseJSON(config, &a.Schedule)
	})
}
