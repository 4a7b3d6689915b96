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

// identities remembers who credentials stand for, so that a request needs no
// query to know its caller. That is only right where one process has the
// database to itself, which is so on SQLite: each change of what an identity is
// made of makes all be forgotten before whoever asked for it is answered, so a
// key that was revoked is refused from that answer on. On PostgreSQL nothing is
// remembered.
type identities struct {
	exclusive  bool
	generation atomic.Int64 // counts changes

	mu sync.RWMutex
	at int64 // the generation of all in of
	of map[string]identity
}

type identity struct {
	by      access.Actor // its map and slice are shared: they are read only
	expires time.Time    // zero: never
	used    time.Time    // when the use of a key was last written down
}

// find returns who was behind a credential since the last change.
func (s *identities) find(credential string, now time.Time) (identity, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.at != s.generation.Load() {
		return identity{}, false
	}
	known, ok := s.of[credential]
	return known, ok && (known.expires.IsZero() || known.expires.After(now))
}

// remember keeps what was read, unless there was a change since generation was
// asked, which was before the reading.
func (s *identities) remember(credential string, generation int64, found identity) {
	if !s.exclusive {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if generation != s.generation.Load() {
		return
	}
	if s.of == nil || s.at != generation || len(s.of) >= maxIdentities {
		s.at, s.of = generation, map[string]identity{}
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
