package mcp

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/schema"
)

// Target is a server as it is dialled.
type Target struct {
	Transport Transport
	Command   string
	Args      []string
	Env       map[string]Secret
	URL       string
	Headers   map[string]Secret
}

// Session is a connection to a server. It is safe for concurrent use.
type Session interface {
	Info() Info
	Tools(ctx context.Context) ([]Tool, error)
	Resources(ctx context.Context) ([]Resource, error)
	Prompts(ctx context.Context) ([]Prompt, error)
	// Call calls a tool; when ctx ends the server is told to stop. progress, which
	// may be nil, hears how far it is.
	Call(ctx context.Context, u Use, progress func(Progress)) (*Result, error)
	// Ping returns an error when the server does not answer.
	Ping(ctx context.Context) error
	// Done is closed when the connection has ended; Err then says why.
	Done() <-chan struct{}
	Err() error
	// Close ends the connection, and the program with everything it started.
	Close() error
}

// Use is one call of a tool.
type Use struct {
	Tool string
	Args json.RawMessage
	// Key, when set, is the same for repetitions of this very call.
	Key string
	// Progress hears how far the call is; may be nil.
	Progress func(Progress)
}

// Dialer opens connections. toolsChanged may be called at any time.
type Dialer interface {
	Dial(ctx context.Context, t Target, toolsChanged func()) (Session, error)
}

// PoolConfig adjusts a Pool; zero values are useful.
type PoolConfig struct {
	Stdio   bool // programs on this machine may be started
	Secrets Secrets
	Log     *slog.Logger
	Now     func() time.Time
	// Beat is how often connections are looked after; 30 s.
	Beat time.Duration
	// Backoff is the wait before the n-th attempt to reconnect; the default
	// doubles from a second to a minute.
	Backoff func(n int) time.Duration
	// Most bounds the connections of this process; 200.
	Most int
}

const (
	dialTime    = 45 * time.Second // a package runner may download first
	pingTime    = 10 * time.Second
	noteTime    = 5 * time.Second
	failedFor   = 2 * time.Second // how long a failure answers for the next caller too
	maxAttempts = 10              // to reconnect, before the next use has to
)

// Pool holds the connections of this process: one for each server, shared by
// all who use it. It connects on first use, looks after the connections, and
// opens them again when they break. It is safe for concurrent use.
type Pool struct {
	dialer Dialer
	states States
	cfg    PoolConfig
	rules  schema.Cache

	ctx    context.Context // of everything it keeps
	cancel context.CancelFunc

	mu     sync.Mutex // guards what follows
	conns  map[string]*conn
	closed bool
	keep   sync.WaitGroup
}

// NewPool returns a pool without connections. Run must be called, and returns
// when all of them are closed.
func NewPool(dialer Dialer, states States, cfg PoolConfig) *Pool {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Beat <= 0 {
		cfg.Beat = 30 * time.Second
	}
	if cfg.Backoff == nil {
		cfg.Backoff = func(n int) time.Duration { return min(time.Second<<min(n, 10), time.Minute) }
	}
	if cfg.Most <= 0 {
		cfg.Most = 200
	}
	p := &Pool{dialer: dialer, states: states, cfg: cfg, conns: map[string]*conn{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Run looks after the connections until ctx ends, then closes them all.
func (p *Pool) Run(ctx context.Context) {
	beat := time.NewTicker(p.cfg.Beat)
	defer beat.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-beat.C:
			p.look(ctx)
		}
	}
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.keep.Wait()
}

// look renews what the table says of the connections, and closes those whose
// server has changed or is gone.
func (p *Pool) look(ctx context.Context) {
	p.mu.Lock()
	open := make(map[string]*conn, len(p.conns))
	ids := make([]string, 0, len(p.conns))
	for id, c := range p.conns {
		open[id], ids = c, append(ids, id)
	}
	p.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	epochs, err := p.states.Seen(ctx, ids, p.cfg.Now())
	if err != nil {
		p.cfg.Log.WarnContext(ctx, "connections to mcp servers could not be noted", "error", err)
		return
	}
	for id, c := range open {
		if now, there := epochs[id]; !there || now > c.server.Epoch {
			p.drop(id, c.server.Epoch+1)
		}
	}
}

// drop closes a connection that is older than the epoch.
func (p *Pool) drop(id string, epoch int64) {
	p.mu.Lock()
	c := p.conns[id]
	if c != nil && c.server.Epoch < epoch {
		delete(p.conns, id)
	} else {
		c = nil
	}
	p.mu.Unlock()
	if c != nil {
		c.cancel()
		<-c.over
	}
}

// conn returns the connection of a server, which may not be open yet.
func (p *Pool) conn(s *Server) (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fault.New(fault.Unavailable, "the studio is stopping; try again in a moment")
	}
	if s.Transport == Stdio && !p.cfg.Stdio {
		return nil, notAllowed()
	}
	c := p.conns[s.ID]
	if c != nil && c.server.Epoch >= s.Epoch {
		return c, nil
	}
	if c != nil {
		c.cancel()
	}
	if len(p.conns) >= p.cfg.Most {
		return nil, fault.New(fault.Unavailable, "this process is connected to %d mcp servers, which is the most: disconnect some", len(p.conns))
	}
	c = newConn(p, *s)
	p.conns[s.ID] = c
	p.keep.Go(c.keep)
	return c, nil
}

// forget takes out a connection that has ended.
func (p *Pool) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns[c.server.ID] == c {
		delete(p.conns, c.server.ID)
	}
}

// connected returns the open connection of a server, and opens it first when
// it has to.
func (p *Pool) connected(ctx context.Context, s *Server) (*link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dialTime+time.Second, fault.New(fault.Timeout, "the server %s did not answer within %s", s.Name, dialTime))
	defer cancel()
	for {
		c, err := p.conn(s)
		if err != nil {
			return nil, err
		}
		l, err, again := c.wait(ctx)
		if !again {
			return l, err
		}
	}
}

// Tools returns what a server offers now.
func (p *Pool) Tools(ctx context.Context, s *Server) ([]Tool, error) {
	l, err := p.connected(ctx, s)
	if err != nil {
		return nil, err
	}
	return l.tools, nil
}

// ask asks a server something, within its time.
func ask[T any](ctx context.Context, p *Pool, s *Server, what func(Session, context.Context) ([]T, error)) ([]T, error) {
	l, err := p.connected(ctx, s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := l.within(ctx)
	defer cancel()
	found, err := what(l.session, ctx)
	return found, l.explain(ctx, err)
}

// Call calls a tool of a server. NotFound: it offers none of the name;
// Invalid: the arguments do not fit, with every fault; Upstream and Timeout:
// the connection or the server failed.
func (p *Pool) Call(ctx context.Context, s *Server, u Use) (*Result, error) {
	l, err := p.connected(ctx, s)
	if err != nil {
		return nil, err
	}
	t, err := l.tool(u.Tool)
	if err != nil {
		return nil, err
	}
	if len(u.Args) == 0 {
		u.Args = json.RawMessage("{}")
	}
	if err := p.fits(t, u.Args); err != nil {
		return nil, err
	}
	ctx, cancel := l.within(ctx)
	defer cancel()
	progress := u.Progress
	if progress != nil {
		progress = func(to Progress) { to.Message = l.hide.text(to.Message); u.Progress(to) }
	}
	out, err := l.session.Call(ctx, u, progress)
	if err != nil {
		return nil, l.explain(ctx, err)
	}
	l.hide.result(out)
	out.bound()
	return out, nil
}

// fits checks arguments against the schema of a tool. A schema that cannot be
// read is left to its server.
func (p *Pool) fits(t Tool, args json.RawMessage) error {
	var v any
	if err := json.Unmarshal(args, &v); err != nil {
		return fault.Wrap(fault.Malformed, err, "the arguments of %s are not JSON: %s", t.Name, err)
	}
	if _, isObject := v.(map[string]any); !isObject {
		return fault.InvalidInput(fault.Detail{Location: "arguments", Code: "not_object", Message: "the arguments are an object"})
	}
	rules, err := p.rules.Compile(t.InputSchema)
	if err != nil {
		p.cfg.Log.Warn("the schema of an mcp tool cannot be read", "tool", t.Name, "error", err)
		return nil
	}
	var found []fault.Detail
	for _, f := range rules.Validate(v) {
		location := "arguments"
		if f.Path != "" {
			location += "." + f.Path
		}
		found = append(found, fault.Detail{Location: location, Code: "input_schema", Message: f.Message})
	}
	if found != nil {
		return fault.InvalidInput(found...)
	}
	return nil
}
