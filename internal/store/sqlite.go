package store

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite" // also the driver named "sqlite"
)

func openSQLite(cfg Config) (*DB, error) {
	if cfg.DataDir == "" {
		return nil, fmt.Errorf("open database: SQLite needs a data directory")
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	unlock, err := lockDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(cfg.DataDir, "studio.db")
	writer, err := sqlite.NewConnector(sqliteDSN(file, false))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", file, err)
	}
	changes := newChanges(true)
	write := sql.OpenDB(told{writer, changes.row})
	// One connection: Go's queue for it is first come, first served, where
	// several would sleep in SQLite's busy handler.
	write.SetMaxOpenConns(1)
	write.SetMaxIdleConns(1)
	read, err := sql.Open("sqlite", sqliteDSN(file, true))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", file, err)
	}
	n := cfg.MaxConns
	if n <= 0 {
		n = 4
	}
	read.SetMaxOpenConns(n)
	read.SetMaxIdleConns(n)
	reader := newReader(read, SQLite)
	return &DB{dialect: SQLite, changes: changes, recall: newRecall(changes), write: write, read: reader, close: closeAll(reader.Close, write.Close, unlock)}, nil
}

// sqliteDSN names the file and the settings every connection starts with.
// FULL survives power loss, which NORMAL in WAL mode does not.
func sqliteDSN(file string, readOnly bool) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"temp_store(MEMORY)", "cache_size(-8000)",
		// Pages are copied back from the log every 16 MB instead of every 4:
		// each is written again by many executions before.
		"wal_autocheckpoint(4000)",
	}}
	if readOnly {
		q.Set("_txlock", "deferred")
		q["_pragma"] = []string{"busy_timeout(10000)", "query_only(1)", "temp_store(MEMORY)", "cache_size(-4000)"}
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: file, RawQuery: q.Encode()}).String()
}
