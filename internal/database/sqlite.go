package database

import (
	"context"
	"database/sql"
	"net/url"
	"path/filepath"
	"time"

	"agentstudio/internal/fault"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// openSQLite opens a file that is there. Where nothing is to be written it is
// opened for reading, which no statement can undo; nothing else can be attached
// to it.
func openSQLite(u *url.URL, write bool) (*connection, error) {
	if u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" {
		return nil, fault.New(fault.Invalid, "a SQLite database is written sqlite:///the/whole/path.db")
	}
	options := url.Values{"mode": {"ro"}, "_pragma": {"query_only(1)", "busy_timeout(5000)"}}
	if write {
		options = url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(5000)", "foreign_keys(1)"}, "_txlock": {"immediate"}}
	}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: u.Path, RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	return &connection{db: db, prepare: func(_ context.Context, conn *sql.Conn, _ time.Duration) error {
		for limit, most := range map[int]int{sqlite3.SQLITE_LIMIT_ATTACHED: 0, sqlite3.SQLITE_LIMIT_LENGTH: maxRead} {
			if _, err := sqlite.Limit(conn, limit, most); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}
