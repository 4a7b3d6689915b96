package execution

import (
	"context"
	"encoding/json"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
)

// Wait returns the execution once it is over, or has said its response when
// responded is set, or as it is when the limit passes.
func (s *Service) Wait(ctx context.Context, workspaceID string, sub event.Subscription, id string, responded bool, limit time.Duration) (*Execution, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case e := <-sub.C():
			if !sub.Lagged() && (e.Type != event.ExecutionUpdate || e.Name == "status_changed" && !isOver(e.Data)) {
				continue
			}
			x, err := s.store.Find(ctx, workspaceID, id)
			if err != nil || x.Status.Over() || responded && x.Response != nil {
				return x, err
			}
		case <-timer.C:
			return s.store.Find(ctx, workspaceID, id)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func isOver(data json.RawMessage) bool {
	var e struct {
		Status Status `json:"status"`
	}
	return json.Unmarshal(data, &e) == nil && e.Status.Over()
}

// Run starts an execution and waits for it as Wait does.
func (s *Service) Run(ctx context.Context, by access.Actor, in StartInput, responded bool, limit time.Duration) (*Execution, error) {
	if err := by.Need(in.WorkspaceID, access.Execute); err != nil {
		return nil, err
	}
	e, err := s.prepare(ctx, by, in)
	if err != nil {
		return nil, err
	}
	sub := s.bus.Subscribe(event.ExecutionRoom(e.ID))
	defer sub.Close()
	id, created, err := s.store.Create(ctx, *e)
	if err != nil {
		return nil, err
	}
	if !created {
		sub.Add(event.ExecutionRoom(id))
		if x, err := s.store.Find(ctx, in.WorkspaceID, id); err != nil || x.Status.Over() || responded && x.Response != nil {
			return x, err
		}
		return s.Wait(ctx, in.WorkspaceID, sub, id, responded, limit)
	}
	s.Accepted(e)
	return s.Wait(ctx, in.WorkspaceID, sub, e.ID, responded, limit)
}
