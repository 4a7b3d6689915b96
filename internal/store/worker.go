package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

// Queue is the part of a job queue that leases need beside Enqueue.
type Queue interface {
	Enqueuer
	// Withdraw removes the entries that the workers had begun with or that are
	// for them, and with unknown also those of workers that no row of workers
	// names. It returns which executions they were for.
	Withdraw(ctx context.Context, tx *sql.Tx, workers []string, unknown bool) ([]execution.Ticket, error)
	// Unaddress removes the entries that are for the worker and that it has not
	// begun with, and returns which executions they were for.
	Unaddress(ctx context.Context, tx *sql.Tx, worker string) ([]execution.Ticket, error)
	// Entries is a query for the ids of executions that have an entry.
	Entries() string
}

// Leases keeps who runs what when several processes share a PostgreSQL
// database. Every method is one transaction and safe for concurrent use.
type Leases struct {
	db    *DB
	queue Queue
}

// NewLeases returns the leases of a PostgreSQL database.
func NewLeases(db *DB, queue Queue) *Leases { return &Leases{db: db, queue: queue} }

// Register makes the worker known, for the length of its lease. What it held
// under the same id before is given to whoever comes first.
func (l *Leases) Register(ctx context.Context, w execution.Worker) error {
	return l.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := l.release(ctx, tx, []string{w.ID}, false); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO workers (id, name, host, version, queues, started_at, heartbeat_at, expires_at)
			SELECT $1, $2, $3, $4, $5, now, now, now + $6 FROM (SELECT `+databaseNow+` AS now) AS clock
			ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at, expires_at = excluded.expires_at`,
			w.ID, w.Name, w.Host, w.Version, strings.Join(w.Queues, ","), w.Lease.Milliseconds())
		return err
	})
}

// Heartbeat renews the worker's lease and returns what it holds, at most limit.
// Stale: others have taken over what it held.
func (l *Leases) Heartbeat(ctx context.Context, w execution.Worker, limit int) (held []execution.Held, err error) {
	err = l.db.writeQuietly(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE workers SET heartbeat_at = `+databaseNow+`, expires_at = `+databaseNow+` + $2 WHERE id = $1`, w.ID, w.Lease.Milliseconds())
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return staleUnless(err)
		}
		rows, err := tx.QueryContext(ctx, `SELECT id, epoch, look FROM executions WHERE worker = $1 AND worker <> '' AND status IN `+openStates+` ORDER BY look DESC LIMIT $2`, w.ID, limit)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var h execution.Held
			var look int64
			if err := rows.Scan(&h.ID, &h.Epoch, &look); err != nil {
				return err
			}
			h.Look = look == 1
			held = append(held, h)
		}
		return rows.Err()
	})
	return held, err
}

func staleUnless(err error) error {
	if err != nil {
		return err
	}
	return fault.New(fault.Stale, "other workers have taken over what this one held")
}

// Look has executions looked at by whoever holds them, else by whoever comes
// first.
func (l *Leases) Look(ctx context.Context, tickets []execution.Ticket) error {
	return l.db.Write(ctx, func(tx *sql.Tx) error { return lookAt(ctx, tx, l.queue, tickets) })
}

// LetGo gives back executions that the worker holds and does not run; those
// claimed anew meanwhile stay.
func (l *Leases) LetGo(ctx context.Context, worker string, idle []execution.Held) error {
	ids, epochs := make([]string, len(idle)), make([]int64, len(idle))
	for i, h := range idle {
		ids[i], epochs[i] = h.ID, h.Epoch
	}
	return l.db.Write(ctx, func(tx *sql.Tx) error {
		tickets, err := scanTickets(tx.QueryContext(ctx, `UPDATE executions SET worker = '', look = 1
			FROM unnest($2::text[], $3::bigint[]) AS idle (id, epoch)
			WHERE executions.id = idle.id AND executions.epoch = idle.epoch AND executions.worker = $1 AND executions.status IN `+openStates+`
			RETURNING executions.id, workspace_id, priority`, worker, ids, epochs))
		if err != nil || len(tickets) == 0 {
			return err
		}
		return l.queue.Enqueue(ctx, tx, tickets)
	})
}

// TakeOver gives the executions of workers that are silent beyond their lease
// to whoever comes first, and returns who they were.
func (l *Leases) TakeOver(ctx context.Context) (silent []string, executions int, err error) {
	err = l.db.Write(ctx, func(tx *sql.Tx) error {
		silent, err = scanIDs(tx.QueryContext(ctx, `DELETE FROM workers WHERE id IN
			(SELECT id FROM workers WHERE expires_at < `+databaseNow+` FOR UPDATE SKIP LOCKED) RETURNING id`))
		if err != nil || len(silent) == 0 {
			return err
		}
		executions, err = l.release(ctx, tx, silent, false)
		return err
	})
	return silent, executions, err
}

// Leave takes the worker off the list and gives what it still holds to
// whoever comes first.
func (l *Leases) Leave(ctx context.Context, worker string) error {
	return l.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM workers WHERE id = $1`, worker); err != nil {
			return err
		}
		_, err := l.release(ctx, tx, []string{worker}, false)
		return err
	})
}

// Retire leaves to others what is for a worker that takes nothing more.
func (l *Leases) Retire(ctx context.Context, worker string) error {
	return l.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE workers SET queues = '' WHERE id = $1`, worker); err != nil {
			return err
		}
		tickets, err := l.queue.Unaddress(ctx, tx, worker)
		if err != nil || len(tickets) == 0 {
			return err
		}
		return l.queue.Enqueue(ctx, tx, tickets)
	})
}

// release fences the workers' executions and writes new entries for them and
// for the entries they had begun with.
func (l *Leases) release(ctx context.Context, tx *sql.Tx, workers []string, unknown bool) (int, error) {
	tickets, err := scanTickets(tx.QueryContext(ctx, `UPDATE executions SET worker = '', epoch = epoch + 1, look = 1 WHERE id IN
		(SELECT id FROM executions WHERE worker = ANY($1) AND worker <> '' AND status IN `+openStates+` ORDER BY id FOR UPDATE)
		RETURNING id, workspace_id, priority`, workers))
	if err != nil {
		return 0, fmt.Errorf("release executions: %w", err)
	}
	begun, err := l.queue.Withdraw(ctx, tx, workers, unknown)
	if err != nil {
		return 0, fmt.Errorf("withdraw entries: %w", err)
	}
	seen := make(map[string]bool, len(tickets))
	for _, t := range tickets {
		seen[t.ID] = true
	}
	for _, t := range begun {
		if !seen[t.ID] {
			seen[t.ID] = true
			tickets = append(tickets, t)
		}
	}
	if len(tickets) == 0 {
		return 0, nil
	}
	return len(tickets), l.queue.Enqueue(ctx, tx, tickets)
}

const timers = `wake_at > 0 AND (status = 'waiting' OR status = 'pending' AND scheduled_at > 0) AND worker = '' AND look = 0`

// Wake writes entries for executions whose time has come, at most limit, and
// returns how many and how long it is until the next one's (negative: there is
// none).
func (l *Leases) Wake(ctx context.Context, limit int) (woken int, next time.Duration, err error) {
	next = -1
	err = l.db.Write(ctx, func(tx *sql.Tx) error {
		tickets, err := scanTickets(tx.QueryContext(ctx, `UPDATE executions SET look = 1 WHERE id IN
			(SELECT id FROM executions WHERE `+timers+` AND wake_at <= `+databaseNow+` ORDER BY wake_at LIMIT $1 FOR UPDATE SKIP LOCKED)
			RETURNING id, workspace_id, priority`, limit))
		if err != nil {
			return err
		}
		if woken = len(tickets); woken > 0 {
			if err := l.queue.Enqueue(ctx, tx, tickets); err != nil {
				return err
			}
		}
		var in sql.NullInt64
		err = tx.QueryRowContext(ctx, `SELECT min(wake_at) - `+databaseNow+` FROM executions WHERE `+timers).Scan(&in)
		if in.Valid {
			next = max(time.Duration(in.Int64)*time.Millisecond, 0)
		}
		return err
	})
	return woken, next, err
}

// Sweep writes entries for executions that want to run and that nobody holds
// and no entry is for, at most limit, and returns how many there were. It finds
// what no other way has found: there should be none.
func (l *Leases) Sweep(ctx context.Context, limit int) (found int, err error) {
	err = l.db.Write(ctx, func(tx *sql.Tx) error {
		if found, err = l.release(ctx, tx, nil, true); err != nil {
			return err
		}
		moved, err := refill(ctx, l.db, tx, time.Now(), limit)
		if err != nil {
			return err
		}
		if found += len(moved.start); len(moved.start) > 0 {
			if err := l.queue.Enqueue(ctx, tx, moved.start); err != nil {
				return err
			}
		}
		tickets, err := scanTickets(tx.QueryContext(ctx, `UPDATE executions SET worker = '', epoch = epoch + 1, look = 1 WHERE id IN (
			SELECT e.id FROM executions e WHERE e.status IN `+openStates+`
			AND (e.worker = '' OR NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = e.worker))
			AND (e.status = 'running' OR e.look = 1 OR e.cancel_requested = 1 OR e.worker <> ''
				OR e.wake_at > 0 AND e.wake_at <= `+databaseNow+` AND e.status IN ('pending', 'waiting'))
			AND NOT EXISTS (SELECT 1 FROM (`+l.queue.Entries()+`) AS entry (id) WHERE entry.id = e.id)
			LIMIT $1 FOR UPDATE OF e SKIP LOCKED) RETURNING id, workspace_id, priority`, limit))
		if err != nil || len(tickets) == 0 {
			return err
		}
		found += len(tickets)
		return l.queue.Enqueue(ctx, tx, tickets)
	})
	return found, err
}

// Over reports whether an execution has ended, or is no more.
func (l *Leases) Over(ctx context.Context, id string) (bool, error) {
	var open bool
	err := l.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM executions WHERE id = $1 AND status IN `+openStates+`)`, id).Scan(&open)
	return !open && err == nil, explain(err)
}

func scanIDs(result *sql.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = result.Close() }()
	var out []string
	for result.Next() {
		var id string
		if err := result.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, result.Err()
}
