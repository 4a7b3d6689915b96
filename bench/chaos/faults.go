package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"agentstudio/bench/model"
	"agentstudio/bench/studio"
	"agentstudio/internal/store"
)

// How long a fault may take.
const (
	faultsWithin  = 8 * time.Minute  // a whole mode
	answersWithin = 15 * time.Second // one request; longer is a hang
	settleWithin  = 2 * time.Minute  // from the end of the last fault until everything is done
)

// fault breaks something outside of our processes.
func (c *chaos) fault(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, faultsWithin)
	defer cancel()
	if c.model == "" {
		l, failed := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if failed != nil {
			return failed
		}
		c.model = "http://" + l.Addr().String()
		stub := &http.Server{Handler: model.New(5*time.Millisecond, 2).Handler(), ReadHeaderTimeout: 10 * time.Second}
		ended := make(chan error, 1)
		go func() { ended <- stub.Serve(l) }()
		defer func() {
			err = errors.Join(err, stub.Close())
			if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
				err = errors.Join(err, served)
			}
		}()
	}
	switch c.breaks {
	case "postgres":
		return c.postgresFault(ctx)
	case "redis":
		return c.redisFault(ctx)
	case "disk":
		return c.diskFault(ctx)
	case "stop":
		return c.stopFault(ctx)
	case "clients":
		return c.clientsFault(ctx)
	}
	return fmt.Errorf("-fault %s: there is postgres, redis, disk, stop and clients (clock jumps are tests: the clock of a static binary cannot be faked)", c.breaks)
}

// front is what a fault is judged by: servers under load, and their tables.
type front struct {
	*chaos
	env      []string
	servers  []*studio.Studio
	workers  []*studio.Studio
	workflow string
	moments  []*seen
}

// open starts the servers and workers and the workflow. The first server signs
// in; the others take its key.
func (f *front) open(ctx context.Context, servers, workers int, onlyServe bool) error {
	f.env = append(f.env, "OPENAI_BASE_URL="+f.model+"/openai/v1", "OPENAI_API_KEY=none")
	serving := slices.Clone(f.env)
	if onlyServe {
		serving = append(serving, "STUDIO_ENGINE=off")
	}
	for range servers {
		s, err := studio.Start(ctx, studio.Options{Binary: f.binary, Dir: f.dir, Env: serving})
		if err != nil {
			return err
		}
		f.servers = append(f.servers, s)
	}
	first := f.servers[0]
	if err := errors.Join(first.SignIn(ctx, "chaos@example.org"), first.UseKey(ctx)); err != nil {
		return err
	}
	for _, s := range f.servers {
		s.Token = first.Token
	}
	for range workers {
		if err := f.hire(ctx); err != nil {
			return err
		}
	}
	var err error
	f.workflow, err = first.Create(ctx, f.chaos.workflow())
	return err
}

func (f *front) hire(ctx context.Context) error {
	w, err := studio.StartWorker(ctx, studio.Options{Binary: f.binary, Dir: f.dir, Env: f.env})
	if err == nil {
		f.workers = append(f.workers, w)
	}
	return err
}

// shut stops what still runs and says when a process has ended by itself.
func (f *front) shut() error {
	var errs []error
	for i, s := range append(slices.Clone(f.servers), f.workers...) {
		for n, line := range s.Said(`"level":"ERROR"`) {
			if n < 5 {
				fmt.Fprintf(os.Stderr, "process %d: %s\n", i, line)
			}
		}
		if !s.Running() {
			f.sum.died++
			errs = append(errs, fmt.Errorf("process %d has ended by itself: %w\n%s", i, s.Wait(time.Second), s.Log()))
			continue
		}
		errs = append(errs, s.Stop())
	}
	return errors.Join(errs...)
}

// tables is what is read of a database.
type tables interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

// look reads which nodes are finished, then what the world has seen of them:
// none of these may be called again.
func (f *front) look(ctx context.Context, db tables) error {
	out := &seen{nodes: map[string]bool{}, hits: map[string]int{}, turns: map[string]bool{}}
	if err := f.finishedIn(ctx, db, "", out); err != nil {
		return err
	}
	f.moments = append(f.moments, out)
	return nil
}

// conclude waits until everything accepted is done and counts.
func (f *front) conclude(ctx context.Context, p *pressure, db tables) error {
	began := time.Now()
	limit, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	if err := f.await(limit, f.servers[0], p.ids()); err != nil {
		return err
	}
	if err := f.emptied(limit, db); err != nil {
		return err
	}
	f.sum.rest = append(f.sum.rest, time.Since(began))
	for _, m := range f.moments {
		if err := f.judge(ctx, m); err != nil {
			return err
		}
	}
	for _, n := range f.effects.copy() {
		if n > 1 {
			f.sum.inFlight++
		}
	}
	return f.once(ctx, p, db)
}

// emptied waits until nothing is under way, answered with 2xx or not.
func (f *front) emptied(ctx context.Context, db tables) error {
	for {
		open, err := count(ctx, db, `SELECT count(*) FROM executions WHERE status IN ('pending', 'running', 'waiting', 'paused')`)
		if err != nil || open == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			f.sum.lost += open
			return fmt.Errorf("%d executions are under way still", open)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func count(ctx context.Context, db tables, query string) (n int, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			return 0, err
		}
	}
	return n, rows.Err()
}

// once looks whether each request, sent again with its idempotency key until it
// was accepted, has one execution.
func (f *front) once(ctx context.Context, p *pressure, db tables) error {
	rows, err := db.QueryContext(ctx, `SELECT trigger_data, count(*) FROM executions GROUP BY trigger_data HAVING count(*) > 1`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var data string
		var n int
		if err := rows.Scan(&data, &n); err != nil {
			return err
		}
		f.sum.doubled += n - 1
		fmt.Fprintf(os.Stderr, "%s was started %d times\n", data, n)
	}
	f.sum.executions = len(p.ids())
	f.sum.load = p.report()
	f.sum.wrong += len(p.wrong) + p.lies
	return rows.Err()
}

// wait is a pause that ends with ctx.
func wait(ctx context.Context, long time.Duration) error {
	rest(ctx, long)
	return ctx.Err()
}

// between returns a random time.
func (f *front) between(least, most time.Duration) time.Duration {
	return least + time.Duration(f.chaos.moments.Int64N(int64(most-least)))
}

func openTables(ctx context.Context, url string) (*store.DB, error) {
	return store.Open(ctx, store.Config{URL: url, MaxConns: 2})
}
