package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"agentstudio/bench/studio"

	"github.com/coder/websocket"
)

// Clients of ill will, and how long a connection may take in all.
const (
	illClients   = 200 // of each kind
	headerWithin = 15 * time.Second
	bodyWithin   = 70 * time.Second
	deafWithin   = 80 * time.Second
)

// clientsFault serves the load while clients send headers and bodies a byte at
// a time, and others never read what their sockets get.
func (c *chaos) clientsFault(ctx context.Context) (err error) {
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
	s := f.servers[0]
	loading, enough := context.WithCancel(ctx)
	p := press(loading, f.servers, f.workflow)
	p.whole = true
	err = func() error {
		defer p.wait()
		defer enough()
		if err := wait(ctx, 2*time.Second); err != nil {
			return err
		}
		return f.illWill(ctx, s)
	}()
	if err != nil {
		return err
	}
	return f.conclude(ctx, p, db)
}

func (f *front) illWill(ctx context.Context, s *studio.Studio) error {
	files, memory, err := weigh(s)
	if err != nil {
		return err
	}
	began := time.Now()
	header := "GET /healthz HTTP/1.1\r\nHost: studio\r\nX-Slow: "
	body := "POST /api/v1/workflows HTTP/1.1\r\nHost: studio\r\nContent-Type: application/json\r\nAuthorization: Bearer " + s.Token + "\r\nContent-Length: 10000\r\n\r\n"
	var all sync.WaitGroup
	var headers, bodies trickled
	for range illClients {
		all.Go(func() { headers.add(trickle(ctx, s, header, 500*time.Millisecond, headerWithin)) })
		all.Go(func() { bodies.add(trickle(ctx, s, body, 500*time.Millisecond, bodyWithin)) })
	}
	deaf := make([]*websocket.Conn, illClients)
	for i := range deaf {
		conn, answer, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http")+"/api/v1/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + s.Token}}})
		if answer != nil && answer.Body != nil {
			_ = answer.Body.Close() // err tells what is in it
		}
		if err != nil {
			return err
		}
		deaf[i] = conn
		defer func() { _ = conn.CloseNow() }() // dropped by then
	}
	f.sum.kills += 3 * illClients
	at, most, err := weigh(s)
	if err != nil {
		return err
	}
	f.sum.notes += fmt.Sprintf("%d clients of each kind: %d files open in the server, %d before\n", illClients, at, files)
	all.Wait()
	for time.Since(began) < deafWithin && at > files+40 { // the load opens and closes a few
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
		var now int64
		if at, now, err = weigh(s); err != nil {
			return err
		}
		most = max(most, now)
	}
	f.sum.notes += fmt.Sprintf("headers by the byte: %s\nbodies by the byte: %s\nsockets that nobody reads: %d files open after %s\nresident memory: %d MiB before, %d MiB at most\n",
		headers.String(), bodies.String(), at, time.Since(began).Round(time.Second), memory>>20, most>>20)
	if headers.open+bodies.open > 0 || at > files+40 {
		f.sum.wrong++
	}
	return nil
}

// weigh counts the open files of the server and its memory.
func weigh(s *studio.Studio) (files int, memory int64, err error) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.PID()))
	if err != nil {
		return 0, 0, err
	}
	memory, err = s.Memory()
	return len(list), memory, err
}

// trickled are connections that sent a byte at a time.
type trickled struct {
	mu    sync.Mutex
	times []time.Duration
	open  int // not ended by the server in time
}

func (t *trickled) add(took time.Duration, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times = append(t.times, took)
	if !ended {
		t.open++
	}
}

func (t *trickled) String() string {
	return fmt.Sprintf("ended by the server after %s, at most %s; %d not", middle(t.times), worst(t.times), t.open)
}

// trickle sends the beginning, then a byte at a time, until the server ends the
// connection.
func trickle(ctx context.Context, s *studio.Studio, beginning string, every, within time.Duration) (took time.Duration, ended bool) {
	began := time.Now()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		return time.Since(began), true
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = conn.Read(make([]byte, 1)) // an answer or the end: both are what is waited for
	}()
	defer func() {
		_ = conn.Close() // nothing is to be saved
		<-gone
	}()
	if _, err := conn.Write([]byte(beginning)); err != nil {
		return time.Since(began), true
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for time.Since(began) < within && ctx.Err() == nil {
		select {
		case <-gone:
			return time.Since(began), true
		case <-tick.C:
		}
		if _, err := conn.Write([]byte(" ")); err != nil {
			return time.Since(began), true
		}
	}
	return time.Since(began), false
}
