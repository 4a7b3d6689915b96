package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"runtime"
	"strconv"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/jsonvalue"
	"agentstudio/internal/node"
)

// Executions stores executions and everything that belongs to them. Commits of
// all executions of the process are gathered into common transactions by Run;
// without Run nothing is written.
type Executions struct {
	db       *DB
	enqueue  Enqueuer // nil: the rows are the queue
	queue    chan *writing
	done     chan struct{} // closed when Run has ended
	now      func() time.Time
	announce execution.Announcer // hears of what commits have moved; nil: nobody
	bulk     *bulkWriter
	follow   chan struct{} // an end has called for another execution
	asked    chan struct{} // somebody is to be written to
	observer Observer      // nil: nobody counts
}

// Observer counts the common transactions. It must not block.
type Observer interface {
	// Committed hears of a transaction that wrote so many parts.
	Committed(parts int, took time.Duration)
}

// Observe has transactions counted. It is called before Run.
func (s *Executions) Observe(o Observer) { s.observer = o }

// writing is one caller's part of a common transaction.
type writing struct {
	create *execution.New
	commit *execution.Commit
	claim  *claiming
	answer chan error
}

// The bounds of a common transaction.
const (
	maxGroup     = 512
	maxGroupRows = 8_000
)

// NewExecutions returns the store. enqueue may be nil.
func NewExecutions(db *DB, enqueue Enqueuer, now func() time.Time) *Executions {
	return &Executions{db: db, enqueue: enqueue, queue: make(chan *writing, maxGroup), done: make(chan struct{}), now: now,
		bulk: newBulkWriter(db), follow: make(chan struct{}, 1), asked: make(chan struct{}, 1)}
}

// Run writes what callers hand in until ctx ends, then what is still queued.
// It must be running for Create and Commit to return.
func (s *Executions) Run(ctx context.Context) error {
	defer close(s.done)
	defer s.bulk.close()
	if err := s.bulk.prepare(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	for {
		select {
		case w := <-s.queue:
			s.write(s.gather(w))
		case <-ctx.Done():
			for {
				select {
				case w := <-s.queue:
					s.write(s.gather(w))
				default:
					return nil
				}
			}
		}
	}
}

// gather takes what else is queued. Yielding first lets callers that are about
// to commit join: without it fast commits fall apart into tiny transactions.
func (s *Executions) gather(first *writing) []*writing {
	group := []*writing{first}
	rows := first.rows()
	for range 4 {
		runtime.Gosched()
	}
	for len(group) < maxGroup && rows < maxGroupRows {
		select {
		case w := <-s.queue:
			group = append(group, w)
			rows += w.rows()
		default:
			return group
		}
	}
	return group
}

func (w *writing) rows() int {
	switch {
	case w.claim != nil:
		return 1
	case w.create != nil:
		return 1 + len(w.create.Reuse)
	}
	return 1 + len(w.commit.Nodes) + len(w.commit.Steps) + len(w.commit.Logs)
}

// write commits a group. When the common transaction fails, each part is tried
// alone, so that one bad part fails nobody else.
func (s *Executions) write(group []*writing) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	began := time.Now()
	refused, err := s.transaction(ctx, group)
	if err == nil && s.observer != nil {
		s.observer.Committed(len(group), time.Since(began))
	}
	if err == nil {
		for _, w := range group {
			w.answer <- refused[w]
		}
		return
	}
	if errors.Is(err, errNotBegun) { // nor would it be for each of them
		for _, w := range group {
			w.answer <- err
		}
		return
	}
	if len(group) > 1 {
		for _, w := range group {
			s.write([]*writing{w})
		}
		return
	}
	group[0].answer <- s.settle(ctx, group[0], err)
}

func (s *Executions) transaction(ctx context.Context, group []*writing) (refused map[*writing]error, err error) {
	refused = map[*writing]error{}
	followed, asked := false, false
	keys := keysOf(group)
	var moved moves
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		b := s.bulk.begin(tx)
		if err := lockPlaces(ctx, s.db, tx, keys); err != nil {
			return err
		}
		var tickets []execution.Ticket
		var bounded places
		var ends, asking []*execution.Commit
		held, err := b.heads(ctx, group)
		if err != nil {
			return err
		}
		if err := claimAll(ctx, tx, group); err != nil {
			return err
		}
		hosts, err := s.hosts(ctx, tx, group)
		if err != nil {
			return err
		}
		for i, w := range group {
			switch {
			case w.claim != nil:
				continue
			case w.create != nil && w.create.Hosted:
				if !hosts[w.create.Worker] {
					refused[w] = fault.New(fault.Stale, "this process has lost its lease")
					continue
				}
				b.create(w.create)
				continue
			case w.create != nil && w.create.Place != nil:
				bounded.entries = append(bounded.entries, &entry{new: w.create})
				continue
			case w.create != nil:
				tickets = append(tickets, b.create(w.create))
				continue
			case !held[i]:
				refused[w] = fault.New(fault.Stale, "another worker has taken over this execution")
				continue
			}
			tickets = append(tickets, b.commit(w.commit, s.now())...)
			bounded.add(w.commit)
			if len(w.commit.Asks) > 0 {
				asked = true
				if !w.commit.Quiet {
					asking = append(asking, w.commit)
				}
			}
			if w.commit.Head != nil && w.commit.Head.Status.Over() && !w.commit.Quiet {
				ends = append(ends, w.commit)
			}
		}
		if err := b.flush(ctx); err != nil {
			return err
		}
		if len(keys) > 0 {
			if moved, err = b.move(ctx, &bounded, s.now()); err != nil {
				return err
			}
			bounded.refusals(group, refused)
			tickets = append(tickets, moved.start...)
		}
		for i, w := range group {
			if held[i] && w.commit != nil {
				if err := b.askChanges(ctx, w.commit); err != nil {
					return err
				}
			}
		}
		if followed, err = b.followUps(ctx, ends, asking, s.now()); err != nil {
			return err
		}
		return s.dispatch(ctx, tx, group, refused, tickets, moved.look)
	})
	if err == nil {
		s.tell(moved.all())
	}
	if err == nil && followed {
		poke(s.follow)
	}
	if err == nil && asked {
		poke(s.asked)
	}
	return refused, err
}

func (s *Executions) hand(ctx context.Context, w *writing) error {
	w.answer = make(chan error, 1)
	s.unclaimed(w)
	select {
	case s.queue <- w:
	case <-s.done:
		return fault.New(fault.Unavailable, "the server is stopping")
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-w.answer:
		return err
	case <-s.done:
		select {
		case err := <-w.answer:
			return err
		default:
			return fault.New(fault.Unavailable, "the server is stopping")
		}
	}
}

// Commit implements execution.Journal.
func (s *Executions) Commit(ctx context.Context, c execution.Commit) error {
	return s.hand(ctx, &writing{commit: &c})
}

// keep writes large values, each once.
func (b *bulk) keep(workspaceID string, payloads []execution.Payload, now time.Time) {
	for _, p := range payloads {
		key := [2]string{workspaceID, p.Hash}
		if b.large[key] {
			continue
		}
		b.large[key] = true
		b.payloads.add(workspaceID, p.Hash, len(p.Data), string(p.Data), now.UnixMilli())
	}
}

func (b *bulk) commit(c *execution.Commit, now time.Time) []execution.Ticket {
	b.keep(c.WorkspaceID, c.Payloads, now)
	for _, n := range c.Nodes {
		b.node(c.ExecutionID, n)
	}
	for i := range c.Steps {
		b.step(c.ExecutionID, &c.Steps[i])
	}
	for _, l := range c.Logs {
		b.logs.add(c.ExecutionID, l.Seq, l.NodeID, l.Iteration, l.Level, l.Message, string(l.Data), millis(l.At))
	}
	b.pack(c.ExecutionID, c.Events)
	for i := range c.Asks {
		b.ask(&c.Asks[i])
	}
	var tickets []execution.Ticket
	for i := range c.Children {
		if c.Children[i].Place == nil {
			tickets = append(tickets, b.create(&c.Children[i]))
		}
	}
	return tickets
}

func (b *bulk) node(id string, n *execution.NodeRun) {
	handles := ""
	if n.Handles != nil {
		handles = jsonText(n.Handles)
	}
	usage, failure, wait := "", "", ""
	if n.Usage != (node.Usage{}) {
		usage = jsonText(n.Usage)
	}
	if n.Error != nil {
		failure = jsonText(n.Error)
	}
	if n.Wait != nil {
		wait = jsonText(n.Wait)
	}
	b.nodes.add(id, n.Iteration, n.NodeID, n.ID, n.Kind, n.Title, n.Attempt, string(n.Status), handles, string(n.Output), n.OutputRef,
		failure, usage, wait, millis(n.StartedAt), millis(n.CompletedAt))
}

func (b *bulk) step(id string, s *execution.StepRecord) {
	b.steps.add(id, s.NodeID, s.Iteration, s.Name, s.Kind, s.Title, string(s.Input), string(s.Output), flag(s.Failed), jsonText(s.Usage), millis(s.StartedAt), millis(s.EndedAt))
}

// pack writes the events of one commit as one row.
func (b *bulk) pack(id string, events []event.Event) {
	if len(events) == 0 {
		return
	}
	text := append(b.scratch[:0], '[')
	for i := range events {
		e := &events[i]
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(append(text, `{"s":`...), e.Seq, 10)
		text = jsonvalue.AppendString(append(text, `,"t":`...), e.Type)
		text = jsonvalue.AppendString(append(text, `,"n":`...), e.Name)
		text = strconv.AppendInt(append(text, `,"a":`...), millis(e.At), 10)
		if len(e.Data) > 0 {
			text = append(append(text, `,"d":`...), e.Data...)
		}
		text = append(text, '}')
	}
	text = append(text, ']')
	if cap(text) <= 1<<20 {
		b.scratch = text
	}
	b.events.add(id, events[len(events)-1].Seq, string(text))
}

// packedEvent is one event of a pack, as it is read.
type packedEvent struct {
	Seq  int64           `json:"s"`
	Type string          `json:"t"`
	Name string          `json:"n"`
	At   int64           `json:"a"`
	Data json.RawMessage `json:"d,omitempty"`
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// jsonText writes a value as JSON, and a nil pointer as nothing.
func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil || string(text) == "null" {
		return ""
	}
	return string(text)
}
