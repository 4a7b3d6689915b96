package app

import (
	"context"
	"encoding/json"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/workflow"
)

// RunOnce keeps the definition as a draft in the actor's personal workspace,
// runs it with the trigger data, dry if asked to, and returns how it ended. watch sees every
// stored event once and in order, and the deltas that pass by between them.
// When ctx ends the execution is cancelled and returned as such.
func (a *App) RunOnce(ctx context.Context, by access.Actor, d *workflow.Definition, input json.RawMessage, dryRun bool, watch func(event.Event)) (*execution.Execution, error) {
	w, err := a.Workflows.Create(ctx, by, by.Personal, d)
	if err != nil {
		return nil, err
	}
	x, _, err := a.Executions.Start(ctx, by, execution.StartInput{WorkspaceID: by.Personal, WorkflowID: w.ID, TriggerData: input, DryRun: dryRun})
	if err != nil {
		return nil, err
	}
	sub := a.Bus.Subscribe(event.ExecutionRoom(x.ID))
	defer sub.Close()
	f := &follower{app: a, by: by, id: x.ID, watch: watch}
	if err := f.follow(ctx, sub); err == nil || ctx.Err() == nil {
		return f.end(context.WithoutCancel(ctx), err)
	}
	after := context.WithoutCancel(ctx)
	if _, err := a.Executions.Cancel(after, by, x.ID); err != nil {
		return f.end(after, err)
	}
	limited, stop := context.WithTimeout(after, 10*time.Second)
	defer stop()
	return f.end(after, f.follow(limited, sub))
}

// follower shows one execution's events to a watcher.
type follower struct {
	app   *App
	by    access.Actor
	id    string
	seq   int64
	watch func(event.Event)
}

func (f *follower) end(ctx context.Context, err error) (*execution.Execution, error) {
	if err != nil {
		return nil, err
	}
	return f.app.Executions.Find(ctx, f.by, f.id)
}

// follow returns when the execution is over.
func (f *follower) follow(ctx context.Context, sub event.Subscription) error {
	over, err := f.catchUp(ctx)
	for err == nil && !over {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-sub.C():
			switch {
			case e.Type == "": // events may have been lost
				over, err = f.catchUp(ctx)
			case e.Seq == 0:
				f.watch(*e)
			case e.Seq == f.seq+1 && !sub.Lagged():
				over = f.show(*e)
			case e.Seq > f.seq:
				over, err = f.catchUp(ctx)
			}
		}
	}
	return err
}

// catchUp shows what the table holds after the last event seen.
func (f *follower) catchUp(ctx context.Context) (over bool, err error) {
	for {
		events, err := f.app.Executions.Events(ctx, f.by, f.id, f.seq, 500)
		if err != nil || len(events) == 0 {
			return over, err
		}
		for _, e := range events {
			over = f.show(e) || over
		}
	}
}

func (f *follower) show(e event.Event) (over bool) {
	f.seq = e.Seq
	f.watch(e)
	var data struct {
		Status execution.Status `json:"status"`
	}
	return e.Type == event.ExecutionUpdate && json.Unmarshal(e.Data, &data) == nil && data.Status.Over()
}
