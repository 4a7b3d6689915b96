package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

// Enqueuer writes dispatch entries in the transaction that creates or releases
// their executions. The embedded dispatcher needs none: the rows are the queue.
type Enqueuer interface {
	// Enqueue writes an entry for each ticket whose time has come, and has the
	// timers planned anew for those with a later At.
	Enqueue(ctx context.Context, tx *sql.Tx, tickets []execution.Ticket) error
	// Signal tells the workers, once the transaction is committed, that an
	// execution they hold is to be looked at: ids by worker.
	Signal(ctx context.Context, tx *sql.Tx, held map[string][]string) error
}

const (
	openStates = `('pending', 'running', 'waiting', 'paused')`
	// databaseNow is the one clock that leases and timers go by, in
	// milliseconds; PostgreSQL only.
	databaseNow = `(extract(epoch FROM clock_timestamp()) * 1000)::bigint`
)

// claimSQL takes what nobody holds, or nobody alive. A row that is locked is
// left out: whoever writes it must not hold up everybody else's claims.
const claimSQL = `UPDATE executions SET worker = $1, epoch = epoch + 1, look = 0 FROM (
		SELECT id AS wanted FROM executions WHERE id = ANY($2) AND held <> 1 AND status IN ` + openStates + `
		AND (worker = '' OR worker = $1 OR NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = executions.worker AND w.expires_at > ` + databaseNow + `))
		FOR UPDATE SKIP LOCKED) free
	WHERE executions.id = free.wanted RETURNING ` + executionFields

// claiming is a worker's wish for an execution.
type claiming struct {
	id, worker string
	got        *execution.Execution // nil: it was not to be had
}

// Claim implements execution.Journal. On SQLite one process holds the data
// directory, so its lease needs no write.
func (s *Executions) Claim(ctx context.Context, id, worker string) (*execution.Execution, error) {
	if s.db.Dialect() == SQLite {
		return s.unfinished(ctx, id)
	}
	for range 3 { // whoever held it may let go between the two looks
		wish := claiming{id: id, worker: worker}
		if err := s.hand(ctx, &writing{claim: &wish}); err != nil || wish.got != nil {
			return wish.got, err
		}
		held, err := s.tellHolder(ctx, id)
		if err != nil {
			return nil, err
		}
		if held {
			break
		}
		if _, err := s.unfinished(ctx, id); err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.Conflict, "another worker runs this execution")
}

// Workers implements execution.Journal.
func (s *Executions) Workers(ctx context.Context) ([]string, error) {
	if s.db.Dialect() == SQLite {
		return nil, nil
	}
	ids, err := scanIDs(s.db.Read().QueryContext(ctx, `SELECT id FROM workers WHERE expires_at > `+databaseNow+` AND ',' || queues || ',' LIKE '%,default,%' ORDER BY id LIMIT 1000`))
	return ids, explain(err)
}

// claimAll takes the executions that the group wishes for.
func claimAll(ctx context.Context, tx *sql.Tx, group []*writing) error {
	wishes := map[string]map[string]*claiming{} // by worker and execution
	for _, w := range group {
		if w.claim == nil {
			continue
		}
		of := wishes[w.claim.worker]
		if of == nil {
			of = map[string]*claiming{}
			wishes[w.claim.worker] = of
		}
		w.claim.got = nil // of a transaction that failed
		of[w.claim.id] = w.claim
	}
	for worker, of := range wishes {
		found, err := tx.QueryContext(ctx, claimSQL, worker, slices.Collect(maps.Keys(of)))
		got, err := collect(found, err, func(row scanner) (*execution.Execution, error) {
			x, _, err := scanExecution(row)
			return x, err
		})
		if err != nil {
			return fmt.Errorf("claim executions: %w", err)
		}
		for _, x := range got {
			of[x.ID].got = x
		}
	}
	return nil
}

// unfinished returns an execution; Conflict when it is over.
func (s *Executions) unfinished(ctx context.Context, id string) (*execution.Execution, error) {
	x, _, err := scanExecution(s.db.Read().QueryRowContext(ctx, executionSelect+` WHERE id = $1`, id))
	if err != nil {
		return nil, err
	}
	if x.Status.Over() {
		return nil, fault.New(fault.Conflict, "the execution is %s already", x.Status)
	}
	if x.Hold == execution.Queued {
		return nil, fault.New(fault.Conflict, "the execution waits for %s", x.WaitingFor())
	}
	return x, nil
}

// tellHolder flags an execution that a worker holds and tells the worker.
func (s *Executions) tellHolder(ctx context.Context, id string) (held bool, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		var worker string
		err := tx.QueryRowContext(ctx, `UPDATE executions SET look = 1 WHERE id = $1 AND worker <> '' AND status IN `+openStates+` RETURNING worker`, id).Scan(&worker)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if held = err == nil; !held || s.enqueue == nil {
			return err
		}
		return s.enqueue.Signal(ctx, tx, map[string][]string{worker: {id}})
	})
	return held, err
}

// unclaimed leaves what is created to whichever worker comes first, when there
// is a queue to come to.
func (s *Executions) unclaimed(w *writing) {
	if s.enqueue == nil {
		return
	}
	if w.create != nil && !w.create.Hosted {
		w.create.Worker = ""
	}
	if w.commit == nil {
		return
	}
	for i := range w.commit.Children {
		w.commit.Children[i].Worker = ""
	}
}

// hosts returns which of the workers that are to run what the group creates
// hold their lease. None can lose it before the transaction ends.
func (s *Executions) hosts(ctx context.Context, tx *sql.Tx, group []*writing) (map[string]bool, error) {
	var names []string
	for _, w := range group {
		if w.create != nil && w.create.Hosted && !slices.Contains(names, w.create.Worker) {
			names = append(names, w.create.Worker)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	live, err := scanIDs(tx.QueryContext(ctx, `SELECT id FROM workers WHERE id = ANY($1) AND expires_at > `+databaseNow+` FOR KEY SHARE`, names))
	if err != nil {
		return nil, fmt.Errorf("look for leases: %w", err)
	}
	out := make(map[string]bool, len(live))
	for _, name := range live {
		out[name] = true
	}
	return out, nil
}

// dispatch writes the entries of a common transaction: for what was created,
// and for what its commits make others wait no longer for.
func (s *Executions) dispatch(ctx context.Context, tx *sql.Tx, group []*writing, refused map[*writing]error, tickets, looks []execution.Ticket) error {
	if s.enqueue == nil {
		return nil
	}
	var resting []string
	parents := slices.Clone(looks)
	for _, w := range group {
		c := w.commit
		if c == nil || refused[w] != nil || c.Head == nil || !c.Head.Release {
			continue
		}
		switch h := c.Head; {
		case h.Status.Over():
			if c.Parent != "" {
				parents = append(parents, execution.Ticket{ID: c.Parent, WorkspaceID: c.WorkspaceID})
			}
			continue
		case !h.WakeAt.IsZero():
			tickets = append(tickets, execution.Ticket{ID: c.ExecutionID, WorkspaceID: c.WorkspaceID, At: h.WakeAt})
		}
		resting = append(resting, c.ExecutionID)
	}
	if len(resting) > 0 {
		// Running: a worker that stops has let go of it.
		flagged, err := scanTickets(tx.QueryContext(ctx, `SELECT id, workspace_id, priority FROM executions WHERE id = ANY($1) AND (look = 1 OR status = 'running')`, resting))
		if err != nil {
			return fmt.Errorf("read flags: %w", err)
		}
		tickets = append(tickets, flagged...)
	}
	if len(parents) > 0 {
		if err := lookAt(ctx, tx, s.enqueue, parents); err != nil {
			return err
		}
	}
	if len(tickets) == 0 {
		return nil
	}
	return s.enqueue.Enqueue(ctx, tx, tickets)
}

const lookSQL = `WITH wanted AS (
		SELECT id, workspace_id, priority, worker, look FROM executions WHERE id = ANY($1) AND held <> 1 AND status IN ` + openStates + ` FOR UPDATE SKIP LOCKED),
	flagged AS (UPDATE executions SET look = 1 FROM wanted WHERE executions.id = wanted.id AND wanted.look = 0)
	SELECT id, workspace_id, priority, worker, look FROM wanted`

// lookAt has executions looked at again. Those a worker holds are flagged and
// the worker is told; the flag stays until the next claim, so that the commit
// that gives up the lease finds it. The others get a dispatch entry. It waits for no lock, so
// that two processes that tell each other's executions cannot block each other:
// a row that is being written gets an entry, which finds out what is the case.
func lookAt(ctx context.Context, tx *sql.Tx, queue Enqueuer, wanted []execution.Ticket) error {
	ids := make([]string, len(wanted))
	missed := make(map[string]execution.Ticket, len(wanted))
	for i, t := range wanted {
		ids[i], missed[t.ID] = t.ID, t
	}
	result, err := tx.QueryContext(ctx, lookSQL, ids)
	if err != nil {
		return fmt.Errorf("flag executions: %w", err)
	}
	defer func() { _ = result.Close() }()
	var tickets []execution.Ticket
	held := map[string][]string{}
	for result.Next() {
		var t execution.Ticket
		var worker string
		var flagged int64
		if err := result.Scan(&t.ID, &t.WorkspaceID, &t.Priority, &worker, &flagged); err != nil {
			return err
		}
		delete(missed, t.ID)
		switch {
		case worker != "": // told again when flagged already: it may have looked before
			held[worker] = append(held[worker], t.ID)
		case flagged == 0: // else it has its entry
			tickets = append(tickets, t)
		}
	}
	if err := result.Err(); err != nil {
		return err
	}
	for _, t := range missed {
		tickets = append(tickets, t)
	}
	if len(held) > 0 {
		if err := queue.Signal(ctx, tx, held); err != nil {
			return err
		}
	}
	if len(tickets) == 0 {
		return nil
	}
	return queue.Enqueue(ctx, tx, tickets)
}

// scanTickets reads rows of id, workspace and priority.
func scanTickets(result *sql.Rows, err error) ([]execution.Ticket, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = result.Close() }()
	var out []execution.Ticket
	for result.Next() {
		var t execution.Ticket
		if err := result.Scan(&t.ID, &t.WorkspaceID, &t.Priority); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, result.Err()
}
