// Package memory is what agents note for later: short texts under keys, found
// again by key or by their words.
package memory

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"agentstudio/internal/fault"
)

// Bounds of what is kept.
const (
	MaxKey    = 200   // characters
	MaxText   = 8_000 // characters
	MaxPerOne = 2_000 // memories of an agent, and of a workspace's shared ones
	MaxFound  = 50    // of one search
)

// Scope says whose memory is meant: an agent's own, or, without one, what all
// agents of the workspace share. An agent finds what is shared too.
type Scope struct {
	WorkspaceID string
	AgentID     string
}

// Memory is one note.
type Memory struct {
	ID        string
	AgentID   string // empty for what is shared
	Key       string
	Text      string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Found is a memory that a search found; a higher score fits better.
type Found struct {
	Memory
	Score float64
}

// Store keeps memories. Every method is one transaction.
type Store interface {
	// Save keeps a note under its key, in place of the one before. terms is how
	// often each word stands in it. Conflict: the scope has most already.
	Save(ctx context.Context, at Scope, m Memory, terms map[string]int, most int) (Memory, error)
	// Recall returns the agent's own note of the key, else the shared one.
	// NotFound: there is neither.
	Recall(ctx context.Context, at Scope, key string) (Memory, error)
	// Matches returns where the terms stand, in the agent's own notes and the
	// shared ones, and counts those.
	Matches(ctx context.Context, at Scope, terms []string) ([]Match, Totals, error)
	ByID(ctx context.Context, at Scope, ids []string) ([]Memory, error)
	// Latest returns the notes that were changed last.
	Latest(ctx context.Context, at Scope, limit, offset int) ([]Memory, int, error)
	// Forget removes a note of the scope itself. NotFound.
	Forget(ctx context.Context, at Scope, key string) error
}

// Match is a term in a memory.
type Match struct {
	MemoryID string
	Term     string
	Times    int
	Words    int // of the whole memory
}

// Totals is what a search looks through.
type Totals struct {
	Memories int
	Words    int
}

// Config adjusts a Service. NewID must be set.
type Config struct {
	NewID func() string
	Now   func() time.Time
}

// Service saves and finds. It asks nobody for leave: it is used on behalf of
// runs that were allowed already. It is safe for concurrent use.
type Service struct {
	store Store
	cfg   Config
}

// NewService returns the use cases.
func NewService(store Store, cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{store: store, cfg: cfg}
}

// Save notes a text under a key, in place of what is there. Invalid: with
// every fault. Conflict, code memory_full: forget something first. Saving the
// same again changes nothing but the time.
func (s *Service) Save(ctx context.Context, at Scope, key, text string) (Memory, error) {
	key, text = strings.TrimSpace(key), strings.TrimSpace(text)
	if faults := check(key, text); faults != nil {
		return Memory{}, fault.InvalidInput(faults...)
	}
	now := s.cfg.Now().UTC().Truncate(time.Millisecond)
	m := Memory{ID: s.cfg.NewID(), AgentID: at.AgentID, Key: key, Text: text, CreatedAt: now, UpdatedAt: now}
	return s.store.Save(ctx, at, m, terms(key+"\n"+text), MaxPerOne)
}

func check(key, text string) (faults []fault.Detail) {
	bad := func(where, value string, most int) {
		switch n := utf8.RuneCountInString(value); {
		case value == "":
			faults = append(faults, fault.Detail{Location: where, Code: "missing", Message: "a memory needs a " + where})
		case n > most:
			faults = append(faults, fault.Detail{Location: where, Code: "too_long", Message: where + " is too long: shorten it, or keep it as a file"})
		case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
			faults = append(faults, fault.Detail{Location: where, Code: "not_text", Message: where + " is no text"})
		}
	}
	bad("key", key, MaxKey)
	if strings.ContainsFunc(key, unicode.IsControl) {
		faults = append(faults, fault.Detail{Location: "key", Code: "not_text", Message: "a key is one line"})
	}
	bad("text", text, MaxText)
	return faults
}

// Full says that a scope has no room.
func Full(most int) error {
	return fault.New(fault.Conflict, "there are %d memories already: save over one, or forget some first", most).WithCode("memory_full")
}

// Recall returns the note of a key. NotFound: there is none.
func (s *Service) Recall(ctx context.Context, at Scope, key string) (Memory, error) {
	return s.store.Recall(ctx, at, strings.TrimSpace(key))
}

// Forget removes the note of a key; an agent cannot forget what is shared.
// NotFound: there is none.
func (s *Service) Forget(ctx context.Context, at Scope, key string) error {
	return s.store.Forget(ctx, at, strings.TrimSpace(key))
}

// List returns a page of the notes, the ones changed last first, and how many
// there are.
func (s *Service) List(ctx context.Context, at Scope, limit, offset int) ([]Memory, int, error) {
	return s.store.Latest(ctx, at, min(max(limit, 1), 100), max(offset, 0))
}
