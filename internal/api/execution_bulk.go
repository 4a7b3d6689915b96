package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

type startManyInput struct {
	InWorkspace
	Body struct {
		Items []startItem `json:"items" minItems:"1" maxItems:"1000"`
	}
}

type startItem struct {
	WorkflowID     string     `json:"workflow_id" format:"uuid"`
	Version        int        `json:"version,omitempty" minimum:"1" maximum:"2147483647" doc:"Default the newest"`
	TriggerData    Object     `json:"trigger_data,omitempty" doc:"What expressions read as trigger"`
	Priority       int        `json:"priority,omitempty" minimum:"0" maximum:"10"`
	ScheduledAt    *time.Time `json:"scheduled_at,omitempty"`
	IdempotencyKey string     `json:"idempotency_key,omitempty" maxLength:"255" doc:"The same key and item within 24 hours answer the first execution"`
}

// StartedMany lists what many starts came to, in their order.
type StartedMany struct {
	Items []StartedOne `json:"items"`
}

// StartedOne is what one start came to.
type StartedOne struct {
	ID      string `json:"id"`
	Created bool   `json:"created" doc:"false: the idempotency key answered an earlier execution"`
}

func (s *Server) startExecutions(ctx context.Context, by access.Actor, in *startManyInput) (*Body[StartedMany], error) {
	items := make([]execution.StartInput, len(in.Body.Items))
	var faults []fault.Detail
	for i, b := range in.Body.Items {
		items[i] = execution.StartInput{WorkflowID: b.WorkflowID, Version: b.Version, TriggerType: "api", TriggerData: json.RawMessage(b.TriggerData),
			Priority: b.Priority, IdempotencyKey: b.IdempotencyKey}
		if b.ScheduledAt != nil {
			items[i].ScheduledAt = b.ScheduledAt.UTC()
		}
		if b.IdempotencyKey == "" {
			continue
		}
		if f := fault.As(checkKey(b.IdempotencyKey)); f != nil {
			d := f.Details[0]
			d.Location = fmt.Sprintf("body.items[%d].idempotency_key", i)
			faults = append(faults, d)
		}
	}
	if len(faults) > 0 {
		return nil, fault.InvalidInput(faults...)
	}
	started, err := s.Executions.StartAll(ctx, by, workspaceOr(by, in.WorkspaceID), items)
	if err != nil {
		return nil, err
	}
	return &Body[StartedMany]{StartedMany{Items: views(started, func(x execution.Started) StartedOne { return StartedOne{x.ID, x.Created} })}}, nil
}
