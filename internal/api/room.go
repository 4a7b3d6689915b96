package api

import (
	"context"
	"strings"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/fault"

	"github.com/google/uuid"
)

// enterRoom returns what the room has kept (nil: nothing), or why the actor may
// not follow it: the access to each room is that to the thing it is about.
func (s *Server) enterRoom(ctx context.Context, by access.Actor, room string) (history, error) {
	kind, id, _ := strings.Cut(room, ":")
	refused := fault.New(fault.NotFound, "there is no such room, or it is not yours")
	if _, err := uuid.Parse(id); err != nil || len(id) != 36 {
		return nil, refused
	}
	switch kind {
	case "execution":
		if _, err := s.Executions.Events(ctx, by, id, 0, 1); err != nil {
			return nil, err
		}
		return s.executionHistory(by, id), nil
	case "workflow":
		_, err := s.Workflows.WorkspaceOf(ctx, by, id)
		return nil, err
	case "workspace", "analytics":
		return nil, by.Need(id, access.Read)
	case "user":
		if id == by.UserID {
			return nil, nil // it keeps no history
		}
	}
	return nil, refused
}

func (s *Server) executionHistory(by access.Actor, id string) history {
	return func(ctx context.Context, after int64, limit int) ([]event.Event, error) {
		return s.Executions.Events(ctx, by, id, after, limit)
	}
}
