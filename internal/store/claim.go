package store

import (
	"context"
	"errors"
	"fmt"

	"agentstudio/internal/fault"
)

// dispatchLock is the advisory lock that one process holds while it runs the
// executions of a PostgreSQL database by itself. The number is ours alone.
const dispatchLock = 7_203_114_902

// HoldDispatch claims the executions of the database for this process until
// release is called: the embedded dispatcher serves one process. Conflict:
// another process holds them. On SQLite the lock on the data directory says
// the same, and nothing is done here. On PostgreSQL a connection is held.
func (db *DB) HoldDispatch(ctx context.Context) (release func() error, err error) {
	if db.dialect == SQLite {
		return func() error { return nil }, nil
	}
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return nil, explain(fmt.Errorf("hold dispatch: %w", err))
	}
	var held bool
	if err := conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, dispatchLock).Scan(&held); err != nil {
		return nil, errors.Join(explain(fmt.Errorf("hold dispatch: %w", err)), conn.Close())
	}
	if !held {
		return nil, errors.Join(fault.New(fault.Conflict, "another process runs the executions of this database: stop it first"), conn.Close())
	}
	return func() error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, dispatchLock)
		return errors.Join(err, conn.Close())
	}, nil
}
