package store

import (
	"context"
	"database/sql"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

// Create implements execution.Journal.
func (s *Executions) Create(ctx context.Context, e execution.New) (string, bool, error) {
	if e.IdempotencyKey == "" {
		return e.ID, true, s.hand(ctx, &writing{create: &e})
	}
	id, created := e.ID, true
	var m moves
	err := s.db.Write(ctx, func(tx *sql.Tx) (err error) {
		id, created, err = s.takeKey(ctx, tx, &e)
		if err != nil || !created {
			return err
		}
		m, err = s.insert(ctx, tx, []execution.New{e}, nil)
		return err
	})
	if err == nil {
		s.tell(m.all())
	}
	return id, created, err
}

// keyLife is how long a key answers its first execution.
const keyLife = 24 * time.Hour

// insert writes executions with their dispatch entries in a transaction of the
// caller's. What it has moved is to be told once that is committed. Conflict:
// there is no place for some of them, which are named by their index; nil stands
// for a single one, or for those that are never refused.
func (s *Executions) insert(ctx context.Context, tx *sql.Tx, news []execution.New, index []int) (m moves, err error) {
	b := newBulkWriter(s.db).begin(tx)
	var tickets []execution.Ticket
	var bounded places
	var keys []string
	for i := range news {
		news[i].Hosted = false
		s.unclaimed(&writing{create: &news[i]})
		if news[i].Place == nil {
			tickets = append(tickets, b.create(&news[i]))
			continue
		}
		keys = append(keys, news[i].Place.Key)
		bounded.entries = append(bounded.entries, &entry{new: &news[i]})
	}
	if err := lockPlaces(ctx, s.db, tx, keys); err != nil {
		return m, err
	}
	if err := b.flush(ctx); err != nil {
		return m, err
	}
	if m, err = b.move(ctx, &bounded, s.now()); err != nil {
		return m, err
	}
	if err := bounded.refusal(news, index); err != nil {
		return m, err
	}
	return m, s.dispatch(ctx, tx, nil, nil, append(tickets, m.start...), m.look)
}

func (b *bulk) create(e *execution.New) execution.Ticket {
	x := &e.Execution
	row := &b.executions
	if special(x) {
		row = &b.special
	}
	row.add(x.ID, x.WorkspaceID, x.WorkflowID, x.WorkflowName, x.WorkflowVersion, x.UserID, string(x.Status), x.TriggerType, x.StartNode,
		string(x.TriggerData), x.Priority, x.TotalNodes, x.CompletedNodes, x.RetryOf, x.ParentID, x.ParentNode, x.ParentIteration, x.Depth,
		millis(x.ScheduledAt), millis(x.CreatedAt), millis(wakeOf(x)), x.LastSeq, x.Worker, x.Epoch)
	if row == &b.special {
		row.add(x.ConcurrencyKey, x.ConcurrencyLimit, int(x.Hold), flag(x.DryRun), extraOf(x), jsonText(x.Error), millis(x.CompletedAt))
	}
	if e.Definition != nil {
		b.definitions.add(x.ID, x.WorkspaceID, string(e.Definition))
	}
	b.keep(x.WorkspaceID, e.Payloads, x.CreatedAt)
	for i := range e.Reuse {
		b.node(x.ID, &e.Reuse[i])
	}
	for i := range e.ReuseSteps {
		b.step(x.ID, &e.ReuseSteps[i])
	}
	b.pack(x.ID, e.Events)
	return execution.Ticket{ID: x.ID, WorkspaceID: x.WorkspaceID, Priority: x.Priority, At: x.ScheduledAt, For: e.For}
}

// special reports whether an execution has more than most have.
func special(x *execution.Execution) bool {
	return x.ConcurrencyKey != "" || x.DryRun || x.Lineage != nil || x.Error != nil
}

// wakeOf is when an execution wants an engine first: never by itself while it
// waits for a place.
func wakeOf(x *execution.Execution) time.Time {
	if x.Hold == execution.Queued || x.Status.Over() {
		return time.Time{}
	}
	if x.ScheduledAt.IsZero() {
		return x.CreatedAt
	}
	return x.ScheduledAt
}

// settle finds out what became of a creation whose connection was cut, perhaps
// between the commit and the answer to it: it is tried once more, and when it
// is there already it was committed. (A commit of an engine's needs no such
// care: the engine reads the rows.)
func (s *Executions) settle(ctx context.Context, w *writing, err error) error {
	if w.create == nil || unwritable(err) {
		return err
	}
	if fault.Is(err, fault.Unavailable) {
		refused, again := s.transaction(ctx, []*writing{w})
		if again == nil {
			return refused[w]
		}
		err = again
	}
	if !duplicate(err) {
		return err
	}
	var there bool
	if s.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM executions WHERE workspace_id = $1 AND id = $2)`, w.create.WorkspaceID, w.create.ID).Scan(&there) == nil && there {
		return nil
	}
	return err
}
