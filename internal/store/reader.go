package store

import (
	"context"
	"database/sql"
	"sync"
)

// maxStatements bounds the statements a Reader keeps prepared: the texts are
// constants of this package, but for some lists whose filters make many.
const maxStatements = 200

// Reader is the pool for queries. On SQLite it prepares each text once per
// connection: parsing costs as much as running a small query. (The driver of
// PostgreSQL does so by itself.)
type Reader struct {
	*sql.DB
	keep bool

	mu         sync.RWMutex
	statements map[string]*sql.Stmt
}

func newReader(db *sql.DB, dialect Dialect) *Reader {
	return &Reader{DB: db, keep: dialect == SQLite, statements: map[string]*sql.Stmt{}}
}

// QueryContext is sql.DB's.
func (r *Reader) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if s := r.prepared(ctx, text); s != nil {
		return s.QueryContext(ctx, args...)
	}
	return r.DB.QueryContext(ctx, text, args...)
}

// QueryRowContext is sql.DB's. On SQLite the query ends by itself: one row is
// read before anybody could give up, and watching for that, with two goroutines,
// would cost as much as reading it. It waits for a connection at most as long as
// the queries of many rows last that have them all, which their contexts bound.
func (r *Reader) QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row {
	if s := r.prepared(ctx, text); s != nil {
		return s.QueryRowContext(context.WithoutCancel(ctx), args...)
	}
	return r.DB.QueryRowContext(ctx, text, args...)
}

// prepared returns the statement of a text, or nil when it is not kept; what
// is wrong with a text then shows when it is run.
func (r *Reader) prepared(ctx context.Context, text string) *sql.Stmt {
	if !r.keep {
		return nil
	}
	r.mu.RLock()
	s, full := r.statements[text], len(r.statements) >= maxStatements
	r.mu.RUnlock()
	if s != nil || full {
		return s
	}
	s, err := r.PrepareContext(ctx, positional(unfolded(text))) // not under the lock: it waits for a connection
	if err != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if other := r.statements[text]; other != nil {
		s.Close()
		return other
	}
	r.statements[text] = s
	return s
}

// Close closes the statements and the pool.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.statements {
		s.Close()
	}
	r.statements = map[string]*sql.Stmt{}
	return r.DB.Close()
}
