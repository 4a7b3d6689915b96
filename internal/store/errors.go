package store

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"agentstudio/internal/fault"
)

func unavailable(cause error) error {
	return fault.Wrap(fault.Unavailable, cause, "the database does not answer; try again in a moment")
}

// explain turns the failures of a database that is down, full or busy into
// Unavailable, and leaves every other error as it is.
func explain(err error) error {
	if err == nil || fault.As(err) != nil || errors.Is(err, context.Canceled) {
		return err
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
			return unavailable(err)
		}
		return err
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// 08 connection, 40 chosen to end a deadlock, 55P waited too long for a lock, 53 resources, 57P operator intervention
		if strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "40") || strings.HasPrefix(pg.Code, "55P") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P") {
			return unavailable(err)
		}
		return err
	}
	var dial *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &dial) || errors.As(err, &network) || errors.Is(err, sql.ErrConnDone) || pgconn.SafeToRetry(err) {
		return unavailable(err)
	}
	return err
}

// duplicate reports whether err says that a unique index refused a row.
func duplicate(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}
