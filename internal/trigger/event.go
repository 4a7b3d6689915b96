package trigger

import (
	"context"
	"encoding/json"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

// FollowUps are the executions that events have called for: mostly the ends of
// others.
type FollowUps interface {
	// FollowUps returns those that are due, oldest first, and when the next one
	// will be.
	FollowUps(ctx context.Context, now time.Time, limit int) (due []execution.FollowUp, next time.Time, err error)
	// Follow creates an execution in the transaction that removes its
	// follow-up; with nil it only removes it. false: somebody else was faster.
	Follow(ctx context.Context, f execution.FollowUp, n *execution.New) (done bool, err error)
	// Postpone has one tried again at until.
	Postpone(ctx context.Context, id string, until time.Time) error
	// Find returns an execution.
	Find(ctx context.Context, workspaceID, id string) (*execution.Execution, error)
}

// follower starts the workflows that an event calls for (the end of an execution,
// an approval that is due, a budget that is nearly spent): event triggers and
// error workflows. What is called for is written with what happened, and removed with the creation of the execution: neither is lost nor done
// twice, whoever dies in between.
type follower struct{ *Runner }

func newFollower(r *Runner) *follower { return &follower{r} }

func (f *follower) name() string           { return "event" }
func (f *follower) woken() <-chan struct{} { return f.cfg.Followed }
func (f *follower) close()                 {}

func (f *follower) look(ctx context.Context) (time.Time, error) {
	for ctx.Err() == nil {
		now := f.cfg.Now()
		due, next, err := f.store.FollowUps(ctx, now, lookLimit)
		if err != nil || len(due) == 0 {
			return next, err
		}
		for _, one := range due {
			if err := f.follow(ctx, one, now); err != nil {
				return time.Time{}, err
			}
		}
	}
	return time.Time{}, ctx.Err()
}

func (f *follower) follow(ctx context.Context, one execution.FollowUp, now time.Time) error {
	n, err := f.prepare(ctx, one)
	switch {
	case lasting(err):
		f.cfg.Log.Error("workflow cannot be started by an event", "workflow_id", one.WorkflowID, "execution_id", one.SourceID, "error", err)
		n = nil
	case fault.Is(err, fault.Unavailable) || ctx.Err() != nil:
		return err
	case err != nil: // one that cannot go on does not keep the others
		f.cfg.Log.Error("workflow could not be started by an event", "workflow_id", one.WorkflowID, "execution_id", one.SourceID, "error", err)
		return f.store.Postpone(ctx, one.ID, now.Add(f.cfg.Glance))
	}
	done, err := f.store.Follow(ctx, one, n)
	if fault.Is(err, fault.Conflict) { // it is there: only remove what called for it
		_, err := f.store.Follow(ctx, one, nil)
		return err
	}
	if err == nil && done && n != nil {
		f.executions.Accepted(n)
	}
	return err
}

// endData is what a workflow reads as trigger.
type endData struct {
	Event           string           `json:"event"`
	ExecutionID     string           `json:"execution_id"`
	WorkflowID      string           `json:"workflow_id"`
	WorkflowName    string           `json:"workflow_name"`
	WorkflowVersion int              `json:"workflow_version"`
	Status          execution.Status `json:"status"`
	TriggerType     string           `json:"trigger_type"`
	Error           *execution.Error `json:"error"`
	Output          json.RawMessage  `json:"output"`
	StartedAt       time.Time        `json:"started_at"`
	CompletedAt     time.Time        `json:"completed_at"`
	DurationMS      int64            `json:"duration_ms"`
}

// maxOutput bounds the output that is passed on; a larger one is read from
// its execution.
const maxOutput = 256 << 10

func (f *follower) prepare(ctx context.Context, one execution.FollowUp) (*execution.New, error) {
	in := execution.StartInput{WorkspaceID: one.WorkspaceID, WorkflowID: one.WorkflowID, Version: one.Version, TriggerType: "event", StartNode: one.NodeID,
		TriggerData: one.Data, ID: identity("follow-up "+one.ID, one.At)}
	if one.SourceID != "" {
		x, err := f.store.Find(ctx, one.WorkspaceID, one.SourceID)
		if err != nil {
			return nil, err
		}
		in.ParentID, in.Depth = x.ID, x.Depth+1
		if one.Data == nil {
			in.ID = identity("follow-up "+one.ID, x.CompletedAt)
			in.TriggerData, err = ended(x)
		} else {
			in.TriggerData, err = happened(one.Data, x)
		}
		if err != nil {
			return nil, err
		}
	}
	if in.Version == 0 { // an error workflow that was never published
		in.TryOut = true
	}
	return f.executions.Prepare(ctx, access.SystemActor("event"), in)
}

// happened is what an event inside an execution hands over: its data, and whose
// it is.
func happened(data json.RawMessage, x *execution.Execution) (json.RawMessage, error) {
	told := map[string]any{}
	if err := json.Unmarshal(data, &told); err != nil {
		return nil, err
	}
	told["execution_id"], told["workflow_id"], told["workflow_name"], told["workflow_version"] = x.ID, x.WorkflowID, x.WorkflowName, x.WorkflowVersion
	return json.Marshal(told)
}

// ended is what the end of an execution hands over.
func ended(x *execution.Execution) (json.RawMessage, error) {
	d := endData{Event: "execution." + string(x.Status), ExecutionID: x.ID, WorkflowID: x.WorkflowID, WorkflowName: x.WorkflowName, WorkflowVersion: x.WorkflowVersion,
		Status: x.Status, TriggerType: x.TriggerType, Error: x.Error, StartedAt: x.StartedAt.UTC(), CompletedAt: x.CompletedAt.UTC(),
		DurationMS: x.Duration(x.CompletedAt).Milliseconds()}
	if len(x.Output) <= maxOutput {
		d.Output = x.Output
	}
	return json.Marshal(d)
}
