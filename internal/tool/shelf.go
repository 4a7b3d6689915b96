package tool

import (
	"context"
	"encoding/json"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/schema"
	"agentstudio/internal/usage"
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

// Use runs a tool and enters the call in the ledger, whatever became of it.
// When ctx has ended for a reason that is a fault, that is the failure.
func Use(ctx context.Context, t Tool, call Call, ledger usage.Sink, now func() time.Time) (Result, error) {
	began := now()
	result, err := t.Run(ctx, call)
	if err != nil && ctx.Err() != nil && fault.As(context.Cause(ctx)) != nil {
		err = context.Cause(ctx)
	}
	u := result.Entry()
	r := usage.Record{UserID: call.UserID, WorkspaceID: call.WorkspaceID, WorkflowID: call.WorkflowID, ExecutionID: call.ExecutionID, NodeID: call.NodeID,
		Agent: call.AgentID, Above: call.Above, APIKeyID: call.APIKeyID, Tool: t.Name, Input: u.Input, Output: u.Output, CacheRead: u.CacheRead, CacheWrite: u.CacheWrite,
		At: began, Latency: now().Sub(began), Outcome: usage.Answered}
	if !u.CostUnknown {
		r.CostMicros = &u.CostMicros
	}
	if err != nil {
		r.Outcome, r.ErrorCode = usage.Failed, string(fault.KindOf(err))
		if f := fault.As(err); f != nil && f.Code != "" {
			r.ErrorCode = f.Code
		}
		if ctx.Err() != nil && !fault.Is(err, fault.Timeout) {
			r.Outcome = usage.Cancelled
		}
	}
	ledger.Record(context.WithoutCancel(ctx), r)
	return result, err
}
