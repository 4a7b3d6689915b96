// Package river hands executions to engines in any number of processes that
// share a PostgreSQL database. River carries the jobs; leases say who runs
// what, so that a dead worker's executions go on elsewhere within seconds; the
// rows themselves say what is to be looked at and when. Nothing depends on
// what a process remembers.
package river

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"agentstudio/internal/execution"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// Leases says who runs what. Its methods are those of store.Leases.
type Leases interface {
	Register(ctx context.Context, w execution.Worker) error
	Heartbeat(ctx context.Context, w execution.Worker, limit int) ([]execution.Held, error)
	Retire(ctx context.Context, worker string) error
	Leave(ctx context.Context, worker string) error
	TakeOver(ctx context.Context) (silent []string, executions int, err error)
	Look(ctx context.Context, tickets []execution.Ticket) error
	LetGo(ctx context.Context, worker string, idle []execution.Held) error
	Wake(ctx context.Context, limit int) (woken int, next time.Duration, err error)
	Sweep(ctx context.Context, limit int) (found int, err error)
	Over(ctx context.Context, id string) (bool, error)
}

// Engine runs executions.
type Engine interface {
	// Execute runs one until it is over or rests; it returns when to look again.
	Execute(ctx context.Context, t execution.Ticket) (wake time.Time, err error)
	// Signal tells a running one to look at its row; false when it does not run.
	Signal(id string) bool
}

// Observer counts what happens to leases. It must not block.
type Observer interface {
	// LeaseLost hears that this process could not renew its lease in time.
	LeaseLost()
	// TakenOver hears of executions taken from silent workers.
	TakenOver(executions int)
}

// Config adjusts a dispatcher; zero values are useful.
type Config struct {
	// Worker is who this process is in leases: its ID, new with every start,
	// is the name the engine claims with. Its Lease is 10 s when zero.
	Worker execution.Worker
	// MaxActive bounds the executions in memory, per queue. 512.
	MaxActive int
	// MaxGuests bounds the executions that run here beyond those, without a
	// job, because somebody here waits for them. A quarter of MaxActive.
	MaxGuests int
	// Beat is how often the lease is renewed. A fifth of the lease.
	Beat time.Duration
	// Retry is how long an execution rests after the engine could not go on
	// for reasons of ours, and how long lost connections do. 1 s.
	Retry time.Duration
	// Look is how often the leader looks for due timers whatever it was told. 5 s.
	Look time.Duration
	// Sweep is how often the leader looks for executions that were forgotten. 30 s.
	Sweep time.Duration
	Log   *slog.Logger
	// Observer counts; nil: nobody does.
	Observer Observer
}

func (c *Config) fill() {
	set(&c.Worker.Lease, 10*time.Second)
	set(&c.MaxActive, 512)
	set(&c.MaxGuests, max(c.MaxActive/4, 1))
	if len(c.Worker.Queues) == 0 {
		c.Worker.Queues = []string{river.QueueDefault}
	}
	set(&c.Beat, c.Worker.Lease/5)
	set(&c.Retry, time.Second)
	set(&c.Look, 5*time.Second)
	set(&c.Sweep, 30*time.Second)
	if c.Log == nil {
		c.Log = slog.Default()
	}
}

func set[T comparable](field *T, fallback T) {
	var zero T
	if *field == zero {
		*field = fallback
	}
}

// How River is used.
const (
	fetchCooldown = time.Millisecond
	fetchPoll     = time.Second // when a notification was lost
	keepCompleted = time.Second // the cleaner comes every 30 s
	keepFailed    = time.Hour
	maxAttempts   = 1_000
	poolSize      = 10 // ours: one that listens, one that leads; the others are River's
	connectWithin = 10 * time.Second
	queryWithin   = 10 * time.Second
	batch         = 1_000 // rows per timer or sweep transaction
)

// Dispatcher is one process's part. It serves one engine.
type Dispatcher struct {
	cfg    Config
	url    string
	leases Leases
	ready  chan struct{}
	leave  chan struct{}             // closed when Run is to end
	told   wishes                    // executions to be looked at elsewhere
	born   time.Time                 // set by Run
	replan chan time.Time            // a timer before the known ones; newest wins
	until  atomic.Pointer[time.Time] // the lease's end by our clock, which goes on while we are stopped

	mu     sync.Mutex
	engine Engine
	drain  context.Context // of the executions; set by Run
	state  state
	active map[string]*flight
	guests int // of active, those that came without a job
	home   sync.WaitGroup
}

type state uint8

const (
	idle    state = iota // not run yet, or ended
	serving              // registered: may start executions
	lost                 // the lease is lost: may start nothing
	leaving              // stopping: may start nothing
)

// New returns a dispatcher for the PostgreSQL database at the URL.
func New(url string, leases Leases, cfg Config) *Dispatcher {
	cfg.fill()
	return &Dispatcher{cfg: cfg, url: url, leases: leases, ready: make(chan struct{}), leave: make(chan struct{}),
		replan: make(chan time.Time, 1), told: newWishes(), active: map[string]*flight{}}
}

// Ready is closed once the worker is registered and takes executions.
func (d *Dispatcher) Ready() <-chan struct{} { return d.ready }

// Holds reports whether the lease has not ended yet, as far as this process
// can know without asking: false after it was stopped for longer.
func (d *Dispatcher) Holds() bool {
	until := d.until.Load()
	return until != nil && time.Now().Before(*until)
}

func (d *Dispatcher) renewed(began time.Time) {
	until := began.Add(d.cfg.Worker.Lease)
	d.until.Store(&until)
}

// Run takes executions until ctx ends and returns when the last one has come
// to rest; what is still held then goes to other workers. Executions run under
// drain's context, so that the caller decides how long they may take to end
// after ctx did. It is called once.
func (d *Dispatcher) Run(ctx, drain context.Context, engine Engine) (err error) {
	pool, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	client, err := d.client(pool)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.engine, d.drain, d.born = engine, drain, time.Now()
	d.mu.Unlock()
	if err := d.limited(ctx, func(ctx context.Context) error { return d.leases.Register(ctx, d.cfg.Worker) }); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before it had begun
		}
		return fmt.Errorf("register as a worker: %w", err)
	}
	d.renewed(d.born)
	d.become(serving)
	after := context.WithoutCancel(ctx)
	defer func() {
		left := d.limited(after, func(ctx context.Context) error { return d.leases.Leave(ctx, d.cfg.Worker.ID) })
		if left != nil {
			d.cfg.Log.Warn("could not sign off: others take over when the lease ends", "error", left)
		}
	}()
	// The lease is kept until the last execution has come to rest.
	living, end := context.WithCancel(after)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer end()
	parts.Go(func() { d.keepLease(living, d.born) })
	parts.Go(func() { d.listen(living) })
	parts.Go(func() { d.tell(living) })
	if err := client.Start(after); err != nil {
		return fmt.Errorf("start the job queue: %w", err)
	}
	close(d.ready)
	parts.Go(func() { d.lead(ctx, pool) })
	<-ctx.Done()
	d.become(leaving)
	if err := d.limited(after, func(ctx context.Context) error { return d.leases.Retire(ctx, d.cfg.Worker.ID) }); err != nil {
		d.cfg.Log.Warn("could not give back what was for this worker: others get it when it has signed off", "error", err)
	}
	close(d.leave)
	defer d.home.Wait()
	return client.Stop(after) // what runs is bounded by drain
}

func (d *Dispatcher) become(s state) {
	d.mu.Lock()
	d.state = s
	d.mu.Unlock()
}

// limited bounds one use of the database.
func (d *Dispatcher) limited(ctx context.Context, use func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, queryWithin)
	defer cancel()
	return use(ctx)
}

func (d *Dispatcher) connect(ctx context.Context) (*pgxpool.Pool, error) {
	conf, err := pgxpool.ParseConfig(d.url)
	if err != nil {
		return nil, unreadable()
	}
	conf.MaxConns = poolSize
	named(conf.ConnConfig)
	pool, err := pgxpool.NewWithConfig(ctx, conf)
	if err != nil {
		return nil, fmt.Errorf("connect the worker: %w", err)
	}
	return pool, nil
}

// unreadable explains a bad URL; the parser's own message may repeat the
// address, password included.
func unreadable() error {
	return errors.New("DATABASE_URL cannot be read: write postgres://user:password@host:5432/database")
}

// named gives connections their bounds, and a name for whoever looks at them
// in the database.
func named(conf *pgx.ConnConfig) {
	if conf.ConnectTimeout == 0 {
		conf.ConnectTimeout = connectWithin
	}
	if _, set := conf.RuntimeParams["application_name"]; !set {
		conf.RuntimeParams["application_name"] = "agentstudio worker"
	}
}

func (d *Dispatcher) client(pool *pgxpool.Pool) (*river.Client[pgx.Tx], error) {
	queues := map[string]river.QueueConfig{}
	for _, name := range d.cfg.Worker.Queues {
		queues[name] = river.QueueConfig{MaxWorkers: d.cfg.MaxActive}
	}
	if slices.Contains(d.cfg.Worker.Queues, river.QueueDefault) {
		queues[personal(d.cfg.Worker.ID)] = river.QueueConfig{MaxWorkers: d.cfg.MaxActive}
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{d: d})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		ID: d.cfg.Worker.ID, Queues: queues, Workers: workers, Logger: slog.New(warnings{d.cfg.Log.Handler()}),
		FetchCooldown: fetchCooldown, FetchPollInterval: fetchPoll, JobTimeout: -1,
		CompletedJobRetentionPeriod: keepCompleted, CancelledJobRetentionPeriod: keepFailed, DiscardedJobRetentionPeriod: keepFailed,
	})
	if err != nil {
		return nil, fmt.Errorf("make the job queue: %w", err)
	}
	return client, nil
}

// warnings keeps River's own chatter out of the log.
type warnings struct{ slog.Handler }

func (h warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}
