package river_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/dispatch/river"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

// cut lets a test cut a process off from its leases, as a broken network does.
type cut struct {
	*store.Leases
	mu  sync.Mutex
	off chan struct{} // not nil and open: cut off
}

func (c *cut) sever() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = make(chan struct{})
}

func (c *cut) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.off)
	c.off = nil
}

func (c *cut) pass(ctx context.Context) error {
	c.mu.Lock()
	off := c.off
	c.mu.Unlock()
	if off == nil {
		return nil
	}
	select {
	case <-off:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *cut) Register(ctx context.Context, w execution.Worker) error {
	if err := c.pass(ctx); err != nil {
		return err
	}
	return c.Leases.Register(ctx, w)
}

func (c *cut) Heartbeat(ctx context.Context, w execution.Worker, limit int) ([]execution.Held, error) {
	if err := c.pass(ctx); err != nil {
		return nil, err
	}
	return c.Leases.Heartbeat(ctx, w, limit)
}

func (c *cut) Leave(ctx context.Context, worker string) error {
	if c.pass(ctx) != nil || c.gone() {
		return errors.New("cut off")
	}
	return c.Leases.Leave(ctx, worker)
}

func (c *cut) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off != nil
}

func (c *cut) TakeOver(ctx context.Context) ([]string, int, error) {
	if err := c.pass(ctx); err != nil {
		return nil, 0, err
	}
	return c.Leases.TakeOver(ctx)
}

// process is a dispatcher with an engine of the test's, on a store of its own.
type process struct {
	*base
	name  string
	cut   *cut
	d     *river.Dispatcher
	stop  func()
	world *world
	mu    sync.Mutex
	runs  map[string]chan struct{} // running here; a signal is sent on it
}

// world is what all processes of a test have seen.
type world struct {
	t       *testing.T
	url     string
	do      func(ctx context.Context, p *process, x *execution.Execution, signal <-chan struct{}) error
	mu      sync.Mutex
	began   map[string][]string // by execution: the processes that ran it
	changed chan struct{}
	count   int
}

func newWorld(t *testing.T) *world {
	return &world{t: t, url: storetest.PostgresURL(t), began: map[string][]string{}, changed: make(chan struct{}, 1)}
}

// start brings a process up and waits until it takes executions.
func (w *world) start(name string) *process {
	w.t.Helper()
	b := open(w.t, w.url)
	p := &process{base: b, name: name, world: w, cut: &cut{Leases: b.leases}, runs: map[string]chan struct{}{}}
	p.d = b.dispatcher(name, p.cut)
	ctx, cancel := context.WithCancel(context.Background())
	drain, cutOff := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.d.Run(ctx, drain, p) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		cutOff()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(p.stop)
	select {
	case <-p.d.Ready():
	case err := <-ended:
		w.t.Fatal(err)
	}
	return p
}

// Execute implements river.Engine: it claims, and does what the test says. As
// an engine must, it looks again when it was told to before it had let go.
func (p *process) Execute(ctx context.Context, t execution.Ticket) (time.Time, error) {
	for {
		x, err := p.journal.Claim(context.WithoutCancel(ctx), t.ID, p.name)
		if fault.Is(err, fault.Conflict) {
			return time.Time{}, nil
		}
		if err != nil {
			return time.Time{}, err
		}
		signal := make(chan struct{}, 1)
		p.mu.Lock()
		p.runs[x.ID] = signal
		p.mu.Unlock()
		p.world.note(func() { p.world.began[x.ID] = append(p.world.began[x.ID], p.name) })
		err = p.world.do(ctx, p, x, signal)
		p.mu.Lock()
		delete(p.runs, x.ID)
		p.mu.Unlock()
		p.world.note(func() {})
		if len(signal) == 0 || err != nil {
			return time.Time{}, err
		}
	}
}

// Signal implements river.Engine.
func (p *process) Signal(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	signal := p.runs[id]
	if signal == nil {
		return false
	}
	select {
	case signal <- struct{}{}:
	default:
	}
	return true
}

func (p *process) commit(x *execution.Execution, h execution.Head) error {
	return p.journal.Commit(context.Background(), execution.Commit{WorkspaceID: "w", ExecutionID: x.ID, Epoch: x.Epoch, Head: &h})
}

func (p *process) finish(x *execution.Execution) error {
	return p.commit(x, execution.Head{Status: execution.Completed, CompletedAt: time.Now(), Release: true})
}

func (w *world) note(change func()) {
	w.mu.Lock()
	change()
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond) // rows change without a word
	defer tick.Stop()
	for {
		w.mu.Lock()
		ok := holds()
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-w.changed:
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("%s: never happened%s", what, w.rows())
		}
	}
}

// rows says what the database holds of what is not over.
func (w *world) rows() string {
	db, err := sql.Open("pgx", w.url)
	if err != nil {
		return err.Error()
	}
	defer db.Close()
	var text string
	err = db.QueryRow(`SELECT coalesce(string_agg(line, E'\n'), '') FROM (
		SELECT format('execution %s %s worker=%s epoch=%s look=%s', right(id, 4), status, worker, epoch, look) AS line FROM executions WHERE completed_at = 0
		UNION ALL SELECT format('job %s of %s %s by %s', id, right(args->>'id', 4), state, attempted_by) FROM river_job WHERE state <> 'completed'
		UNION ALL SELECT format('worker %s', id) FROM workers) AS lines`).Scan(&text)
	return fmt.Sprint(text, err)
}

func (p *process) create(change func(*execution.Execution)) string {
	p.t.Helper()
	p.world.mu.Lock()
	p.world.count++
	n := p.world.count
	p.world.mu.Unlock()
	x := execution.Execution{ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", n), WorkspaceID: "w", WorkflowID: "f", WorkflowName: "f", WorkflowVersion: 1,
		Status: execution.Pending, TriggerType: "manual", StartNode: "s", TriggerData: []byte("{}"), CreatedAt: time.Now(), Epoch: 1}
	if change != nil {
		change(&x)
	}
	if _, _, err := p.journal.Create(context.Background(), execution.New{Execution: x}); err != nil {
		p.t.Fatal(err)
	}
	return x.ID
}

func (p *process) status(id string) execution.Status {
	x, err := p.journal.Find(context.Background(), "w", id)
	if err != nil {
		return ""
	}
	return x.Status
}

func (p *process) workers() (n int) {
	if err := p.db.Read().QueryRowContext(context.Background(), `SELECT count(*) FROM workers`).Scan(&n); err != nil {
		p.t.Error(err)
	}
	return n
}
