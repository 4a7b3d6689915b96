package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"agentstudio/bench/studio"

	"github.com/coder/websocket"
)

// anonymous is how many requests somebody who is not signed in may make in a
// minute while Redis is taken away.
const anonymous = 30

// followed are executions that a socket at one server follows, started at the
// other and run by the worker.
type followed struct {
	mu     sync.Mutex
	calm   []time.Duration // from the event to its frame
	gone   []time.Duration // the same, while Redis was not there
	missed int
}

// redisFault kills Redis and starts it again, under two servers and a worker.
func (c *chaos) redisFault(ctx context.Context) (err error) {
	pg, err := studio.NewPostgres(ctx, c.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pg.End(syscall.SIGINT)) }()
	redis, err := studio.NewRedis(ctx, c.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, redis.End(syscall.SIGKILL)) }()
	url := "postgres://studio@" + pg.Address + "/postgres?sslmode=disable"
	f := &front{chaos: c, env: []string{"DATABASE_URL=" + url, "REDIS_URL=redis://" + redis.Address + "/0", "STUDIO_LIMIT_API=1000000/1m", fmt.Sprintf("STUDIO_LIMIT_ANONYMOUS=%d/1m", anonymous)}}
	defer func() { err = errors.Join(err, f.shut()) }()
	if err := f.open(ctx, 2, 1, true); err != nil {
		return err
	}
	db, err := openTables(ctx, url+"&application_name=chaos")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	loading, enough := context.WithCancel(ctx)
	p := press(loading, f.servers, f.workflow)
	p.whole = true // nothing may be refused
	var seen followed
	for i := range 2 {
		p.all.Go(func() { p.follows(loading, &seen, i) })
	}
	err = func() error {
		defer p.wait()
		defer enough()
		for i := range c.kills {
			if err := wait(ctx, f.between(2*time.Second, 4*time.Second)); err != nil {
				return err
			}
			if err := f.look(ctx, db.Read()); err != nil {
				return err
			}
			c.sum.kills++
			if err := redis.End(syscall.SIGKILL); err != nil {
				return err
			}
			p.gone.Store(true)
			if i == 0 {
				if err := f.limited(ctx); err != nil {
					return err
				}
			}
			if err := wait(ctx, f.between(2*time.Second, 6*time.Second)); err != nil {
				return err
			}
			p.gone.Store(false)
			if err := redis.Start(ctx); err != nil {
				return err
			}
		}
		return wait(ctx, 4*time.Second)
	}()
	if err != nil {
		return err
	}
	if err := f.conclude(ctx, p, db.Read()); err != nil {
		return err
	}
	f.sum.wrong += seen.missed
	f.sum.notes += fmt.Sprintf("followed over a socket at the other server: %d to the end with Redis, %d without, %d not to the end\n", len(seen.calm), len(seen.gone), seen.missed) +
		fmt.Sprintf("event → frame: with Redis median %s, worst %s; without median %s, worst %s\n", middle(seen.calm), worst(seen.calm), middle(seen.gone), worst(seen.gone))
	for i, s := range append(f.servers, f.workers...) {
		gone, back := len(s.Said("Redis is gone")), len(s.Said("Redis is back"))
		f.sum.notes += fmt.Sprintf("process %d: %d warnings that Redis is gone, %d times back; limits counted alone: %d, shared again: %d\n",
			i, gone, back, len(s.Said("Redis does not answer")), len(s.Said("Redis answers again")))
		if gone != c.kills || back != c.kills {
			f.sum.wrong++
		}
	}
	return nil
}

// limited asks without signing in, more often than is allowed.
func (f *front) limited(ctx context.Context) error {
	allowed, refused := 0, 0
	for range 2 * anonymous {
		status, err := f.servers[0].Do(ctx, http.MethodPost, "/api/v1/auth/refresh", map[string]any{"refresh_token": "none"}, nil)
		switch status {
		case http.StatusTooManyRequests:
			refused++
		case http.StatusUnauthorized:
			allowed++
		default:
			return fmt.Errorf("without a session: %w", err)
		}
	}
	f.sum.notes += fmt.Sprintf("without Redis, of %d requests where %d a minute are allowed: %d allowed, %d refused\n", 2*anonymous, anonymous, allowed, refused)
	if allowed > anonymous+2 || refused == 0 {
		f.sum.wrong++
	}
	return nil
}

// follows starts executions at the first server, one after the other, and
// follows each at the last.
func (p *pressure) follows(ctx context.Context, seen *followed, which int) {
	for i := 0; ctx.Err() == nil; i++ {
		took, without, err := p.followOne(context.WithoutCancel(ctx), fmt.Sprintf("followed %d %d", which, i))
		seen.mu.Lock()
		switch {
		case err != nil:
			seen.missed++
			fmt.Fprintln(os.Stderr, "follow:", err)
		case without:
			seen.gone = append(seen.gone, took)
		default:
			seen.calm = append(seen.calm, took)
		}
		seen.mu.Unlock()
		rest(ctx, 50*time.Millisecond)
	}
}

// followOne returns how long the last frame was on its way, and whether Redis
// was gone from the start to the end.
func (p *pressure) followOne(ctx context.Context, name string) (took time.Duration, without bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	without = p.gone.Load()
	var x struct{ ID string }
	if _, err := p.call(ctx, p.servers[0], http.MethodPost, "/api/v1/executions", map[string]any{"workflow_id": p.workflow, "trigger_data": map[string]any{"n": name}}, &x); err != nil {
		return 0, false, err
	}
	p.mu.Lock()
	p.accepted = append(p.accepted, x.ID)
	p.mu.Unlock()
	s := p.servers[len(p.servers)-1]
	conn, answer, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http")+"/api/v1/ws/executions/"+x.ID, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + s.Token}}})
	if answer != nil && answer.Body != nil {
		_ = answer.Body.Close() // err tells what is in it
	}
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = conn.CloseNow() }() // all that counts has been read
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return 0, false, fmt.Errorf("%s, execution %s: %w", name, x.ID, err)
		}
		var frame struct {
			Type      string
			Timestamp time.Time
			Data      struct{ Status string }
		}
		if json.Unmarshal(text, &frame) == nil && frame.Type == "execution_update" && frame.Data.Status == "completed" {
			return time.Since(frame.Timestamp), without && p.gone.Load(), nil
		}
	}
}
