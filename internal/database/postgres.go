package database

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"strconv"
	"time"

	"agentstudio/internal/fault"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/stdlib"
)

func (c *Client) openPostgres(address string, write bool) (*connection, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil { // its text may repeat the password
		return nil, fault.New(fault.Invalid, "the address of the database cannot be read: write postgres://user:password@host:5432/name")
	}
	cfg.DialFunc = c.dial
	// The dialer looks names up itself: what it has checked is what it dials.
	cfg.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	cfg.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(maxRead)
		return f
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec // one statement; its parameters stay apart from it
	if !write {
		cfg.RuntimeParams["default_transaction_read_only"] = "on"
	}
	cfg.RuntimeParams["application_name"] = "agentstudio query"
	return &connection{db: stdlib.OpenDB(*cfg), prepare: func(ctx context.Context, conn *sql.Conn, timeout time.Duration) error {
		_, err := conn.ExecContext(ctx, `SELECT set_config('statement_timeout', $1, false)`, strconv.FormatInt(timeout.Milliseconds(), 10))
		return err
	}}, nil
}

// said is what a database says of a statement.
func said(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Message
	}
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		return my.Message
	}
	return reason(err)
}
