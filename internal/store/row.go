package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"agentstudio/internal/fault"
)

// querier is a pool or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

type scanner interface{ Scan(dest ...any) error }

// noRows turns "no rows" into NotFound and explains the rest.
func noRows(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "there is no such %s, or it is not yours", what)
	}
	return explain(err)
}

// mustAffect is NotFound when a statement changed no row.
func mustAffect(r sql.Result, err error, what string) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return fault.New(fault.NotFound, "there is no such %s, or it is not yours", what)
}

// collect scans every row and closes rows.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	items := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, explain(err)
		}
		items = append(items, item)
	}
	return items, explain(rows.Err())
}

func ms(t time.Time) int64 { return t.UnixMilli() }

func msPtr(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	n := t.UnixMilli()
	return &n
}

func at(n int64) time.Time { return time.UnixMilli(n).UTC() }

func atPtr(n *int64) *time.Time {
	if n == nil {
		return nil
	}
	t := at(*n)
	return &t
}
