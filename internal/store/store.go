// Package store keeps the studio's tables, in an embedded SQLite file or in
// PostgreSQL, behind one SQL text with $n parameters.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"agentstudio/internal/fault"

	"github.com/google/uuid"
)

// Dialect names the engine behind a DB.
type Dialect string

// The two engines.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Config says which database to open. The zero Config is not usable: SQLite
// needs a DataDir.
type Config struct {
	// URL is a postgres:// address; empty means SQLite in DataDir.
	URL string
	// DataDir holds studio.db and its lock; made (0700) when missing. Used with
	// SQLite only.
	DataDir string
	// MaxConns bounds the connections that read (SQLite, default 4) or all of
	// them (PostgreSQL, default 20).
	MaxConns int
	// Log hears about migrations; nil is silent.
	Log *slog.Logger
}

// DB is an open, migrated database. It is safe for concurrent use.
type DB struct {
	dialect Dialect
	write   *sql.DB
	read    *Reader
	close   func() error
	stuck   atomic.Bool // the last transaction found that nothing can be stored

	identities identities
	counts     counts
	changes    *changes
	recall     *recall
}

// Open opens the database, locks its data directory (SQLite), and runs the
// migrations that are missing; on PostgreSQL one process migrates while others
// wait. A data directory in use by another process is a Conflict.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	var db *DB
	var err error
	switch {
	case cfg.URL == "":
		db, err = openSQLite(cfg)
	case strings.HasPrefix(cfg.URL, "postgres://"), strings.HasPrefix(cfg.URL, "postgresql://"):
		db, err = openPostgres(cfg)
	default:
		return nil, errors.New("DATABASE_URL must start with postgres://, or be empty for SQLite in the data directory")
	}
	if err != nil {
		return nil, err
	}
	if err := db.migrate(ctx, cfg.Log); err != nil {
		return nil, errors.Join(fmt.Errorf("migrate: %w", err), db.Close())
	}
	if err := db.changes.watch(ctx, db.read); err != nil {
		return nil, errors.Join(explain(err), db.Close())
	}
	return db, nil
}

// Dialect returns the engine behind the database.
func (db *DB) Dialect() Dialect { return db.dialect }

// Read returns the pool for queries. On SQLite it refuses to write.
func (db *DB) Read() *Reader { return db.read }

// Write runs fn in one transaction and commits it; an error of fn, or a
// panic, rolls everything back and is passed on. On SQLite one transaction
// runs at a time, in the order they were asked for, so fn must be short and
// must not call Write. It must never wait for the network.
func (db *DB) Write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	err := db.transact(ctx, fn)
	switch {
	case err == nil && db.stuck.Load():
		db.stuck.Store(false)
	case err != nil && unwritable(err):
		db.stuck.Store(true)
	}
	return err
}

// errNotBegun marks transactions that found no connection.
var errNotBegun = errors.New("begin")

func (db *DB) transact(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return explain(fmt.Errorf("%w: %w", errNotBegun, err))
	}
	changed := db.changes.begin()
	defer func() {
		_ = tx.Rollback()
		db.changes.end(changed)
	}()
	if err := fn(tx); err != nil {
		return explain(err)
	}
	if err := tx.Commit(); err != nil {
		return explain(fmt.Errorf("commit: %w", err))
	}
	return nil
}

// Ping reports whether the database answers within two seconds and, when the
// last transaction found that nothing can be stored, whether that is over.
// Unavailable when not.
func (db *DB) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var one int
	if err := db.read.QueryRowContext(ctx, `SELECT 1`).Scan(&one); err != nil {
		return unavailable(err)
	}
	if !db.stuck.Load() {
		return nil
	}
	err := db.Write(ctx, func(tx *sql.Tx) error {
		// A key that has expired already: the next sweep takes it. It is a new
		// one, since SQLite does not write what is there already.
		_, err := tx.ExecContext(ctx, `INSERT INTO idempotency_keys (actor, key, request_hash, body, expires_at) VALUES ('studio', $1, '', $2, 0)`,
			uuid.NewString(), strings.Repeat(" ", probeBytes))
		return err
	})
	if err != nil && fault.As(err) == nil {
		return unavailable(err)
	}
	return err
}

// probeBytes is how much a full disk must have room for before it counts as
// mended.
const probeBytes = 64 << 10

// Close closes the connections and releases the data directory. Closing again
// returns what the first call did.
func (db *DB) Close() error { return db.close() }

func closeAll(closers ...func() error) func() error {
	return sync.OnceValue(func() error {
		var errs []error
		for _, c := range closers {
			errs = append(errs, c())
		}
		return errors.Join(errs...)
	})
}

// Pools returns the connections, by what they are for: "all" on PostgreSQL,
// "read" and "write" on SQLite.
func (db *DB) Pools() map[string]func() sql.DBStats {
	if db.dialect == Postgres {
		return map[string]func() sql.DBStats{"all": db.write.Stats}
	}
	return map[string]func() sql.DBStats{"write": db.write.Stats, "read": db.read.Stats}
}
