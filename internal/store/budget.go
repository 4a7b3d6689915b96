package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/usage"
	"agentstudio/internal/workspace"
)

var _ usage.Store = (*Usage)(nil)

const budgetColumns = `id, workspace_id, scope, target_id, period, max_cost_micros, max_tokens, version, created_at, updated_at`

func scanBudget(row scanner) (b usage.Budget, err error) {
	var created, updated int64
	err = row.Scan(&b.ID, &b.WorkspaceID, &b.Scope, &b.TargetID, &b.Period, &b.MaxCost, &b.MaxTokens, &b.Version, &created, &updated)
	b.CreatedAt, b.UpdatedAt = at(created), at(updated)
	return b, err
}

// Budgets implements usage.Store.
func (s *Usage) Budgets(ctx context.Context, workspaceID string) ([]usage.Budget, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+budgetColumns+` FROM budgets WHERE workspace_id = $1 ORDER BY created_at, id`, workspaceID)
	return collect(rows, err, scanBudget)
}

// Budget implements usage.Store.
func (s *Usage) Budget(ctx context.Context, id string) (usage.Budget, error) {
	b, err := scanBudget(s.db.Read().QueryRowContext(ctx, `SELECT `+budgetColumns+` FROM budgets WHERE id = $1`, id))
	return b, noRows(err, "budget")
}

// Known implements usage.Store.
func (s *Usage) Known(ctx context.Context, workspaceID string, scope usage.Scope, targetID string) (bool, error) {
	query := map[usage.Scope]string{usage.OfWorkflow: `SELECT count(*) FROM workflows WHERE workspace_id = $1 AND id = $2`, usage.OfAgent: `SELECT count(*) FROM agents WHERE workspace_id = $1 AND id = $2`}[scope]
	var n int
	err := s.db.Read().QueryRowContext(ctx, query, workspaceID, targetID).Scan(&n)
	return n > 0, explain(err)
}

// rowReader is what Spent needs, in a transaction or outside of one.
type rowReader interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Spent implements usage.Store.
func (s *Usage) Spent(ctx context.Context, b usage.Budget, now time.Time) (usage.Spent, error) {
	return spentOf(ctx, s.db.Read(), b, now)
}

func spentOf(ctx context.Context, tx rowReader, b usage.Budget, now time.Time) (spent usage.Spent, err error) {
	spent.From, spent.To = b.Period.Span(now)
	var records, held conditions
	records.add(`workspace_id = ?`, b.WorkspaceID)
	records.add(`at >= ?`, ms(spent.From))
	held.add(`workspace_id = ?`, b.WorkspaceID)
	held.add(`expires_at > ?`, ms(now))
	for _, c := range []*conditions{&records, &held} {
		switch b.Scope {
		case usage.OfWorkflow:
			c.add(`workflow_id = ?`, b.TargetID)
		case usage.OfAgent:
			c.add(`agents LIKE ? ESCAPE '\'`, "%/"+literal(b.TargetID)+"/%")
		}
	}
	err = tx.QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(cost_micros), 0) AS BIGINT), CAST(COALESCE(SUM(input + output + cache_read + cache_write), 0) AS BIGINT),
		COUNT(CASE WHEN cost_micros IS NULL AND outcome IN ('answered', 'refused') THEN 1 END) FROM usage_records`+records.where(), records.args...).Scan(&spent.Cost, &spent.Tokens, &spent.Unpriced)
	if err != nil {
		return spent, explain(err)
	}
	err = tx.QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(cost_micros), 0) AS BIGINT), CAST(COALESCE(SUM(tokens), 0) AS BIGINT) FROM budget_reservations`+held.where(), held.args...).
		Scan(&spent.ReservedCost, &spent.ReservedTokens)
	return spent, explain(err)
}

// AddBudget implements usage.Store.
func (s *Usage) AddBudget(ctx context.Context, b usage.Budget, most int, act workspace.Activity) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := appendActivity(ctx, tx, act); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM budgets WHERE workspace_id = $1`, b.WorkspaceID).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return fault.New(fault.Conflict, "a workspace has at most %d budgets: delete some first", most)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO budgets (`+budgetColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			b.ID, b.WorkspaceID, string(b.Scope), b.TargetID, string(b.Period), b.MaxCost, b.MaxTokens, b.Version, ms(b.CreatedAt), ms(b.UpdatedAt))
		if duplicate(err) {
			return fault.New(fault.Conflict, "there is a budget of this %s for the %s already: change that one", b.Scope, b.Period)
		}
		return err
	})
}

// SaveBudget implements usage.Store.
func (s *Usage) SaveBudget(ctx context.Context, b usage.Budget, act workspace.Activity) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := appendActivity(ctx, tx, act); err != nil {
			return err
		}
		var current int64
		if err := tx.QueryRowContext(ctx, `SELECT version FROM budgets WHERE id = $1 AND workspace_id = $2`, b.ID, b.WorkspaceID).Scan(&current); err != nil {
			return noRows(err, "budget")
		}
		if current != b.Version-1 {
			return usage.Stale(current)
		}
		// What people were told of counts for the bounds that were.
		_, err := tx.ExecContext(ctx, `UPDATE budgets SET max_cost_micros = $1, max_tokens = $2, version = $3, updated_at = $4, near_at = 0, reached_at = 0 WHERE id = $5`,
			b.MaxCost, b.MaxTokens, b.Version, ms(b.UpdatedAt), b.ID)
		return err
	})
}

// RemoveBudget implements usage.Store.
func (s *Usage) RemoveBudget(ctx context.Context, workspaceID, id string, act workspace.Activity) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM budgets WHERE id = $1 AND workspace_id = $2`, id, workspaceID)
		if err := mustAffect(r, err, "budget"); err != nil {
			return err
		}
		return appendActivity(ctx, tx, act)
	})
}

// bounding locks the workspace's budgets and returns those that bound a call:
// calls of all processes are counted one after the other.
func bounding(ctx context.Context, tx *sql.Tx, workspaceID, workflowID string, agents []string) ([]usage.Budget, error) {
	if _, err := tx.ExecContext(ctx, `UPDATE workspaces SET version = version WHERE id = $1`, workspaceID); err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT `+budgetColumns+` FROM budgets WHERE workspace_id = $1 ORDER BY created_at, id`, workspaceID)
	all, err := collect(rows, err, scanBudget)
	var out []usage.Budget
	for _, b := range all {
		if b.Bounds(workflowID, agents) {
			out = append(out, b)
		}
	}
	return out, err
}

// Reserve implements usage.Store.
func (s *Usage) Reserve(ctx context.Context, r usage.Reservation) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		budgets, err := bounding(ctx, tx, r.WorkspaceID, r.WorkflowID, r.Agents)
		if err != nil {
			return err
		}
		for _, b := range budgets {
			spent, err := spentOf(ctx, tx, b, r.At)
			if err != nil {
				return err
			}
			if err := b.Refuse(spent, r); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM budget_reservations WHERE workspace_id = $1 AND expires_at <= $2`, r.WorkspaceID, ms(r.At)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO budget_reservations (id, workspace_id, workflow_id, agents, cost_micros, tokens, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			r.ID, r.WorkspaceID, r.WorkflowID, "/"+strings.Join(r.Agents, "/")+"/", r.Cost, r.Tokens, ms(r.Until))
		return err
	})
}

// Settle implements usage.Store.
func (s *Usage) Settle(ctx context.Context, id string, r usage.Record, now time.Time) (near, reached []usage.Budget, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		near, reached = nil, nil
		budgets, err := bounding(ctx, tx, r.WorkspaceID, r.WorkflowID, append(append([]string{}, r.Above...), r.Agent))
		if err != nil {
			return err
		}
		added := rows{table: "usage_records", columns: usageColumns, conflict: "ON CONFLICT (id) DO NOTHING"}
		addUsage(&added, r)
		if err := newBulkWriter(s.db).begin(tx).insert(ctx, &added); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM budget_reservations WHERE id = $1`, id); err != nil {
			return err
		}
		for _, b := range budgets {
			spent, err := spentOf(ctx, tx, b, now)
			if err != nil {
				return err
			}
			for _, mark := range []struct {
				passed bool
				update string
				action string
				list   *[]usage.Budget
			}{{b.Near(spent), `UPDATE budgets SET near_at = $1 WHERE id = $2 AND near_at <> $1`, node.BudgetNear, &near},
				{b.Reached(spent), `UPDATE budgets SET reached_at = $1 WHERE id = $2 AND reached_at <> $1`, "budget.reached", &reached}} {
				if !mark.passed {
					continue
				}
				done, err := tx.ExecContext(ctx, mark.update, ms(spent.From), b.ID)
				if err != nil {
					return err
				}
				if n, err := done.RowsAffected(); err != nil || n == 0 {
					continue // people know
				}
				*mark.list = append(*mark.list, b)
				if mark.action == node.BudgetNear {
					if err := budgetNear(ctx, tx, b, spent, now); err != nil {
						return err
					}
				}
				act := workspace.NewActivity(access.SystemActor("budgets"), b.WorkspaceID, mark.action, "budget", b.ID, nil,
					map[string]any{"spent_usd": float64(spent.Cost) / 1e6, "spent_tokens": spent.Tokens, "max_cost_usd": float64(b.MaxCost) / 1e6, "max_tokens": b.MaxTokens, "period": b.Period}, now)
				if err := appendActivity(ctx, tx, act); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return near, reached, err
}
