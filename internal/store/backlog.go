package store

import (
	"context"

	"agentstudio/internal/execution"
)

// maxBacklog bounds the rows that a look at the backlog reads.
const maxBacklog = "100000"

// Backlog counts what there is to do, each number up to a bound, by index.
func (s *Executions) Backlog(ctx context.Context) (execution.Backlog, error) {
	// The states are told for the partial index; see Open.
	const open = `FROM executions WHERE status IN ` + openStates + ` AND `
	workers := `1`
	if s.db.Dialect() == Postgres {
		workers = `(SELECT count(*) FROM workers WHERE expires_at > ` + databaseNow + `)`
	}
	var b execution.Backlog
	err := s.db.Read().QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM (SELECT held `+open+`status = 'pending' AND wake_at <= $1 LIMIT `+maxBacklog+`) AS pending WHERE held <> 1)
		+ (SELECT count(*) FROM (SELECT 1 `+open+`status = 'waiting' AND wake_at > 0 AND wake_at <= $1 LIMIT `+maxBacklog+`) AS woken),
		(SELECT count(*) FROM (SELECT 1 `+open+`status = 'waiting' LIMIT `+maxBacklog+`) AS waiting),
		`+workers, s.now().UnixMilli()).Scan(&b.Due, &b.Waiting, &b.Workers)
	return b, explain(err)
}
