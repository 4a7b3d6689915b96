package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func insertKey(ctx context.Context, db *store.DB, key string, size int) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO idempotency_keys (actor, key, request_hash, body, expires_at) VALUES ('a', $1, '', $2, 1)`, key, strings.Repeat("x", size))
		return err
	})
}

func TestAFullDiskIsSaidInASentenceAndReadinessKnowsIt(t *testing.T) {
	db, ctx := storetest.SQLite(t), t.Context()
	bound := func(pages int) {
		t.Helper()
		if err := db.Write(ctx, func(tx *sql.Tx) error {
			var now int
			if err := tx.QueryRowContext(ctx, `PRAGMA page_count`).Scan(&now); err != nil {
				return err
			}
			var most int
			return tx.QueryRowContext(ctx, fmt.Sprintf(`PRAGMA max_page_count = %d`, now+pages)).Scan(&most)
		}); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 3 {
		key := fmt.Sprint(round)
		bound(4)
		err := insertKey(ctx, db, key, 100_000)
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Message(err), "disk") {
			t.Fatalf("error = %v", err)
		}
		for range 2 {
			if err := db.Ping(ctx); !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Message(err), "disk") {
				t.Errorf("readiness while the disk is full: %v", err)
			}
		}
		var n int
		if err := db.Read().QueryRowContext(ctx, `SELECT count(*) FROM idempotency_keys WHERE actor = 'a'`).Scan(&n); err != nil || n != round {
			t.Errorf("read %d, %v", n, err)
		}
		bound(1_000)
		if err := db.Ping(ctx); err != nil {
			t.Errorf("readiness when there is room again: %v", err)
		}
		if err := insertKey(ctx, db, key, 100_000); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
	}
}

func TestADatabaseThatMayOnlyBeReadIsUnavailableUntilItMayBeWritten(t *testing.T) {
	db, ctx := storetest.Postgres(t), t.Context()
	err := db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `SET TRANSACTION READ ONLY`); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM idempotency_keys`)
		return err
	})
	if !fault.Is(err, fault.Unavailable) {
		t.Fatalf("error = %v", err)
	}
	if err := db.Ping(ctx); err != nil {
		t.Errorf("it may be written again: %v", err)
	}
}

// cutter passes a connection to PostgreSQL on, and cuts it once when a client
// has sent the text: before the server hears of it, or instead of its answer.
type cutter struct {
	target *pgx.ConnConfig

	mu     sync.Mutex
	text   string
	answer bool // the server is to hear of it
	done   bool
}

// cut makes the next connection that sends the text end.
func (c *cutter) cut(text string, answer bool) {
	c.mu.Lock()
	c.text, c.answer, c.done = text, answer, false
	c.mu.Unlock()
}

// due reports whether this is where to cut.
func (c *cutter) due(sent []byte) (now, answer bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text == "" || c.done || !bytes.Contains(bytes.ToLower(sent), []byte(c.text)) {
		return false, false
	}
	c.done = true
	return true, c.answer
}

func (c *cutter) serve(client net.Conn) {
	defer func() { _ = client.Close() }() // which is the point of it
	network, address := pgconn.NetworkAddress(c.target.Host, c.target.Port)
	server, err := net.Dial(network, address)
	if err != nil {
		return
	}
	var mute sync.Mutex // held while nothing may go back
	var back sync.WaitGroup
	defer back.Wait()
	defer func() { _ = server.Close() }() // ends the way back
	back.Go(func() {
		defer func() { _ = client.Close() }() // as the server did
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			mute.Lock()
			_, err = client.Write(buf[:n])
			mute.Unlock()
			if err != nil {
				return
			}
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		now, answer := c.due(buf[:n])
		if now {
			mute.Lock() // for good: the answer is never passed on
			if answer {
				if _, err := server.Write(buf[:n]); err == nil {
					c.committed()
				}
			}
			_ = client.Close() // as a server that is gone: the end of the stream
			mute.Unlock()
			return
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// committed waits until the server has no transaction open but the one that asks.
func (c *cutter) committed() {
	conn, err := pgx.ConnectConfig(context.Background(), c.target)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for open := 1; open > 0 && err == nil; {
		err = conn.QueryRow(context.Background(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL`).Scan(&open)
	}
}

// behind opens the database behind a cutter.
func behind(t *testing.T) (*store.DB, *cutter) {
	t.Helper()
	target, err := pgx.ParseConfig(storetest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{target: target}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { c.serve(client) })
		}
	})
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", target.User, target.Password, n, target.Database)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
	})
	return storetest.Open(t, store.Config{URL: url}), c
}

func TestAConnectionThatEndsInTheMiddleIsUnavailable(t *testing.T) {
	db, c := behind(t)
	c.cut("from workers", false)
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `DELETE FROM workers`)
		return err
	})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("error = %v, want unavailable", err)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("the next connection: %v", err)
	}
}

func TestAnExecutionWhoseCommitWasNotAnsweredIsAcceptedOnce(t *testing.T) {
	db, c := behind(t)
	s := store.NewExecutions(db, nil, time.Now)
	running, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	x := pending(nil)
	c.cut("commit", true)
	id, created, err := s.Create(t.Context(), x)
	if err != nil || !created || id != x.ID {
		t.Fatalf("created %s %v: %v", id, created, err)
	}
	var n int
	if err := db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM executions`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d executions, %v", n, err)
	}
}
