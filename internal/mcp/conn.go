package mcp

import (
	"context"
	"errors"
	"sync"
	"time"

	"agentstudio/internal/fault"
)

// link is an open connection, as its users see it.
type link struct {
	server  *Server
	session Session
	tools   []Tool
	hide    redactor
}

// tool finds a tool of the server.
func (l *link) tool(name string) (Tool, error) {
	names := make([]string, len(l.tools))
	for i, t := range l.tools {
		if t.Name == name {
			return t, nil
		}
		names[i] = t.Name
	}
	return Tool{}, fault.New(fault.NotFound, "the mcp server %s offers no tool %q%s", l.server.Name, name, fault.DidYouMean(name, names))
}

// within gives a call the time that the server has for one.
func (l *link) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, l.server.Timeout, fault.New(fault.Timeout, "the mcp server %s did not answer within %s", l.server.Name, l.server.Timeout))
}

// explain says why a call failed, without secrets.
func (l *link) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return explain(l.server, l.hide, err)
}

func explain(s *Server, hide redactor, err error) error {
	if f := fault.As(err); f != nil && f.Kind != fault.Internal {
		shown := *f
		shown.Message = hide.text("the mcp server " + s.Name + ": " + f.Message)
		return &shown
	}
	return fault.Wrap(fault.Upstream, err, "the mcp server %s failed: %s", s.Name, clip(hide.text(err.Error()), 2000)).WithCode("mcp_server")
}

// conn keeps the connection to one epoch of a server. Its goroutine dials,
// looks after the session and dials again; users wait for what comes of it.
type conn struct {
	pool    *Pool
	server  Server
	ctx     context.Context
	cancel  context.CancelFunc
	over    chan struct{} // closed when it has ended
	refresh chan struct{} // the tools have changed
	kick    chan struct{} // somebody wants it now

	mu       sync.Mutex // guards what follows
	link     *link      // nil: not open
	err      error      // why not; nil: it is about to be
	failedAt time.Time
	ended    bool
	changed  chan struct{} // closed when any of it changes
}

func newConn(p *Pool, s Server) *conn {
	c := &conn{pool: p, server: s, over: make(chan struct{}), refresh: make(chan struct{}, 1), kick: make(chan struct{}, 1), changed: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(p.ctx)
	return c
}

// set changes what users see.
func (c *conn) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

// wait returns the open connection, or why there is none. again: this one has
// ended before it was asked, make another.
func (c *conn) wait(ctx context.Context) (l *link, err error, again bool) { //nolint:staticcheck // err belongs to l
	asked := c.pool.cfg.Now()
	for {
		c.mu.Lock()
		l, err, ended, changed, failedAt := c.link, c.err, c.ended, c.changed, c.failedAt
		c.mu.Unlock()
		switch {
		case l != nil:
			return l, nil, false
		case err != nil && asked.Sub(failedAt) < failedFor:
			return nil, err, false
		case ended:
			return nil, nil, true
		case err != nil:
			c.now()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx), false
		}
	}
}

// now has the next attempt made at once.
func (c *conn) now() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// keep is the life of the connection.
func (c *conn) keep() {
	defer close(c.over)
	defer c.cancel()
	held := false
	for attempt := 0; ; attempt++ {
		session, err := c.open()
		if err == nil {
			held, attempt = true, 0
			err = c.hold(session)
		}
		if c.ctx.Err() != nil {
			break
		}
		c.fail(err)
		if !held || !c.server.AutoReconnect || attempt >= maxAttempts || !c.pause(attempt) {
			break
		}
	}
	c.pool.forget(c)
	stopped := c.ctx.Err() != nil
	c.set(func() {
		c.ended = true
		if stopped && c.err == nil {
			c.link, c.err, c.failedAt = nil, fault.New(fault.Unavailable, "the connection to the mcp server %s was closed", c.server.Name), c.pool.cfg.Now()
		}
	})
	if stopped && c.pool.ctx.Err() != nil { // by a stop of the process: else whoever did it has noted it
		c.note(State{Status: Disconnected})
	}
}

// pause waits before the next attempt; false when there shall be none.
func (c *conn) pause(attempt int) bool {
	timer := time.NewTimer(c.pool.cfg.Backoff(attempt))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.kick:
	case <-c.ctx.Done():
		return false
	}
	c.set(func() { c.err = nil })
	return true
}

// open dials, and reads what the server offers.
func (c *conn) open() (Session, error) {
	ctx, cancel := context.WithTimeoutCause(c.ctx, dialTime, fault.New(fault.Timeout, "it did not answer within %s", dialTime))
	defer cancel()
	c.note(State{Status: Connecting})
	fill := &resolver{secrets: c.pool.cfg.Secrets, workspaceID: c.server.WorkspaceID}
	env, err := fill.fill(ctx, c.server.Env)
	if err != nil {
		return nil, explain(&c.server, nil, err)
	}
	headers, err := fill.fill(ctx, c.server.Headers)
	if err != nil {
		return nil, explain(&c.server, nil, err)
	}
	session, err := c.pool.dialer.Dial(ctx, Target{Transport: c.server.Transport, Command: c.server.Command, Args: c.server.Args, Env: env, URL: c.server.URL, Headers: headers}, c.toolsChanged)
	if err != nil {
		return nil, c.why(ctx, fill.hide, err)
	}
	l := &link{server: &c.server, session: session, hide: fill.hide}
	if l.tools, err = c.tools(ctx, session); err != nil {
		return nil, c.why(ctx, fill.hide, errors.Join(err, session.Close()))
	}
	c.note(c.opened(l)) // first: who has waited reads it
	c.set(func() { c.link, c.err = l, nil })
	return session, nil
}

func (c *conn) why(ctx context.Context, hide redactor, err error) error {
	if cause := context.Cause(ctx); cause != nil && fault.As(err) == nil {
		err = cause
	}
	return explain(&c.server, hide, err)
}

func (c *conn) opened(l *link) State {
	return State{Status: Connected, LastConnectedAt: c.pool.cfg.Now(), Capabilities: l.session.Info().Capabilities, Tools: l.tools}
}

func (c *conn) tools(ctx context.Context, session Session) ([]Tool, error) {
	tools, err := session.Tools(ctx)
	if len(tools) > maxTools {
		c.pool.cfg.Log.WarnContext(ctx, "an mcp server offers too many tools", "server_id", c.server.ID, "tools", len(tools), "kept", maxTools)
		tools = tools[:maxTools]
	}
	return tools, err
}

func (c *conn) toolsChanged() {
	select {
	case c.refresh <- struct{}{}:
	default:
	}
}

// hold looks after an open session and returns why it ended.
func (c *conn) hold(session Session) error {
	beat := time.NewTicker(c.pool.cfg.Beat)
	defer beat.Stop()
	hide := c.link.hide
	for {
		var err error
		select {
		case <-c.ctx.Done():
			return session.Close()
		case <-session.Done():
			if err = session.Err(); err == nil {
				err = errors.New("it has ended the connection")
			}
			_ = session.Close() // it is over already: what it started ends too
		case <-c.refresh:
			err = c.renew(session)
		case <-beat.C:
			err = c.ping(session)
		}
		if err != nil {
			return explain(&c.server, hide, err)
		}
	}
}

func (c *conn) ping(session Session) error {
	ctx, cancel := context.WithTimeout(c.ctx, pingTime)
	defer cancel()
	err := session.Ping(ctx)
	if err == nil || c.ctx.Err() != nil {
		return nil
	}
	return errors.Join(errors.New("it does not answer any more"), err, session.Close())
}

// renew reads the tools again. A list that cannot be read leaves the old one.
func (c *conn) renew(session Session) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.server.Timeout)
	defer cancel()
	tools, err := c.tools(ctx, session)
	if err != nil {
		c.pool.cfg.Log.WarnContext(ctx, "the tools of an mcp server could not be read again", "server_id", c.server.ID, "error", err)
		return nil //nolint:nilerr // the ping finds out whether the connection is broken
	}
	fresh := *c.link
	fresh.tools = tools
	c.set(func() { c.link = &fresh })
	c.note(c.opened(&fresh))
	return nil
}

func (c *conn) fail(err error) {
	c.pool.cfg.Log.WarnContext(c.ctx, "mcp server failed", "server_id", c.server.ID, "error", fault.Message(err))
	c.note(State{Status: Failed, LastError: fault.Message(err)})
	c.set(func() { c.link, c.err, c.failedAt = nil, err, c.pool.cfg.Now() })
}

// note tells the table how the connection stands.
func (c *conn) note(s State) {
	s.SeenAt = c.pool.cfg.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), noteTime)
	defer cancel()
	if err := c.pool.states.Note(ctx, c.server.ID, c.server.Epoch, s); err != nil {
		c.pool.cfg.Log.WarnContext(ctx, "the state of an mcp server could not be noted", "server_id", c.server.ID, "error", err)
	}
}
