// Package database asks databases that are not the studio's: PostgreSQL, MySQL
// and MariaDB, and SQLite files. A query is one statement with parameters,
// bounded in time, rows and bytes, in a transaction that the database itself
// keeps from writing, unless it is to write.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"agentstudio/internal/fault"
)

// Dialer connects to what may be reached. Faults of it are passed on.
type Dialer interface {
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// Query is one question.
type Query struct {
	// URL says where: postgres://…, mysql://…, or sqlite:///file. It is never
	// repeated in a fault.
	URL     string
	SQL     string
	Params  []any         // for $1, $2 (PostgreSQL) or ? (the others)
	MaxRows int           // 100
	Timeout time.Duration // 30 s
	// Write makes it a change: one statement in a transaction of its own, which
	// is kept whole or not at all.
	Write bool
}

// Answer is what came of it.
type Answer struct {
	Columns   []string         `json:"columns"`
	Rows      []map[string]any `json:"rows"`
	Truncated bool             `json:"truncated"` // there was more
	// Affected is how many rows a change has touched, where the database says so.
	Affected *int64 `json:"affected,omitempty"`
}

// Bounds of an answer.
const (
	MaxRows  = 10_000
	maxBytes = 4 << 20  // of the rows
	maxRead  = 16 << 20 // of what the server sends
	MaxTime  = 5 * time.Minute
)

// Client asks. It is safe for concurrent use.
type Client struct {
	dialer Dialer
	places chan struct{}
}

// maxAtOnce bounds the queries of a process.
const maxAtOnce = 16

// New returns a client that connects through the dialer.
func New(dialer Dialer) *Client {
	return &Client{dialer: dialer, places: make(chan struct{}, maxAtOnce)}
}

// connection is an open database whose transactions cannot write, unless they
// are to.
type connection struct {
	db *sql.DB
	// prepare is run on the connection before its transaction; may be nil.
	prepare func(ctx context.Context, c *sql.Conn, timeout time.Duration) error
}

// Query reads, or changes something. Invalid: the address, the statement or its
// parameters are wrong, or it would write without leave; Upstream: the database
// is not reached; Timeout. A change that failed was not made; Conflict, code
// "unknown_outcome": the connection broke while it was kept, and nobody knows.
func (c *Client) Query(ctx context.Context, q Query) (*Answer, error) {
	if q.MaxRows <= 0 {
		q.MaxRows = 100
	}
	q.MaxRows = min(q.MaxRows, MaxRows)
	if q.Timeout <= 0 {
		q.Timeout = 30 * time.Second
	}
	q.Timeout = min(q.Timeout, MaxTime)
	late := fault.New(fault.Timeout, "the database took longer than %s", q.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, q.Timeout, late)
	defer cancel()
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	answer, err := c.query(ctx, q)
	switch {
	case err == nil:
		return answer, nil
	case isUnknown(err):
		return nil, err
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, explain(err)
}

func (c *Client) query(ctx context.Context, q Query) (*Answer, error) {
	at, err := c.open(q)
	if err != nil {
		return nil, err
	}
	defer at.db.Close()
	at.db.SetMaxOpenConns(1)
	conn, err := at.db.Conn(ctx)
	if err != nil {
		return nil, unreached(err)
	}
	defer func() { _ = conn.Close() }() // what was changed is kept already
	if at.prepare != nil {
		if err := at.prepare(ctx, conn, q.Timeout); err != nil {
			return nil, unreached(err)
		}
	}
	if q.Write {
		return change(ctx, conn, q)
	}
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, unreached(err)
	}
	defer func() { _ = tx.Rollback() }() // there is nothing to keep
	rows, err := tx.QueryContext(ctx, q.SQL, numbers(q.Params)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return read(rows, q.MaxRows)
}

// open knows the kinds of databases by the beginning of an address.
func (c *Client) open(q Query) (*connection, error) {
	u, err := url.Parse(q.URL)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the address of the database cannot be read: write postgres://user:password@host/name, mysql://… or sqlite:///file")
	}
	switch u.Scheme {
	case "postgres", "postgresql":
		return c.openPostgres(q.URL, q.Write)
	case "mysql", "mariadb":
		return c.openMySQL(u, q.Write)
	case "sqlite":
		return openSQLite(u, q.Write)
	}
	return nil, fault.New(fault.Invalid, "the address of a database begins with postgres://, mysql:// or sqlite://")
}

// dial connects, and bounds what the other side may send.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.dialer.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &bounded{Conn: conn}, nil
}

// bounded is a connection that gives no more than maxRead bytes.
type bounded struct {
	net.Conn
	read atomic.Int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if b.read.Add(int64(n)) > maxRead {
		return n, fault.New(fault.TooLarge, "the database sent more than %d MiB: ask for less", maxRead>>20)
	}
	return n, err
}

func unreached(err error) error {
	if f := fault.As(err); f != nil {
		return f
	}
	return fault.Wrap(fault.Upstream, err, "the database is not reached: %s", reason(err)).WithCode("connection")
}

// reason is the innermost cause, which holds no address with a password.
func reason(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// explain passes on what the database says of a statement.
func explain(err error) error {
	if f := fault.As(err); f != nil {
		return f
	}
	return fault.Wrap(fault.Invalid, err, "the database refuses the statement: %s", said(err)).WithCode("statement_refused")
}

// numbers writes whole numbers as such: JSON has one kind only.
func numbers(params []any) []any {
	out := make([]any, len(params))
	for i, p := range params {
		if n, ok := p.(float64); ok && n == float64(int64(n)) && n > -1<<53 && n < 1<<53 {
			p = int64(n)
		}
		out[i] = p
	}
	return out
}

// CheckParams says which parameters are no single values.
func CheckParams(params []any) error {
	var faults []fault.Detail
	for i, p := range params {
		switch p.(type) {
		case nil, string, bool, float64, int64, int:
		default:
			faults = append(faults, fault.Detail{Location: fmt.Sprintf("params[%d]", i), Code: "not_single", Message: "a parameter is a text, a number, true, false or null"})
		}
	}
	if faults != nil {
		return fault.InvalidInput(faults...)
	}
	return nil
}
