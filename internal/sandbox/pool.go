package sandbox

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"agentstudio/internal/fault"
)

// Config says how a Sandbox works. The zero Config but for Command will do.
type Config struct {
	// Command starts this program once more, with arguments that make it call
	// Serve with its standard input and output.
	Command []string
	// Most is how many programs run at a time; the others wait. 0: twice as many
	// as there are processors, at least four.
	Most int
	// Idle is how long a worker without work is kept; 0: 30 s.
	Idle time.Duration
}

// Sandbox runs code in worker processes, which are started when they are
// needed and used again. It is safe for concurrent use. Close it when done.
type Sandbox struct {
	cfg   Config
	slots chan struct{} // one for each program that runs

	mu     sync.Mutex
	idle   []*worker // the one used last at the end
	sweep  *time.Timer
	closed bool
}

// New returns a sandbox; no process is started yet.
func New(cfg Config) *Sandbox {
	if cfg.Most <= 0 {
		cfg.Most = max(4, 2*runtime.NumCPU())
	}
	if cfg.Idle <= 0 {
		cfg.Idle = 30 * time.Second
	}
	return &Sandbox{cfg: cfg, slots: make(chan struct{}, cfg.Most)}
}

// late is how much longer than its time a worker may take before it is killed:
// the interpreter ends most code by itself, and says more of it.
const late = time.Second

// Run runs the code as the body of an async function whose parameters are the
// names of the scope; what it returns is the value. Each run has an
// interpreter of its own. Invalid: the code throws or cannot be read (the
// message names the line), or returns more than the limit, or uses more memory;
// Timeout; Cancelled when ctx ends.
func (s *Sandbox) Run(ctx context.Context, code string, scope map[string]any, limits Limits) (Outcome, error) {
	limits = limits.Filled()
	program, err := wrap(code, scope, limits)
	if err != nil {
		return Outcome{}, err
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return Outcome{}, stopped(ctx)
	}
	a, err := s.ask(ctx, question{Program: program, Timeout: limits.Timeout, Memory: limits.Memory})
	switch {
	case ctx.Err() != nil:
		return Outcome{}, stopped(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return Outcome{}, fault.New(fault.Timeout, "the code ran longer than %s", limits.Timeout)
	case errors.Is(err, errDied):
		return Outcome{}, explain(errors.New(broke), limits)
	case err != nil:
		return Outcome{}, err
	case a.Error != "":
		return Outcome{}, explain(errors.New(a.Error), limits)
	}
	return read(a.Text, limits)
}

// ask has a worker run a program. DeadlineExceeded: it was killed, since it took
// too long; errDied: the program killed it.
func (s *Sandbox) ask(ctx context.Context, q question) (a answer, err error) {
	for {
		w, used, err := s.take()
		if err != nil {
			return a, err
		}
		limited, cancel := context.WithTimeout(ctx, q.Timeout+late)
		a, err = w.ask(limited, q)
		if limited.Err() != nil {
			err = limited.Err()
		}
		cancel()
		if err == nil && !a.Last && s.give(w) {
			return a, nil
		}
		w.kill()
		if !used || !errors.Is(err, errDied) {
			return a, err
		}
		// It may have died while it was idle. What code does is nothing but its
		// answer: it can be run again.
	}
}

// take returns an idle worker, or starts one.
func (s *Sandbox) take() (w *worker, used bool, err error) {
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		w = s.idle[n-1]
		s.idle = s.idle[:n-1]
	}
	s.mu.Unlock()
	if w != nil {
		return w, true, nil
	}
	w, err = start(s.cfg.Command)
	return w, false, err
}

// give keeps a worker for the next program; false when the sandbox is closed.
func (s *Sandbox) give(w *worker) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	w.since = time.Now()
	s.idle = append(s.idle, w)
	if s.sweep == nil {
		s.sweep = time.AfterFunc(s.cfg.Idle, s.rest)
	}
	return true
}

// rest ends the workers that were idle for long enough.
func (s *Sandbox) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep = nil
	now := time.Now()
	for len(s.idle) > 0 && now.Sub(s.idle[0].since) >= s.cfg.Idle {
		s.idle[0].kill()
		s.idle = s.idle[1:]
	}
	if len(s.idle) > 0 && !s.closed {
		s.sweep = time.AfterFunc(s.cfg.Idle-now.Sub(s.idle[0].since), s.rest)
	}
}

// Close waits for the programs that run, and ends every worker.
func (s *Sandbox) Close() {
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	defer func() {
		for range cap(s.slots) {
			<-s.slots
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.sweep != nil {
		s.sweep.Stop()
	}
	for _, w := range s.idle {
		w.kill()
	}
	s.idle = nil
}
