package tool

import (
	"context"
	"encoding/json"

	"agentstudio/internal/schema"
)

// Shelf is what a workspace may use: the tools that are built in, and those of
// a Source. It is safe for concurrent use.
type Shelf struct {
	*Catalogue
	source  Source
	schemas schema.Cache
}

// NewShelf returns the shelf. Without a source there are only the built-in ones.
func NewShelf(builtin *Catalogue, source Source) *Shelf {
	return &Shelf{Catalogue: builtin, source: source}
}

// Of returns every tool of a workspace: the built-in ones, then its own as far
// as they are known now.
func (s *Shelf) Of(ctx context.Context, workspaceID string) ([]Tool, error) {
	all := s.All()
	if s.source == nil || workspaceID == "" {
		return all, nil
	}
	own, err := s.source.Tools(ctx, workspaceID)
	return append(all[:len(all):len(all)], own...), err
}

// Find returns a tool of a workspace, and may have to reach outside for it.
// NotFound names the nearest one there is.
func (s *Shelf) Find(ctx context.Context, workspaceID, name string) (Tool, error) {
	if s.source == nil || !Sourced(name) {
		return s.Catalogue.Find(name)
	}
	return s.source.Find(ctx, workspaceID, name)
}

// Fits checks arguments against the tool's schema: Invalid with every fault, or
// Malformed when they are no JSON.
func (s *Shelf) Fits(t Tool, args json.RawMessage) error {
	if !Sourced(t.Name) {
		return s.Validate(t.Name, args)
	}
	rules, err := s.schemas.Compile(t.Schema)
	if err != nil {
		return nil //nolint:nilerr // where it comes from judges: the schema is not ours
	}
	return fits(rules, t.Name, args)
}
