package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/schedule"
	"agentstudio/internal/workflow"

	"github.com/google/uuid"
)

// arm replaces what a workflow's triggers have set up, in the transaction that
// changes its status. A schedule that stays as it was stays where it was: a
// new version does not start an interval anew, nor lose a tick that is due.
func arm(ctx context.Context, tx *sql.Tx, workspaceID string, w *workflow.Workflow, armings []workflow.Arming) error {
	for _, table := range []string{"webhooks", "listeners"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE workflow_id = $1`, w.ID); err != nil {
			return err
		}
	}
	if err := disarmSchedules(ctx, tx, w, armings); err != nil {
		return err
	}
	for _, a := range armings {
		if err := armOne(ctx, tx, workspaceID, w, a); err != nil {
			return err
		}
	}
	return nil
}

func armOne(ctx context.Context, tx *sql.Tx, workspaceID string, w *workflow.Workflow, a workflow.Arming) error {
	if a.Webhook != nil {
		if err := armWebhook(ctx, tx, workspaceID, w, a); err != nil {
			return err
		}
	}
	if a.Schedule != nil {
		if err := armSchedule(ctx, tx, workspaceID, w, a); err != nil {
			return err
		}
	}
	for _, l := range a.Listens {
		if _, err := tx.ExecContext(ctx, `INSERT INTO listeners (id, workspace_id, workflow_id, version, node_id, event, subject, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (workflow_id, node_id, event, subject) DO NOTHING`,
			newID(), workspaceID, w.ID, w.PublishedVersion, a.NodeID, l.Event, l.Subject, ms(w.UpdatedAt)); err != nil {
			return err
		}
	}
	return nil
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func armWebhook(ctx context.Context, tx *sql.Tx, workspaceID string, w *workflow.Workflow, a workflow.Arming) error {
	var other string
	err := tx.QueryRowContext(ctx, `SELECT workflow_id FROM webhooks WHERE workspace_id = $1 AND path = $2`, workspaceID, a.Webhook.Path).Scan(&other)
	if err == nil {
		return fault.New(fault.Conflict, "the webhook path %q is used by the workflow %s already: choose another path", a.Webhook.Path, other).WithCode("webhook_path_taken")
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO webhooks (id, workspace_id, workflow_id, version, node_id, path, config, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		newID(), workspaceID, w.ID, w.PublishedVersion, a.NodeID, a.Webhook.Path, jsonText(a.Webhook), ms(w.UpdatedAt))
	return err
}

// disarmSchedules removes the schedules that are not among the armings as they are.
func disarmSchedules(ctx context.Context, tx *sql.Tx, w *workflow.Workflow, armings []workflow.Arming) error {
	wanted := map[string]string{}
	for _, a := range armings {
		if a.Schedule != nil {
			wanted[a.NodeID] = jsonText(a.Schedule)
		}
	}
	type armed struct{ id, nodeID, config string }
	rows, err := tx.QueryContext(ctx, `SELECT id, node_id, config FROM schedules WHERE workflow_id = $1`, w.ID)
	found, err := collect(rows, err, func(row scanner) (a armed, err error) {
		err = row.Scan(&a.id, &a.nodeID, &a.config)
		return a, err
	})
	if err != nil {
		return err
	}
	for _, a := range found {
		if wanted[a.nodeID] == a.config {
			continue
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM schedules WHERE id = $1`, a.id); err != nil {
			return err
		}
	}
	return nil
}

func armSchedule(ctx context.Context, tx *sql.Tx, workspaceID string, w *workflow.Workflow, a workflow.Arming) error {
	id := newID()
	next, due, err := firstTick(id, *a.Schedule, w)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO schedules (id, workspace_id, workflow_id, version, node_id, config, next_at, due_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (workflow_id, node_id) DO UPDATE SET version = excluded.version`,
		id, workspaceID, w.ID, w.PublishedVersion, a.NodeID, jsonText(a.Schedule), next, due, ms(w.UpdatedAt))
	return err
}

// firstTick is the first tick after the publishing; NULL when there is none.
func firstTick(id string, spec node.Schedule, w *workflow.Workflow) (next, due sql.NullInt64, err error) {
	s, err := schedule.Compile(spec, w.UpdatedAt)
	if err != nil {
		return next, due, fmt.Errorf("arm schedule: %w", err)
	}
	tick, more := s.Next(w.UpdatedAt)
	return sql.NullInt64{Int64: tick.UnixMilli(), Valid: more}, sql.NullInt64{Int64: s.Due(id, tick).UnixMilli(), Valid: more}, nil
}

// Armed hears that something was armed here.
func (s *Workflows) Armed() <-chan struct{} { return s.armed }

// poke leaves word in a channel that holds one.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
