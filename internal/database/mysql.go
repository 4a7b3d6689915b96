package database

import (
	"context"
	"database/sql"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"agentstudio/internal/fault"

	"github.com/go-sql-driver/mysql"
)

func (c *Client) openMySQL(u *url.URL, write bool) (*connection, error) {
	cfg := mysql.NewConfig()
	port := u.Port()
	if port == "" {
		port = "3306"
	}
	cfg.User, cfg.DBName = u.User.Username(), strings.TrimPrefix(u.Path, "/")
	cfg.Passwd, _ = u.User.Password()
	cfg.Net, cfg.Addr, cfg.DialFunc = "tcp", net.JoinHostPort(u.Hostname(), port), c.dial
	cfg.ParseTime, cfg.Loc = true, time.UTC
	for name, values := range u.Query() {
		if name != "tls" || len(values) != 1 || values[0] != "true" && values[0] != "preferred" && values[0] != "false" {
			return nil, fault.New(fault.Invalid, "the address of a MySQL database may say tls=true, preferred or false, and nothing else")
		}
		cfg.TLSConfig = values[0]
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil { // its text may repeat the password
		return nil, fault.New(fault.Invalid, "the address of the database cannot be used: write mysql://user:password@host:3306/name")
	}
	return &connection{db: sql.OpenDB(connector), prepare: func(ctx context.Context, conn *sql.Conn, timeout time.Duration) error {
		// For the transactions too that a statement may begin by ending this one.
		if !write {
			if _, err := conn.ExecContext(ctx, `SET SESSION TRANSACTION READ ONLY`); err != nil {
				return err
			}
		}
		// The one is MariaDB's, the other MySQL's. What the server does not know
		// ends with the connection.
		if _, err := conn.ExecContext(ctx, `SET SESSION max_statement_time = `+strconv.FormatFloat(timeout.Seconds(), 'f', 3, 64)); err != nil {
			_, err = conn.ExecContext(ctx, `SET SESSION max_execution_time = `+strconv.FormatInt(timeout.Milliseconds(), 10))
			return err
		}
		return nil
	}}, nil
}
