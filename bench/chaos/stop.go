package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"agentstudio/bench/studio"
)

// What a stop may take.
const (
	stopWithin   = 30 * time.Second // 25 s of grace and some for the rest
	secondWithin = 2 * time.Second  // after a second signal
)

// stops are what stopFault has measured.
type stops struct {
	gentle, second []time.Duration
	cut, cutGently int // requests whose answer did not arrive; those of gentle stops
}

// stopFault asks processes to stop while they work: gently, and at once by a
// second signal. First one server on SQLite, then workers on PostgreSQL.
func (c *chaos) stopFault(ctx context.Context) error {
	if err := c.stopOne(ctx); err != nil {
		return fmt.Errorf("on SQLite: %w", err)
	}
	c.effects.forget()
	load := c.sum.load
	if err := c.stopWorkers(ctx); err != nil {
		return fmt.Errorf("on PostgreSQL: %w", err)
	}
	c.sum.load = load + c.sum.load
	return nil
}

func (e *effects) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hits = map[string]int{}
}

// stopOne stops the one server again and again.
func (c *chaos) stopOne(ctx context.Context) (err error) {
	f := &front{chaos: c}
	if err := f.open(ctx, 1, 0, false); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.shut()) }()
	db, err := sql.Open("sqlite", "file:"+c.dir+"/studio.db?_pragma=busy_timeout(10000)&_pragma=query_only(1)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p := &pressure{workflow: f.workflow, answers: map[string]int{}, slowest: map[string]time.Duration{}}
	var took stops
	for i := range c.kills {
		s := f.servers[0]
		if err := f.stopOnce(ctx, p, s, db, i, &took); err != nil {
			return err
		}
		next, err := studio.Start(ctx, studio.Options{Binary: f.binary, Dir: f.dir, Env: f.env})
		if err != nil {
			return err
		}
		next.Token, f.servers[0] = s.Token, next
		c.sum.ready = append(c.sum.ready, next.Ready)
	}
	p.servers = f.servers
	if err := f.conclude(ctx, p, db); err != nil {
		return err
	}
	f.moments = nil
	c.sum.load = "one server on SQLite:\n" + c.sum.load
	c.sum.notes += fmt.Sprintf("SQLite: SIGTERM → gone: median %s, worst %s; second SIGTERM → gone: median %s, worst %s; requests without an answer: %d, at gentle stops %d\n", middle(took.gentle), worst(took.gentle), middle(took.second), worst(took.second), took.cut, took.cutGently)
	return nil
}

// stopOnce starts executions from many sides and stops the server meanwhile.
func (f *front) stopOnce(ctx context.Context, p *pressure, s *studio.Studio, db tables, round int, took *stops) error {
	loading, enough := context.WithCancel(ctx)
	defer enough()
	var all sync.WaitGroup
	var mu sync.Mutex
	for side := range 8 {
		all.Go(func() {
			for i := 0; loading.Err() == nil; i++ {
				var x struct{ ID string }
				status, err := s.Do(context.WithoutCancel(ctx), http.MethodPost, "/api/v1/executions", map[string]any{"workflow_id": f.workflow, "trigger_data": map[string]any{"n": fmt.Sprintf("stop %d side %d execution %d", round, side, i)}}, &x)
				p.mu.Lock()
				p.answers[fmt.Sprintf("POST %d", status)]++
				switch {
				case status/100 == 2:
					p.accepted = append(p.accepted, x.ID)
				case status != 0 && status != http.StatusServiceUnavailable:
					p.wrong = append(p.wrong, fmt.Sprint(err))
					fmt.Fprintln(os.Stderr, err)
				}
				p.mu.Unlock()
				if status == 0 {
					if err != nil && !strings.Contains(err.Error(), "refused") { // the connection was there
						mu.Lock()
						took.cut++
						if round%2 == 0 {
							took.cutGently++
							fmt.Fprintln(os.Stderr, err)
						}
						mu.Unlock()
					}
					return // it is gone
				}
				rest(loading, 60*time.Millisecond)
			}
		})
	}
	defer all.Wait()
	if err := wait(ctx, f.between(800*time.Millisecond, 2*time.Second)); err != nil {
		return err
	}
	if err := f.look(ctx, db); err != nil {
		return err
	}
	f.sum.kills++
	return halt(s, round%2 == 1, took)
}

// halt stops a process, gently or by a second signal.
func halt(s *studio.Studio, twice bool, took *stops) error {
	began := time.Now()
	if err := s.Ask(); err != nil {
		return err
	}
	if !twice {
		err := s.Wait(stopWithin)
		took.gentle = append(took.gentle, time.Since(began))
		return err
	}
	<-time.After(30 * time.Millisecond) // two signals at once would be one
	began = time.Now()
	if err := s.Ask(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	err := s.Wait(secondWithin)
	took.second = append(took.second, time.Since(began))
	var code interface{ ExitCode() int }
	if errors.As(err, &code) { // ended by the signal, as it was meant
		return nil
	}
	return err
}

// stopWorkers stops one of two workers after the other.
func (c *chaos) stopWorkers(ctx context.Context) (err error) {
	pg, err := studio.NewPostgres(ctx, c.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pg.End(syscall.SIGINT)) }()
	url := "postgres://studio@" + pg.Address + "/postgres?sslmode=disable"
	f := &front{chaos: c, env: []string{"DATABASE_URL=" + url}}
	defer func() { err = errors.Join(err, f.shut()) }()
	if err := f.open(ctx, 1, 2, true); err != nil {
		return err
	}
	db, err := openTables(ctx, url+"&application_name=chaos")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	loading, enough := context.WithCancel(ctx)
	p := press(loading, f.servers, f.workflow)
	p.whole = true
	var took stops
	err = func() error {
		defer p.wait()
		defer enough()
		for i := range c.kills {
			if err := wait(ctx, f.between(800*time.Millisecond, 2*time.Second)); err != nil {
				return err
			}
			if err := f.look(ctx, db.Read()); err != nil {
				return err
			}
			c.sum.kills++
			victim := f.workers[0]
			f.workers = f.workers[1:]
			if err := halt(victim, i%2 == 1, &took); err != nil {
				return err
			}
			if err := f.hire(ctx); err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil {
		return err
	}
	before := c.sum.executions
	if err := f.conclude(ctx, p, db.Read()); err != nil {
		return err
	}
	c.sum.executions += before
	c.sum.load = "one server and two workers on PostgreSQL:\n" + c.sum.load
	c.sum.notes += fmt.Sprintf("PostgreSQL: SIGTERM → a worker is gone: median %s, worst %s; second SIGTERM → gone: median %s, worst %s\n", middle(took.gentle), worst(took.gentle), middle(took.second), worst(took.second))
	return nil
}
