//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// watched is how many executions run while the sockets listen.
const watched = 30

// dialling is how many connections are made at a time.
const dialling = 64

// dialled is a socket and the connection under it.
type dialled struct {
	*websocket.Conn
	under net.Conn
}

func (w *world) dial(ctx context.Context, token string) (d dialled, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		var err error
		d.under, err = new(net.Dialer).DialContext(ctx, network, address)
		return d.under, err
	}}}
	conn, answer, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(w.s.URL, "http")+"/api/v1/ws",
		&websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if answer != nil && answer.Body != nil {
		_ = answer.Body.Close() // empty, or the reason, which err tells too
	}
	d.Conn = conn
	return d, err
}

// each calls do n times, some at a time, and stops at the first error.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range dialling {
		all.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// listen opens sockets that listen to the workspace, runs executions, and
// measures the time from an event to its frame at each of them. Events carry
// milliseconds, so each figure is up to one too large.
func (w *world) listen(ctx context.Context, n int) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	before := w.memory()
	all, err := newEars()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	var adding sync.Mutex
	if err := each(ctx, n, func(ctx context.Context, _ int) error {
		conn, err := w.dial(ctx, w.s.Token)
		if err != nil {
			return err
		}
		defer conn.CloseNow() //nolint:errcheck // ears keep a copy of what is under it
		if err := w.subscribe(ctx, conn.Conn); err != nil {
			return err
		}
		adding.Lock()
		defer adding.Unlock()
		return all.add(conn.under)
	}); err != nil {
		return fmt.Errorf("connect %d listeners: %w", n, err)
	}
	cpu, err := w.s.CPU()
	if err != nil {
		return err
	}
	for i := range watched {
		// One after the other, as people do not start them all at once.
		heard := make(chan error, 1)
		go func() { heard <- all.hear(ctx, (i+1)*n) }()
		_, err := w.execute(ctx, i)
		if err := errors.Join(err, <-heard); err != nil {
			return fmt.Errorf("%d of %d ends arrived: %w", all.ends, (i+1)*n, err)
		}
	}
	report(fmt.Sprintf("listeners: %d sockets, %d executions, %d frames, none missing; event → frame p50 %s, p95 %s, worst %s",
		n, watched, len(all.times), at(all.times, 50), at(all.times, 95), at(all.times, 100)),
		fmt.Sprintf("       the server's CPU: %s per 1000 frames; resident %s, %s before", (w.used(cpu)*1000/time.Duration(max(len(all.times), 1))).Round(time.Microsecond), w.memory(), before))
	return nil
}

// subscribe listens to the workspace and waits until the server says so.
func (w *world) subscribe(ctx context.Context, c *websocket.Conn) error {
	if err := c.Write(ctx, websocket.MessageText, []byte(`{"type":"subscribe","room_id":"workspace:`+w.workspace+`"}`)); err != nil {
		return err
	}
	for {
		_, text, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if strings.Contains(string(text), `"workspace:`+w.workspace+`"`) && strings.Contains(string(text), `subscri`) {
			return nil
		}
	}
}

// idle signs people in, opens a socket for each, and looks what the server
// weighs, and whether it still answers.
func (w *world) idle(ctx context.Context, n int) error {
	before, token := w.memory(), w.s.Token
	tokens := make([]string, n)
	began := time.Now()
	for i := range n {
		if err := w.s.SignIn(ctx, fmt.Sprintf("idle%d@example.org", i%1000)); err != nil {
			return fmt.Errorf("sign in number %d: %w", i, err)
		}
		tokens[i] = w.s.Token
	}
	signed := time.Since(began)
	w.s.Token = token
	conns := make([]dialled, n)
	reading, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	var lost atomic.Int64
	if err := each(ctx, n, func(ctx context.Context, i int) (err error) {
		if conns[i], err = w.dial(ctx, tokens[i]); err != nil {
			return err
		}
		all.Go(func() { // answers the server's pings
			for {
				if _, _, err := conns[i].Read(reading); err != nil {
					if reading.Err() == nil {
						lost.Add(1)
					}
					return
				}
			}
		})
		return nil
	}); err != nil {
		return fmt.Errorf("open %d sockets: %w", n, err)
	}
	cpu, err := w.s.CPU()
	if err != nil {
		return err
	}
	const rest = 60 * time.Second // two rounds of pings
	if err := sleep(ctx, rest); err != nil {
		return err
	}
	spent := w.used(cpu)
	began = time.Now()
	_, err = w.execute(ctx, 0)
	answered := time.Since(began)
	report(fmt.Sprintf("sessions: %d signed in (%s), a socket each; %d sockets lost within %s; the server's CPU meanwhile %s; resident %s, %s before; an execution beside them took %s",
		n, signed.Round(time.Second), lost.Load(), rest, spent.Round(time.Millisecond), w.memory(), before, answered.Round(time.Millisecond)))
	if lost.Load() > 0 {
		err = errors.Join(err, fmt.Errorf("%d idle sockets were closed", lost.Load()))
	}
	return err
}

func sleep(ctx context.Context, long time.Duration) error {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
