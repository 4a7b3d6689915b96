package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

// CreateAll implements execution.Store: one transaction, one insert per table.
func (s *Executions) CreateAll(ctx context.Context, news []execution.New) (ids []string, created []bool, err error) {
	var m moves
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		ids, created = make([]string, len(news)), make([]bool, len(news))
		if err := s.takeKeys(ctx, tx, news, ids, created); err != nil {
			return err
		}
		fresh := make([]execution.New, 0, len(news))
		index := make([]int, 0, len(news))
		for i := range news {
			if created[i] {
				fresh = append(fresh, news[i])
				index = append(index, i)
			}
		}
		var err error
		m, err = s.insert(ctx, tx, fresh, index)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	s.tell(m.all())
	return ids, created, nil
}

// takeKeys finds out which of the executions are to be created: those without
// a key, and the first of each key. Keys are taken in one order, so that two
// callers do not wait for each other.
func (s *Executions) takeKeys(ctx context.Context, tx *sql.Tx, news []execution.New, ids []string, created []bool) error {
	var keyed []int
	for i := range news {
		ids[i], created[i] = news[i].ID, true
		if news[i].IdempotencyKey != "" {
			keyed = append(keyed, i)
		}
	}
	slices.SortStableFunc(keyed, func(a, b int) int { return strings.Compare(news[a].IdempotencyKey, news[b].IdempotencyKey) })
	var faults []fault.Detail
	for _, i := range keyed {
		id, first, err := s.takeKey(ctx, tx, &news[i])
		if fault.Is(err, fault.Invalid) {
			faults = append(faults, fault.Detail{Location: fmt.Sprintf("body.items[%d].idempotency_key", i), Code: "idempotency_key_reused", Message: fault.Message(err)})
			continue
		}
		if err != nil {
			return err
		}
		ids[i], created[i] = id, first
	}
	if len(faults) > 0 {
		return fault.InvalidInput(faults...)
	}
	return nil
}

// takeKey writes the execution's key, or finds whose it is.
func (s *Executions) takeKey(ctx context.Context, tx *sql.Tx, e *execution.New) (id string, first bool, err error) {
	// Of two requests with a key at once, one writes it; the other waits here
	// for the first to commit and then finds its key.
	result, err := tx.ExecContext(ctx, `INSERT INTO execution_keys (workspace_id, key, request_hash, execution_id, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (workspace_id, key) DO UPDATE SET request_hash = excluded.request_hash, execution_id = excluded.execution_id, created_at = excluded.created_at
		WHERE execution_keys.created_at <= $6`,
		e.WorkspaceID, e.IdempotencyKey, e.RequestHash, e.ID, s.now().UnixMilli(), s.now().Add(-keyLife).UnixMilli())
	if err != nil {
		return "", false, err
	}
	n, err := result.RowsAffected()
	if err != nil || n > 0 {
		return e.ID, true, err
	}
	var hash string
	if err := tx.QueryRowContext(ctx, `SELECT request_hash, execution_id FROM execution_keys WHERE workspace_id = $1 AND key = $2`,
		e.WorkspaceID, e.IdempotencyKey).Scan(&hash, &id); err != nil {
		return "", false, err
	}
	if hash != e.RequestHash {
		return "", false, fault.New(fault.Invalid, "the Idempotency-Key was used for another request: use a new key").WithCode("idempotency_key_reused")
	}
	return id, false, nil
}
