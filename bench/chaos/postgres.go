package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"agentstudio/bench/studio"
)

// postgresFault stops the database at once, stops it gently, and cuts its
// connections, again and again, under one server and two workers.
func (c *chaos) postgresFault(ctx context.Context) (err error) {
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
	err = func() error {
		defer p.wait()
		defer enough()
		for i := range c.kills {
			if err := wait(ctx, f.between(time.Second, 3*time.Second)); err != nil {
				return err
			}
			if err := f.look(ctx, db.Read()); err != nil {
				return err
			}
			c.sum.kills++
			if i%3 == 2 {
				if _, err := db.Read().ExecContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'agentstudio%'`); err != nil {
					return fmt.Errorf("cut the connections: %w", err)
				}
				continue
			}
			sig := syscall.SIGQUIT // -m immediate
			if i%3 == 1 {
				sig = syscall.SIGINT // -m fast
			}
			p.set(changing)
			if err := pg.End(sig); err != nil {
				return err
			}
			p.set(broken)
			if err := wait(ctx, f.between(200*time.Millisecond, 4*time.Second)); err != nil {
				return err
			}
			p.set(changing)
			if err := pg.Start(ctx); err != nil {
				return err
			}
			if err := recovered(ctx, db.Read()); err != nil {
				return err
			}
			p.set(whole)
			if err := f.look(ctx, db.Read()); err != nil {
				return err
			}
		}
		return wait(ctx, 2*time.Second)
	}()
	if err != nil {
		return err
	}
	return f.conclude(ctx, p, db.Read())
}

// recovered waits until the database has read its log and answers.
func recovered(ctx context.Context, db tables) error {
	for {
		_, err := count(ctx, db, `SELECT 1`)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		rest(ctx, 5*time.Millisecond)
	}
}
