package river

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"agentstudio/internal/execution"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivertype"
)

// job is the dispatch entry of an execution: look at it and run it as far as
// it goes. A job too many does no harm.
type job struct {
	ID        string `json:"id"`
	Workspace string `json:"workspace"`
}

// Kind implements river.JobArgs.
func (job) Kind() string { return "execution" }

// The channel that processes tell each other through, beside River's own. A
// payload is "look WORKER ID ID …" or "wake TIME", the time in milliseconds.
// Notifications may be lost: the rows say the same.
const (
	channel     = "agentstudio_dispatch"
	payloadSize = 7_500 // PostgreSQL takes 8,000 bytes
)

// Queue writes dispatch entries as River jobs, in the transactions of the
// store. It is safe for concurrent use.
type Queue struct {
	client *river.Client[*sql.Tx]

	mu   sync.Mutex
	last time.Time // when River was last asked to notify
}

// NewQueue returns the queue. It holds no connection: every method works in
// its caller's transaction.
func NewQueue() (*Queue, error) {
	client, err := river.NewClient(riverdatabasesql.New(nil), &river.Config{FetchCooldown: fetchCooldown, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("make the job queue: %w", err)
	}
	return &Queue{client: client}, nil
}

// priority maps ours, 0 to 10 with 10 the most urgent, to River's, 4 to 1.
func priority(p int) int {
	return 4 - min(max(p, 0), 10)*3/10
}

// Enqueue implements store.Enqueuer.
func (q *Queue) Enqueue(ctx context.Context, tx *sql.Tx, tickets []execution.Ticket) error {
	now := time.Now()
	var jobs []river.InsertManyParams
	var wake time.Time
	addressed := map[string]bool{}
	for _, t := range tickets {
		if t.At.After(now) {
			if wake.IsZero() || t.At.Before(wake) {
				wake = t.At
			}
			continue
		}
		opts := &river.InsertOpts{Priority: priority(t.Priority), MaxAttempts: maxAttempts}
		if t.For != "" {
			opts.Queue = personal(t.For)
			addressed[opts.Queue] = true
		}
		jobs = append(jobs, river.InsertManyParams{Args: job{ID: t.ID, Workspace: t.WorkspaceID}, InsertOpts: opts})
	}
	if !wake.IsZero() {
		if err := notify(ctx, tx, "wake "+strconv.FormatInt(wake.UnixMilli(), 10)); err != nil {
			return err
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	again := q.quiet(now)
	if _, err := q.client.InsertManyFastTx(ctx, tx, jobs); err != nil {
		return fmt.Errorf("insert jobs: %w", err)
	}
	// River notifies once per cooldown, counted from the insert. A transaction
	// that commits after the workers have answered the last notification would
	// wait for their next poll.
	if again {
		addressed[river.QueueDefault] = true
	}
	for queue := range addressed {
		if _, err := tx.ExecContext(ctx, `SELECT pg_notify(current_schema() || '.river_insert', $1)`, `{"queue": "`+queue+`"}`); err != nil {
			return fmt.Errorf("notify workers: %w", err)
		}
	}
	return nil
}

// personal is the queue of what is for one worker.
func personal(worker string) string { return personalPrefix + worker }

const personalPrefix = "worker-"

// quiet reports whether River may keep quiet about an insert at this time.
func (q *Queue) quiet(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	quiet := now.Sub(q.last) < 2*fetchCooldown
	q.last = now
	return quiet
}

// Signal implements store.Enqueuer.
func (q *Queue) Signal(ctx context.Context, tx *sql.Tx, held map[string][]string) error {
	for worker, ids := range held {
		head := "look " + worker
		text := head
		for _, id := range ids {
			if len(text)+1+len(id) > payloadSize {
				if err := notify(ctx, tx, text); err != nil {
					return err
				}
				text = head
			}
			text += " " + id
		}
		if err := notify(ctx, tx, text); err != nil {
			return err
		}
	}
	return nil
}

func notify(ctx context.Context, tx *sql.Tx, payload string) error {
	if _, err := tx.ExecContext(ctx, `SELECT pg_notify($1, $2)`, channel, payload); err != nil {
		return fmt.Errorf("notify %s: %w", payload[:4], err)
	}
	return nil
}

const withdrawSQL = `DELETE FROM river_job WHERE kind = 'execution' AND (
	state = 'running' AND (attempted_by[array_length(attempted_by, 1)] = ANY($1)
		OR $2 AND NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = attempted_by[array_length(attempted_by, 1)]))
	OR state IN ('available', 'retryable', 'scheduled') AND (queue = ANY($3)
		OR $2 AND queue LIKE '` + personalPrefix + `%' AND NOT EXISTS (SELECT 1 FROM workers w WHERE '` + personalPrefix + `' || w.id = queue)))
	RETURNING args->>'id', args->>'workspace', priority`

// Withdraw implements store.Queue.
func (q *Queue) Withdraw(ctx context.Context, tx *sql.Tx, workers []string, unknown bool) ([]execution.Ticket, error) {
	queues := make([]string, len(workers))
	for i, w := range workers {
		queues[i] = personal(w)
	}
	return withdrawn(tx.QueryContext(ctx, withdrawSQL, workers, unknown, queues))
}

// Unaddress implements store.Queue.
func (q *Queue) Unaddress(ctx context.Context, tx *sql.Tx, worker string) ([]execution.Ticket, error) {
	return withdrawn(tx.QueryContext(ctx, `DELETE FROM river_job WHERE kind = 'execution' AND state IN ('available', 'retryable', 'scheduled') AND queue = $1
		RETURNING args->>'id', args->>'workspace', priority`, personal(worker)))
}

// withdrawn reads the tickets of jobs.
func withdrawn(result *sql.Rows, err error) ([]execution.Ticket, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = result.Close() }()
	var out []execution.Ticket
	for result.Next() {
		var t execution.Ticket
		var p int
		if err := result.Scan(&t.ID, &t.WorkspaceID, &p); err != nil {
			return nil, err
		}
		t.Priority = (4 - p) * 10 / 3
		if p < 4 {
			t.Priority++ // so that it maps back to p
		}
		out = append(out, t)
	}
	return out, result.Err()
}

// live are the states of jobs that will still be worked.
func live() []rivertype.JobState {
	return []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled}
}

// Entries implements store.Queue.
func (q *Queue) Entries() string {
	var states []string
	for _, s := range live() {
		states = append(states, "'"+string(s)+"'")
	}
	return `SELECT args->>'id' FROM river_job WHERE kind = 'execution' AND state IN (` + strings.Join(states, ", ") + `)`
}
