package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
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

// full is the sentence of a disk that takes nothing more.
func full(cause error) error {
	return fault.Wrap(fault.Unavailable, cause, "the disk with the data is full, so nothing can be stored; it goes on by itself when there is room")
}

// readOnly is the sentence of a database that may be read only.
func readOnly(cause error) error {
	return fault.Wrap(fault.Unavailable, cause, "the database takes no changes just now; try again in a moment")
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
		case sqlite3.SQLITE_FULL:
			return full(err)
		case sqlite3.SQLITE_READONLY:
			return readOnly(err)
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
			return unavailable(err)
		}
		return err
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "53100":
			return full(err)
		case "25006": // a standby, or a server that was told so
			return readOnly(err)
		}
		// 08 connection, 40 chosen to end a deadlock, 55P waited too long for a lock, 53 resources, 57P operator intervention
		if strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "40") || strings.HasPrefix(pg.Code, "55P") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P") {
			return unavailable(err)
		}
		return err
	}
	var dial *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &dial) || errors.As(err, &network) || pgconn.SafeToRetry(err) || cut(err) {
		return unavailable(err)
	}
	return err
}

// cut reports whether err says that a connection ended in the middle of its
// use, as it does when the server is stopped at once: the driver passes on what
// reading from it gave.
func cut(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)
}

// unwritable reports whether err says that the database cannot store anything,
// though it may still be read.
func unwritable(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY:
			return true
		}
		return false
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "53100" || pg.Code == "25006")
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
