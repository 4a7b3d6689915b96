package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/usage"
)

// followUps writes down, in the transaction that ends executions, which others
// their ends call for: those of listeners, and error workflows. A workflow is
// never called by the end of its own execution; executions that an event has
// started call only listeners that name their workflow; shares of splits call
// nothing; and nothing is called below execution.MaxChain. Asks call for
// listeners under the same rules.
func (b *bulk) followUps(ctx context.Context, ends, asking []*execution.Commit, now time.Time) (any bool, err error) {
	if len(ends) == 0 && len(asking) == 0 {
		return false, nil
	}
	var listening bool
	if err := b.tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM listeners)`).Scan(&listening); err != nil {
		return false, err
	}
	if listening {
		for _, c := range asking {
			n, err := b.asked(ctx, c.Asks, now)
			if err != nil {
				return any, err
			}
			any = any || n
		}
	}
	for _, c := range ends {
		if listening {
			event := map[execution.Status]string{execution.Completed: node.ExecutionCompleted, execution.Failed: node.ExecutionFailed, execution.Cancelled: node.ExecutionCancelled}[c.Head.Status]
			n, err := b.changed(ctx, `INSERT INTO follow_ups (id, workspace_id, source_id, workflow_id, version, node_id, due_at)
				SELECT l.id || ' ' || e.id, e.workspace_id, e.id, l.workflow_id, l.version, l.node_id, $1
				FROM executions e JOIN listeners l ON l.workspace_id = e.workspace_id AND l.event = $2 AND l.workflow_id <> e.workflow_id
					AND (l.subject = e.workflow_id OR l.subject = '' AND e.trigger_type <> 'event')
				WHERE e.id = $3 AND e.depth < $4 AND e.trigger_type <> 'split' ON CONFLICT (id) DO NOTHING`, ms(now), event, c.ExecutionID, execution.MaxChain)
			if err != nil {
				return any, err
			}
			any = any || n
		}
		if c.ErrorWorkflow == "" || c.Head.Status != execution.Failed {
			continue
		}
		n, err := b.changed(ctx, `INSERT INTO follow_ups (id, workspace_id, source_id, workflow_id, version, node_id, due_at)
			SELECT 'error ' || e.id, e.workspace_id, e.id, w.id, COALESCE(w.published_version, 0), '', $1
			FROM executions e JOIN workflows w ON w.workspace_id = e.workspace_id AND w.id = $2 AND w.id <> e.workflow_id AND w.status <> 'archived'
			WHERE e.id = $3 AND e.depth < $4 ON CONFLICT (id) DO NOTHING`, ms(now), c.ErrorWorkflow, c.ExecutionID, execution.MaxChain)
		if err != nil {
			return any, err
		}
		any = any || n
	}
	return any, nil
}

// asked writes down what asks of people call for: those that are new, which were
// stored under their own ids.
func (b *bulk) asked(ctx context.Context, asks []execution.Ask, now time.Time) (called bool, err error) {
	for _, a := range asks {
		if a.Callable {
			continue // a program answers it
		}
		data := map[string]any{"event": node.ApprovalDue, "approval_id": a.ID, "kind": a.Kind, "node_id": a.NodeID, "title": a.NodeTitle, "message": a.Message,
			"subject": a.Subject, "created_at": a.CreatedAt.UTC(), "expires_at": nil}
		if !a.ExpiresAt.IsZero() {
			data["expires_at"] = a.ExpiresAt.UTC()
		}
		n, err := b.changed(ctx, `INSERT INTO follow_ups (id, workspace_id, source_id, workflow_id, version, node_id, due_at, data, at)
			SELECT l.id || ' ' || a.id, e.workspace_id, e.id, l.workflow_id, l.version, l.node_id, $1, $2, $3
			FROM asks a JOIN executions e ON e.id = a.execution_id JOIN listeners l ON l.workspace_id = e.workspace_id AND l.event = $4 AND l.workflow_id <> e.workflow_id
				AND (l.subject = e.workflow_id OR l.subject = '' AND e.trigger_type <> 'event')
			WHERE a.id = $5 AND e.depth < $6 ON CONFLICT (id) DO NOTHING`, ms(now), jsonText(data), millis(a.CreatedAt), node.ApprovalDue, a.ID, execution.MaxChain)
		if err != nil {
			return called, err
		}
		called = called || n
	}
	return called, nil
}

// budgetNear writes down, in the transaction that found little left of a budget,
// what that calls for.
func budgetNear(ctx context.Context, tx *sql.Tx, budget usage.Budget, spent usage.Spent, now time.Time) error {
	data := map[string]any{"event": node.BudgetNear, "budget_id": budget.ID, "scope": budget.Scope, "target_id": budget.TargetID, "period": budget.Period,
		"period_began": spent.From.UTC(), "spent_usd": float64(spent.Cost) / 1e6, "spent_tokens": spent.Tokens, "max_cost_usd": float64(budget.MaxCost) / 1e6, "max_tokens": budget.MaxTokens}
	_, err := tx.ExecContext(ctx, `INSERT INTO follow_ups (id, workspace_id, source_id, workflow_id, version, node_id, due_at, data, at)
		SELECT l.id || $1, l.workspace_id, '', l.workflow_id, l.version, l.node_id, $2, $3, $4 FROM listeners l
		WHERE l.workspace_id = $5 AND l.event = $6 AND l.subject IN ('', $7) ON CONFLICT (id) DO NOTHING`,
		fmt.Sprintf(" %s %d", budget.ID, ms(spent.From)), ms(now), jsonText(data), ms(now), budget.WorkspaceID, node.BudgetNear, budget.TargetID)
	return err
}

func (b *bulk) changed(ctx context.Context, text string, args ...any) (bool, error) {
	result, err := b.tx.ExecContext(ctx, text, args...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// Followed hears that an end has called for another execution here.
func (s *Executions) Followed() <-chan struct{} { return s.follow }

// FollowUps returns the executions that wait to be created, oldest first, and
// when the next one will be due (zero: none).
func (s *Executions) FollowUps(ctx context.Context, now time.Time, limit int) (due []execution.FollowUp, next time.Time, err error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT id, workspace_id, source_id, workflow_id, version, node_id, data, at FROM follow_ups WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2`, ms(now), limit)
	due, err = collect(rows, err, func(row scanner) (f execution.FollowUp, err error) {
		var data string
		var happened int64
		err = row.Scan(&f.ID, &f.WorkspaceID, &f.SourceID, &f.WorkflowID, &f.Version, &f.NodeID, &data, &happened)
		f.Data, f.At = rawJSON(data), fromMillis(happened)
		return f, err
	})
	if err != nil {
		return nil, next, err
	}
	var at sql.NullInt64
	err = s.db.Read().QueryRowContext(ctx, `SELECT min(due_at) FROM follow_ups WHERE due_at > $1`, ms(now)).Scan(&at)
	return due, fromMillis(at.Int64), explain(err)
}

// Follow creates the execution a follow-up stands for, in the transaction that
// removes it; with n nil it only removes it. done is false when somebody else
// was faster.
func (s *Executions) Follow(ctx context.Context, f execution.FollowUp, n *execution.New) (done bool, err error) {
	var m moves
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM follow_ups WHERE id = $1`, f.ID)
		if err != nil {
			return err
		}
		if removed, err := result.RowsAffected(); err != nil || removed == 0 {
			return err
		}
		done = true
		if n == nil {
			return nil
		}
		m, err = s.insert(ctx, tx, []execution.New{*n}, nil)
		return err
	})
	if err == nil {
		s.tell(m.all())
	}
	if duplicate(err) {
		return false, fault.New(fault.Conflict, "the execution of this follow-up is there already")
	}
	return done && err == nil, err
}

// Postpone has a follow-up tried again at until.
func (s *Executions) Postpone(ctx context.Context, id string, until time.Time) error {
	_, err := s.moved(ctx, `UPDATE follow_ups SET due_at = $1 WHERE id = $2`, ms(until), id)
	return err
}

// Listeners returns what listens for an event in a workspace.
func (s *Executions) Listeners(ctx context.Context, workspaceID, event string) ([]execution.Listening, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT id, workflow_id, version, node_id, subject FROM listeners WHERE workspace_id = $1 AND event = $2 ORDER BY id`, workspaceID, event)
	return collect(rows, err, func(row scanner) (l execution.Listening, err error) {
		err = row.Scan(&l.ID, &l.WorkflowID, &l.Version, &l.NodeID, &l.Subject)
		return l, err
	})
}
