package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"agentstudio/bench/studio"
	"agentstudio/internal/store"
)

// The pace of a cluster's chaos.
const (
	frozenFor = 14 * time.Second       // longer than a lease
	thawedFor = 3 * time.Second        // to notice that the lease is lost
	takeover  = time.Minute            // when a take-over is given up
	comeEvery = 250 * time.Millisecond // executions are started, at most comeMost at a time
	comeMost  = 10
)

// cluster is one server that only serves, and workers that are killed.
type cluster struct {
	*chaos
	db     *store.DB
	server *studio.Studio
	env    []string

	mu      sync.Mutex
	workers []*studio.Studio
	ids     []string
	moments []*seen
	errs    []error
	parts   sync.WaitGroup
}

// cluster kills one worker after the other while all the others work, and
// judges at the end what each kill had found finished.
func (c *chaos) cluster(ctx context.Context) (err error) {
	db, err := store.Open(ctx, store.Config{URL: c.database})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	k := &cluster{chaos: c, db: db, env: []string{"DATABASE_URL=" + c.database}}
	if c.model != "" {
		k.env = append(k.env, "OPENAI_BASE_URL="+c.model+"/openai/v1", "OPENAI_API_KEY=none")
	}
	if k.server, err = studio.Start(ctx, studio.Options{Binary: c.binary, Dir: c.dir, Env: append(k.env, "STUDIO_ENGINE=off")}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.server.Stop()) }()
	if err := errors.Join(k.server.SignIn(ctx, "chaos@example.org"), k.server.UseKey(ctx)); err != nil {
		return err
	}
	workflow, err := k.server.Create(ctx, c.workflow())
	if err != nil {
		return err
	}
	for range c.workers {
		if err := k.hire(ctx); err != nil {
			return err
		}
	}
	defer k.dismiss()
	if err := k.storm(ctx, workflow); err != nil {
		return err
	}
	k.parts.Wait()
	if err := errors.Join(k.errs...); err != nil {
		return err
	}
	if err := c.await(ctx, k.server, k.ids); err != nil {
		return err
	}
	for _, m := range k.moments {
		if err := c.judge(ctx, m); err != nil {
			return err
		}
	}
	for _, n := range c.effects.copy() {
		if n > 1 {
			c.sum.inFlight++
		}
	}
	return nil
}

func (k *cluster) hire(ctx context.Context) error {
	w, err := studio.StartWorker(ctx, studio.Options{Binary: k.binary, Dir: k.dir, Env: k.env})
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sum.ready = append(k.sum.ready, w.Ready)
	k.workers = append(k.workers, w)
	return nil
}

func (k *cluster) dismiss() {
	for _, w := range k.workers {
		_ = w.Stop() // it has done what it was there for
	}
}

// storm has workers die while executions keep coming.
func (k *cluster) storm(ctx context.Context, workflow string) error {
	coming, enough := context.WithCancel(ctx)
	var source sync.WaitGroup
	source.Go(func() { k.keepComing(coming, workflow) })
	defer source.Wait()
	defer enough()
	freezes := k.freezes
	for i := range k.kills + k.freezes {
		timer := time.NewTimer(k.every/8 + time.Duration(k.chaos.moments.Int64N(int64(k.every))))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		freeze := freezes > 0 && i%((k.kills+k.freezes)/k.freezes) == 0
		if freeze {
			freezes--
		}
		if err := k.strike(ctx, freeze); err != nil {
			return err
		}
	}
	return nil
}

// keepComing starts executions whenever fewer than so many are under way.
func (k *cluster) keepComing(ctx context.Context, workflow string) {
	tick := time.NewTicker(comeEvery)
	defer tick.Stop()
	for round := 0; ctx.Err() == nil; round++ {
		if err := k.load(context.WithoutCancel(ctx), workflow, round); err != nil {
			k.mu.Lock()
			k.errs = append(k.errs, err)
			k.mu.Unlock()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// load starts executions until so many are under way.
func (k *cluster) load(ctx context.Context, workflow string, round int) error {
	var open int
	if err := k.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM executions WHERE status IN ('pending', 'running', 'waiting')`).Scan(&open); err != nil {
		return err
	}
	missing := min(max(0, k.executions-open), comeMost)
	errs := make([]error, missing)
	var all sync.WaitGroup
	for i := range missing {
		all.Go(func() {
			var x struct{ ID string }
			errs[i] = k.server.Call(ctx, http.MethodPost, "/api/v1/executions", map[string]any{"workflow_id": workflow,
				"trigger_data": map[string]any{"n": fmt.Sprintf("round %d execution %d", round, i)}}, &x)
			if errs[i] == nil {
				k.mu.Lock()
				defer k.mu.Unlock()
				k.ids = append(k.ids, x.ID)
				k.sum.executions++
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// strike kills, or freezes past its lease, a worker that is not frozen.
func (k *cluster) strike(ctx context.Context, freeze bool) error {
	k.mu.Lock()
	at := k.chaos.moments.IntN(len(k.workers))
	victim := k.workers[at]
	k.workers = append(k.workers[:at:at], k.workers[at+1:]...)
	k.mu.Unlock()
	var id string
	if err := k.db.Read().QueryRowContext(ctx, `SELECT id FROM workers WHERE name LIKE $1`, fmt.Sprintf("%%/%d", victim.PID())).Scan(&id); err != nil {
		return fmt.Errorf("find the worker: %w", err)
	}
	k.sum.kills++
	if freeze {
		if err := victim.Freeze(); err != nil {
			return err
		}
		k.parts.Go(func() { k.thaw(ctx, victim) })
	} else if err := victim.Kill(); err != nil {
		return err
	}
	began := time.Now()
	moment, err := k.look(ctx)
	if err != nil {
		return err
	}
	held, err := k.heldBy(ctx, id)
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.moments = append(k.moments, moment)
	k.sum.held += len(held)
	k.mu.Unlock()
	if len(held) > 0 {
		k.parts.Go(func() { k.track(ctx, id, held, began) })
	}
	return k.hire(ctx)
}

// thaw lets a frozen worker go on after its lease, gives it time to notice,
// and sends it home: another has its place.
func (k *cluster) thaw(ctx context.Context, w *studio.Studio) {
	rest(ctx, frozenFor)
	err := w.Thaw()
	rest(ctx, thawedFor)
	noticed := strings.Contains(w.Log(), "lease lost")
	err = errors.Join(err, w.Stop())
	k.mu.Lock()
	defer k.mu.Unlock()
	k.errs = append(k.errs, err)
	if noticed {
		k.sum.dropped++
	}
}

func rest(ctx context.Context, long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (k *cluster) heldBy(ctx context.Context, worker string) (ids []string, err error) {
	rows, err := k.db.Read().QueryContext(ctx, `SELECT id FROM executions WHERE worker = $1 AND status IN ('pending', 'running', 'waiting', 'paused')`, worker)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// track waits until what a dead worker held runs elsewhere or is over.
func (k *cluster) track(ctx context.Context, worker string, held []string, began time.Time) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for time.Since(began) < takeover && ctx.Err() == nil {
		<-tick.C
		var left int
		err := k.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM executions WHERE id = ANY($1) AND worker IN ('', $2) AND status IN ('pending', 'running', 'waiting', 'paused')`, held, worker).Scan(&left)
		if err != nil || left > 0 {
			continue
		}
		k.mu.Lock()
		k.sum.taken = append(k.sum.taken, time.Since(began))
		k.mu.Unlock()
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.errs = append(k.errs, fmt.Errorf("what worker %s held was not taken over within %s", worker, takeover))
	fmt.Fprintln(os.Stderr, k.errs[len(k.errs)-1])
}

// recent narrows a look to what may still run again: an execution that was
// over a minute ago has been judged often enough.
const recent = ` AND (e.completed_at = 0 OR e.completed_at > (extract(epoch FROM clock_timestamp()) * 1000)::bigint - 60000)`

// look reads which nodes are finished, then what the world has seen of them.
// Between the two a node may not be called: it was finished before.
func (k *cluster) look(ctx context.Context) (*seen, error) {
	out := &seen{nodes: map[string]bool{}, hits: map[string]int{}, turns: map[string]bool{}}
	return out, k.finishedIn(ctx, k.db.Read(), recent, out)
}

func (c *chaos) finishedIn(ctx context.Context, db tables, narrow string, out *seen) error {
	rows, err := db.QueryContext(ctx, `SELECT n.execution_id, n.node_id, n.iteration FROM node_executions n JOIN executions e ON e.id = n.execution_id
		WHERE n.status = 'completed' AND n.kind = 'http-request'`+narrow)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var execution, node, iteration string
		if err := rows.Scan(&execution, &node, &iteration); err != nil {
			return err
		}
		out.nodes[execution+"/"+node+"/"+iteration] = true
	}
	if err := rows.Err(); err != nil {
		return err
	}
	c.sum.finished += len(out.nodes)
	for key, n := range c.effects.copy() {
		if out.nodes[key] {
			out.hits[key] = n
		}
	}
	before := c.sum.steps
	if err := c.lookAtTurns(ctx, db, narrow, out); err != nil {
		return err
	}
	c.sum.steps += before
	out.asked, err = c.journal(ctx)
	return err
}
