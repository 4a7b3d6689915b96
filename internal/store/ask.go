package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/workspace"
)

var askColumns = []string{"id", "workspace_id", "execution_id", "node_id", "iteration", "name", "kind", "title", "key", "message", "subject", "form",
	"form_optional", "approvers", "created_at", "expires_at", "mail_at", "status"}

// ask gathers the rows of what a commit asks for. What was asked before under
// the same name stays as it is.
func (b *bulk) ask(a *execution.Ask) {
	approvers, mailAt := "", int64(0)
	if len(a.Approvers) > 0 {
		approvers, mailAt = jsonText(a.Approvers), millis(a.CreatedAt)
	}
	b.asks.add(a.ID, a.WorkspaceID, a.ExecutionID, a.NodeID, a.Iteration, a.Name, a.Kind, a.NodeTitle, a.Key, a.Message, string(a.Subject), string(a.Form),
		flag(a.FormOptional), approvers, millis(a.CreatedAt), millis(a.ExpiresAt), mailAt, string(execution.AskOpen))
	for _, who := range a.Who() {
		b.approvers.add(a.ID, who)
	}
}

// askChanges settles what a commit says about asks, its own included: a node
// may ask in the very commit that ends its execution.
func (b *bulk) askChanges(ctx context.Context, c *execution.Commit) error {
	for _, n := range c.Taken {
		if _, err := b.tx.ExecContext(ctx, `UPDATE asks SET taken = 1 WHERE execution_id = $1 AND node_id = $2 AND iteration = $3 AND status = 'answered' AND taken = 0`,
			c.ExecutionID, n.NodeID, n.Iteration); err != nil {
			return fmt.Errorf("take answers: %w", err)
		}
	}
	for _, n := range c.Closed {
		if _, err := b.tx.ExecContext(ctx, closeAsks+` AND node_id = $2 AND iteration = $3`, c.ExecutionID, n.NodeID, n.Iteration); err != nil {
			return fmt.Errorf("close asks: %w", err)
		}
	}
	if c.CloseAsks {
		if _, err := b.tx.ExecContext(ctx, closeAsks, c.ExecutionID); err != nil {
			return fmt.Errorf("close asks: %w", err)
		}
	}
	return nil
}

const closeAsks = `UPDATE asks SET taken = 1, status = CASE WHEN status = 'open' THEN 'closed' ELSE status END WHERE execution_id = $1 AND taken = 0`

const askSelect = `SELECT a.id, a.workspace_id, e.workflow_id, e.workflow_name, a.execution_id, a.node_id, a.title, a.iteration, a.name, a.kind, a.key, a.message,
	a.subject, a.form, a.form_optional, a.approvers, a.created_at, a.expires_at, a.status, a.decision, a.comment, a.data, a.answered_by, a.answered_email, a.answered_at
	FROM asks a JOIN executions e ON e.id = a.execution_id`

func scanAsk(row scanner) (a execution.Ask, err error) {
	var subject, form, approvers, status, data string
	var optional, created, expires, answered int64
	err = row.Scan(&a.ID, &a.WorkspaceID, &a.WorkflowID, &a.WorkflowName, &a.ExecutionID, &a.NodeID, &a.NodeTitle, &a.Iteration, &a.Name, &a.Kind, &a.Key, &a.Message,
		&subject, &form, &optional, &approvers, &created, &expires, &status, &a.Decision, &a.Comment, &data, &a.AnsweredBy, &a.AnsweredEmail, &answered)
	if err != nil {
		return a, err
	}
	a.Subject, a.Form, a.Data, a.FormOptional, a.Status = rawJSON(subject), rawJSON(form), rawJSON(data), optional == 1, execution.AskStatus(status)
	a.Callable = a.Key != ""
	a.CreatedAt, a.ExpiresAt, a.AnsweredAt = fromMillis(created), fromMillis(expires), fromMillis(answered)
	return a, parseJSON(approvers, &a.Approvers)
}

// Asks implements execution.Journal.
func (s *Executions) Asks(ctx context.Context, workspaceID, id, nodeID, iteration string, now time.Time) ([]execution.Ask, error) {
	const where = ` WHERE execution_id = $1 AND node_id = $2 AND iteration = $3`
	var due bool
	if err := s.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM asks`+where+` AND status = 'open' AND expires_at > 0 AND expires_at <= $4)`,
		id, nodeID, iteration, ms(now)).Scan(&due); err != nil {
		return nil, explain(err)
	}
	if due { // whether an answer came in time is decided here, once
		err := s.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE asks SET status = 'expired', answered_at = $4`+where+` AND status = 'open' AND expires_at > 0 AND expires_at <= $4`, id, nodeID, iteration, ms(now))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	rows, err := s.db.Read().QueryContext(ctx, askSelect+` WHERE a.workspace_id = $1 AND a.execution_id = $2 AND a.node_id = $3 AND a.iteration = $4`, workspaceID, id, nodeID, iteration)
	return collect(rows, err, scanAsk)
}

// Untaken implements execution.Journal.
func (s *Executions) Untaken(ctx context.Context, workspaceID, id string) ([]execution.Ask, error) {
	rows, err := s.db.Read().QueryContext(ctx, askSelect+` WHERE a.workspace_id = $1 AND a.execution_id = $2 AND a.status = 'answered' AND a.taken = 0`, workspaceID, id)
	return collect(rows, err, scanAsk)
}

// Ask implements execution.Asks.
func (s *Executions) Ask(ctx context.Context, workspaceID, id string) (*execution.Ask, error) {
	a, err := scanAsk(s.db.Read().QueryRowContext(ctx, askSelect+` WHERE a.workspace_id = $1 AND a.id = $2`, workspaceID, id))
	return &a, noRows(err, "question")
}

// AskByKey implements execution.Asks.
func (s *Executions) AskByKey(ctx context.Context, key string) (*execution.Ask, error) {
	a, err := scanAsk(s.db.Read().QueryRowContext(ctx, askSelect+` WHERE a.key = $1`, key))
	return &a, noRows(err, "address")
}

// AsksOf implements execution.Asks.
func (s *Executions) AsksOf(ctx context.Context, workspaceID, executionID string, limit int) ([]execution.Ask, error) {
	rows, err := s.db.Read().QueryContext(ctx, askSelect+` WHERE a.workspace_id = $1 AND a.execution_id = $2 AND a.status = 'open' ORDER BY a.created_at, a.id LIMIT $3`, workspaceID, executionID, limit)
	return collect(rows, err, scanAsk)
}

// AsksFor implements execution.Asks.
func (s *Executions) AsksFor(ctx context.Context, workspaceID string, who []string, limit, offset int) ([]execution.Ask, int, error) {
	names, err := json.Marshal(who)
	if err != nil {
		return nil, 0, err
	}
	each := `SELECT value FROM json_each($2)`
	if s.db.Dialect() == Postgres {
		each = `SELECT jsonb_array_elements_text(CAST($2 AS jsonb))`
	}
	where := ` WHERE a.workspace_id = $1 AND a.status = 'open' AND a.key = '' AND EXISTS (SELECT 1 FROM ask_approvers p WHERE p.ask_id = a.id AND p.who IN (` + each + `))`
	var total int
	if err := s.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM asks a`+where, workspaceID, string(names)).Scan(&total); err != nil {
		return nil, 0, explain(err)
	}
	rows, err := s.db.Read().QueryContext(ctx, askSelect+where+` ORDER BY a.created_at, a.id LIMIT $3 OFFSET $4`, workspaceID, string(names), limit, offset)
	asks, err := collect(rows, err, scanAsk)
	return asks, total, err
}

// Answer implements execution.Asks. Of two answers at once the second finds
// the row of the first.
func (s *Executions) Answer(ctx context.Context, a execution.Ask, entry *workspace.Activity) error {
	changed := int64(0)
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE asks SET status = 'answered', decision = $1, comment = $2, data = $3, answered_by = $4, answered_email = $5, answered_at = $6
			WHERE id = $7 AND workspace_id = $8 AND status = 'open' AND (expires_at = 0 OR expires_at > $6)
			AND EXISTS (SELECT 1 FROM executions e WHERE e.id = asks.execution_id AND e.cancel_requested = 0 AND e.status IN `+openStates+`)`,
			a.Decision, a.Comment, string(a.Data), a.AnsweredBy, a.AnsweredEmail, ms(a.AnsweredAt), a.ID, a.WorkspaceID)
		if err != nil {
			return err
		}
		if changed, err = result.RowsAffected(); err != nil || changed == 0 {
			return err
		}
		if s.enqueue != nil {
			if err := lookAt(ctx, tx, s.enqueue, []execution.Ticket{{ID: a.ExecutionID, WorkspaceID: a.WorkspaceID}}); err != nil {
				return err
			}
		}
		if entry == nil {
			return nil
		}
		return appendActivity(ctx, tx, *entry)
	})
	if err != nil || changed == 1 {
		return err
	}
	now, err := s.Ask(ctx, a.WorkspaceID, a.ID)
	if err != nil {
		return err
	}
	if err := now.State(a.AnsweredAt); err != nil {
		return err
	}
	return fault.New(fault.Conflict, "nobody waits for this any more: its execution is over, or about to be").WithCode("closed")
}

// MemberByEmail implements execution.Asks.
func (s *Executions) MemberByEmail(ctx context.Context, workspaceID, email string) (userID string, role access.Role, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT u.id, m.role FROM members m JOIN users u ON u.id = m.user_id WHERE m.workspace_id = $1 AND u.email = $2 AND u.is_active`, workspaceID, email).
		Scan(&userID, &role)
	return userID, role, noRows(err, "member")
}
