package store

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
	"time"

	"agentstudio/internal/access"
)

// maxIdentities bounds how many credentials are remembered.
const maxIdentities = 10_000

// identities remembers who credentials stand for until what identities are made
// of has changed, so that a request needs no query of its own to know its caller.
// On SQLite, where one process has the database to itself, each such change makes
// all be forgotten before whoever asked for it is answered; on PostgreSQL any
// change of the database does. So a key that was revoked is refused from that
// answer on.
type identities struct {
	versions   versions      // nil on SQLite
	generation atomic.Uint64 // counts changes on SQLite

	mu sync.RWMutex
	at uint64 // the state that all in of were read in, or a later one
	of map[string]identity
}

type identity struct {
	by      access.Actor // its map and slice are shared: they are read only
	expires time.Time    // zero: never
	used    time.Time    // when the use of a key was last written down
}

// state changes with every change of an identity; false when it is not known.
func (s *identities) state(ctx context.Context) (uint64, bool) {
	if s.versions != nil {
		return s.versions.state(ctx)
	}
	return s.generation.Load(), true
}

// find returns who was behind a credential in the state.
func (s *identities) find(credential string, state uint64, now time.Time) (identity, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.at != state {
		return identity{}, false
	}
	known, ok := s.of[credential]
	return known, ok && (known.expires.IsZero() || known.expires.After(now))
}

// remember keeps what was read after the state was asked for.
func (s *identities) remember(credential string, state uint64, found identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state < s.at {
		return // nobody would find it
	}
	if s.of == nil || s.at < state || len(s.of) >= maxIdentities {
		s.at, s.of = state, map[string]identity{}
	}
	s.of[credential] = found
}

// writeIdentity is Write for what identities are made of: users, sessions, API
// keys, workspaces and their members. It has to be used for every change of
// them.
func (db *DB) writeIdentity(ctx context.Context, fn func(tx *sql.Tx) error) error {
	defer db.identities.generation.Add(1) // after a failure too: a commit may have been stored and not answered
	return db.Write(ctx, fn)
}
