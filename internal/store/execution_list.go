package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

// listedSelect leaves out what lists do not show: it can be large.
var listedSelect = `SELECT ` + strings.NewReplacer("trigger_data, output, output_ref, response,", "'', '', '', '',").Replace(strings.Join(strings.Fields(executionFields), " ")) + ` FROM executions`

// List implements execution.Store.
func (s *Executions) List(ctx context.Context, workspaceID string, f execution.Filter) (execution.Page, error) {
	return current(ctx, s.db.recall, question{what: "executions", workspaceID: workspaceID, filter: f}, []subject{{"executions", workspaceID}}, func() (execution.Page, int, error) {
		page, err := s.list(ctx, workspaceID, f)
		return page, 1_000 * len(page.Items), err
	})
}

func (s *Executions) list(ctx context.Context, workspaceID string, f execution.Filter) (execution.Page, error) {
	var page execution.Page
	var wanted conditions
	wanted.add(`workspace_id = ?`, workspaceID)
	if f.WorkflowID != "" {
		wanted.add(`workflow_id = ?`, f.WorkflowID)
	}
	if f.Status != "" {
		wanted.add(`status = ?`, string(f.Status))
	}
	if f.TriggerType != "" {
		wanted.add(`trigger_type = ?`, f.TriggerType)
	}
	switch {
	case f.ParentID != "":
		wanted.add(`parent_id <> '' AND parent_id = ?`, f.ParentID)
	case f.TriggerType == "":
		wanted.add(`trigger_type <> 'split'`)
	}
	if !f.From.IsZero() {
		wanted.add(`created_at >= ?`, millis(f.From))
	}
	if !f.To.IsZero() {
		wanted.add(`created_at < ?`, millis(f.To))
	}
	if f.Query != "" {
		wanted.add(`(id = ? OR lower(workflow_name) LIKE ? ESCAPE '\')`, f.Query, "%"+literal(f.Query)+"%")
	}
	all := wanted
	if f.Cursor != "" {
		at, id, err := readCursor(f.Cursor)
		if err != nil {
			return page, err
		}
		wanted.add(`(created_at < ? OR created_at = ? AND id < ?)`, at, at, id)
		f.Offset = 0
	}
	text, args := wanted.page(f.Limit+1, f.Offset, ` ORDER BY created_at DESC, id DESC`)
	result, err := s.db.Read().QueryContext(ctx, listedSelect+text, args...)
	if page.Items, err = collect(result, err, func(row scanner) (*execution.Execution, error) {
		x, _, err := scanExecution(row)
		return x, err
	}); err != nil {
		return page, err
	}
	found := len(page.Items)
	if found > f.Limit {
		page.Items = page.Items[:f.Limit]
		last := page.Items[f.Limit-1]
		page.NextCursor = writeCursor(millis(last.CreatedAt), last.ID)
	}
	if f.Cursor != "" {
		found = f.Limit + 1 // there was something before it: count
	}
	page.Total, err = s.db.total(ctx, found, f.Limit+1, f.Offset, `SELECT count(*) FROM executions`+all.where(), all.args...)
	return page, err
}

// literal escapes the wildcards of LIKE, for lower-case comparison.
func literal(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(s))
}

func writeCursor(at int64, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(at, 10) + " " + id))
}

func readCursor(s string) (at int64, id string, err error) {
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		var n int
		n, err = fmt.Sscanf(string(text), "%d %s", &at, &id)
		if n == 2 && err == nil {
			return at, id, nil
		}
	}
	return 0, "", fault.InvalidInput(fault.Detail{Location: "query.cursor", Code: "bad_cursor", Message: "the cursor is not one this list has given out"})
}

// RequestCancel implements execution.Store.
func (s *Executions) RequestCancel(ctx context.Context, workspaceID, id string) (*execution.Execution, error) {
	return s.request(ctx, workspaceID, id, `UPDATE executions SET `+cancelSet+` WHERE id = $2 AND workspace_id = $3 AND status IN `+openStates, ms(s.now()), id, workspaceID)
}

// RequestPause implements execution.Store.
func (s *Executions) RequestPause(ctx context.Context, workspaceID, id string, paused bool) (*execution.Execution, error) {
	return s.request(ctx, workspaceID, id, `UPDATE executions SET pause_requested = `+strconv.FormatInt(flag(paused), 10)+
		` WHERE id = $1 AND workspace_id = $2 AND status IN `+openStates, id, workspaceID)
}

// request marks what is wanted of an execution.
func (s *Executions) request(ctx context.Context, workspaceID, id, update string, args ...any) (*execution.Execution, error) {
	changed := int64(0)
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, update, args...)
		if err != nil {
			return err
		}
		if changed, err = result.RowsAffected(); err != nil || changed == 0 || s.enqueue == nil {
			return err
		}
		return lookAt(ctx, tx, s.enqueue, []execution.Ticket{{ID: id, WorkspaceID: workspaceID}})
	})
	if err != nil {
		return nil, err
	}
	x, err := s.Find(ctx, workspaceID, id)
	if err != nil {
		return nil, err
	}
	if changed == 0 {
		return x, fault.New(fault.Conflict, "the execution is %s already", x.Status)
	}
	return x, nil
}

// Delete implements execution.Store.
func (s *Executions) Delete(ctx context.Context, workspaceID, id string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM executions WHERE id = $1 AND workspace_id = $2 AND status IN ('completed', 'failed', 'cancelled')
			AND trigger_type <> 'split' AND NOT EXISTS (SELECT 1 FROM follow_ups WHERE source_id = $1)`, id, workspaceID)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			if err != nil {
				return err
			}
			return fault.New(fault.Conflict, "only finished executions can be deleted, the shares of a split only with their parent, and none while its end starts another: cancel it first, or try again in a moment")
		}
		return removeParts(ctx, tx, id)
	})
}

// Open returns executions that want an engine: those nobody has finished whose
// time has come or that were answered, most urgent first, and when the next one
// will (zero: none). With running, those that were under way are among them:
// for a start after the only process had ended.
func (s *Executions) Open(ctx context.Context, now time.Time, running bool, limit int) (tickets []execution.Ticket, next time.Time, err error) {
	if running {
		if err := s.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := refill(ctx, s.db, tx, now, maxRefill)
			return err
		}); err != nil {
			return nil, next, err
		}
	}
	// Each part goes by an index of its own (SQLite wants to be told the states
	// of a partial one): what only waits is not looked at, and of a crowd that is
	// due at once only those due longest.
	const fields = `SELECT id, workspace_id, priority, wake_at FROM executions WHERE status IN ` + openStates + ` AND `
	parts := []string{fields + `status = 'pending' AND wake_at > 0 AND wake_at <= $1`, `SELECT * FROM (` + fields + `status = 'waiting' AND wake_at > 0 AND wake_at <= $1 ORDER BY wake_at LIMIT $2) AS due`,
		fields + `cancel_requested = 1 AND ($3 = 1 OR status <> 'running')`,
		`SELECT x.id, x.workspace_id, x.priority, x.wake_at FROM asks a CROSS JOIN executions x WHERE a.status = 'answered' AND a.taken = 0 AND x.id = a.execution_id AND x.status = 'waiting'`,
		fields + `status = 'running' AND $3 = 1`}
	result, err := s.db.Read().QueryContext(ctx, strings.Join(parts, ` UNION `)+` ORDER BY priority DESC, wake_at, id LIMIT $2`, now.UnixMilli(), limit, flag(running))
	tickets, err = collect(result, err, func(row scanner) (t execution.Ticket, err error) {
		var wake int64
		err = row.Scan(&t.ID, &t.WorkspaceID, &t.Priority, &wake)
		return t, err
	})
	if err != nil {
		return nil, next, err
	}
	for _, status := range []string{"pending", "waiting"} {
		var at sql.NullInt64
		if err := s.db.Read().QueryRowContext(ctx, `SELECT min(wake_at) FROM executions WHERE status IN `+openStates+` AND status = '`+status+`' AND wake_at > $1`, now.UnixMilli()).Scan(&at); err != nil {
			return nil, next, explain(err)
		}
		if at.Valid && (next.IsZero() || fromMillis(at.Int64).Before(next)) {
			next = fromMillis(at.Int64)
		}
	}
	return tickets, next, nil
}
