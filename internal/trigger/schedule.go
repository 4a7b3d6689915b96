package trigger

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/schedule"
)

// Schedules are the rows of armed schedules.
type Schedules interface {
	// DueSchedules returns the schedules to look at, most overdue first, and
	// when the next one will be.
	DueSchedules(ctx context.Context, now time.Time, limit int) (due []execution.Scheduled, next time.Time, err error)
	// Fire moves a schedule on and creates the executions of the ticks that
	// fire; false when it is not where it was seen. Conflict: an execution of a
	// tick is there already.
	Fire(ctx context.Context, f execution.Firing) (fired bool, err error)
	// Hold has a schedule looked at again at until, unless the execution it
	// waits for is over.
	Hold(ctx context.Context, seen execution.Scheduled, next, until time.Time) (held bool, err error)
	// Release ends a hold.
	Release(ctx context.Context, scheduleID, execution string, now time.Time) error
}

// lookLimit bounds the rows of one look.
const lookLimit = 200

// ticker fires the ticks of schedules. The row moves on in the transaction
// that creates the executions, if it is still where it was seen: of any number
// of tickers that see a tick, one fires it.
type ticker struct {
	*Runner
	poked chan struct{}
	held  map[string]string // execution → schedule that waits for its end
	ends  event.Subscription
	stop  chan struct{}
	done  chan struct{}
}

func newTicker(r *Runner) *ticker {
	t := &ticker{Runner: r, poked: make(chan struct{}, 1), held: map[string]string{}, ends: r.bus.Subscribe(), stop: make(chan struct{}), done: make(chan struct{})}
	go t.listen()
	return t
}

func (t *ticker) name() string           { return "schedule" }
func (t *ticker) woken() <-chan struct{} { return t.poked }

// listen wakes the ticker when something was armed, or an execution that a
// schedule waits for has changed.
func (t *ticker) listen() {
	defer close(t.done)
	for {
		select {
		case <-t.cfg.Armed:
		case e := <-t.ends.C():
			if e.Type != event.ExecutionUpdate && !t.ends.Lagged() {
				continue
			}
		case <-t.stop:
			return
		}
		select {
		case t.poked <- struct{}{}:
		default:
		}
	}
}

func (t *ticker) close() {
	close(t.stop)
	<-t.done
	t.ends.Close()
}

func (t *ticker) look(ctx context.Context) (time.Time, error) {
	if err := t.release(ctx); err != nil {
		return time.Time{}, err
	}
	for ctx.Err() == nil {
		now := t.cfg.Now()
		due, next, err := t.store.DueSchedules(ctx, now, lookLimit)
		if err != nil || len(due) == 0 {
			return next, err
		}
		for _, seen := range due {
			if err := t.tick(ctx, seen, now); err != nil {
				if err := t.postpone(ctx, seen, now, err); err != nil {
					return time.Time{}, err
				}
			}
		}
	}
	return time.Time{}, ctx.Err()
}

// postpone has a schedule that could not be dealt with looked at again later,
// so that it does not keep the others. When the database is to blame, the
// failure is returned.
func (t *ticker) postpone(ctx context.Context, seen execution.Scheduled, now time.Time, cause error) error {
	if ctx.Err() != nil || fault.Is(cause, fault.Unavailable) {
		return cause
	}
	t.cfg.Log.Error("schedule could not fire and is tried again", "workflow_id", seen.WorkflowID, "node_id", seen.NodeID, "error", cause)
	_, err := t.store.Fire(ctx, execution.Firing{Seen: seen, Next: seen.NextAt, DueAt: now.Add(t.cfg.Glance)})
	return err
}

// release lets schedules go on whose last execution may be over: they are
// looked at, and held again when it is not.
func (t *ticker) release(ctx context.Context) error {
	for execution, id := range t.held {
		if err := t.store.Release(ctx, id, execution, t.cfg.Now()); err != nil {
			return err
		}
		t.ends.Remove(event.ExecutionRoom(execution))
		delete(t.held, execution)
	}
	return nil
}

// tick does with one schedule what its plan says.
func (t *ticker) tick(ctx context.Context, seen execution.Scheduled, now time.Time) error {
	s, err := schedule.Compile(seen.Schedule, seen.ArmedAt)
	if err != nil { // it was valid when it was armed; this release thinks otherwise
		t.cfg.Log.Error("schedule cannot be read and is stopped: publish its workflow again", "workflow_id", seen.WorkflowID, "node_id", seen.NodeID, "error", err)
		_, err := t.store.Fire(ctx, execution.Firing{Seen: seen})
		return err
	}
	if seen.NextAt.IsZero() { // armed by a release that did not tick
		next, _ := s.Next(now)
		_, err := t.store.Fire(ctx, execution.Firing{Seen: seen, Next: next, DueAt: s.Due(seen.ID, next)})
		return err
	}
	p := s.Plan(schedule.State{ID: seen.ID, NextAt: seen.NextAt, Busy: seen.LastStatus != "" && !seen.LastStatus.Over(), Ended: seen.LastEnded}, now)
	if p.Missed > 0 {
		t.cfg.Log.Info("ticks of a schedule were let go", "workflow_id", seen.WorkflowID, "node_id", seen.NodeID, "since", seen.NextAt, "next", p.Next)
	}
	if p.Hold {
		return t.hold(ctx, seen, p, now)
	}
	f := execution.Firing{Seen: seen, Next: p.Next, DueAt: p.DueAt, CancelLast: p.CancelLast}
	for _, tick := range p.Fire {
		n, err := t.prepare(ctx, seen, s, tick, now)
		if lasting(err) {
			t.cfg.Log.Error("schedule cannot start its workflow", "workflow_id", seen.WorkflowID, "version", seen.Version, "tick", tick, "error", err)
			continue
		}
		if err != nil {
			return err
		}
		f.Executions = append(f.Executions, *n)
		f.Tick = tick
	}
	return t.fire(ctx, f)
}

func (t *ticker) fire(ctx context.Context, f execution.Firing) error {
	fired, err := t.store.Fire(ctx, f)
	if fault.Is(err, fault.Conflict) { // the ticks have fired: only move on
		f.Executions, f.CancelLast = nil, false
		_, err := t.store.Fire(ctx, f)
		return err
	}
	if err != nil || !fired {
		return err
	}
	if f.CancelLast {
		t.executions.Look(f.Seen.WorkspaceID, f.Seen.LastExecution)
	}
	for i := range f.Executions {
		t.executions.Accepted(&f.Executions[i])
	}
	return nil
}

// hold waits for the end of the last execution: the bus says when, and the
// table is looked at again anyway.
func (t *ticker) hold(ctx context.Context, seen execution.Scheduled, p schedule.Plan, now time.Time) error {
	t.ends.Add(event.ExecutionRoom(seen.LastExecution)) // before the look at its row, so that no end is missed
	held, err := t.store.Hold(ctx, seen, p.Next, now.Add(t.cfg.Glance))
	if err != nil || !held {
		t.ends.Remove(event.ExecutionRoom(seen.LastExecution))
		return err
	}
	t.held[seen.LastExecution] = seen.ID
	return nil
}

// tickData is what a workflow reads as trigger.
type tickData struct {
	ScheduledFor time.Time    `json:"scheduled_for"`
	LocalTime    string       `json:"local_time"` // scheduled_for in the schedule's zone
	FiredAt      time.Time    `json:"fired_at"`
	Schedule     scheduleData `json:"schedule"`
}

type scheduleData struct {
	ID       string `json:"id"`
	Cron     string `json:"cron,omitempty"`
	Every    string `json:"every,omitempty"`
	TimeZone string `json:"time_zone"`
}

func (t *ticker) prepare(ctx context.Context, seen execution.Scheduled, s *schedule.Schedule, tick, now time.Time) (*execution.New, error) {
	data, err := json.Marshal(tickData{ScheduledFor: tick.UTC(), LocalTime: tick.In(s.Zone()).Format(time.RFC3339), FiredAt: now.UTC().Truncate(time.Millisecond),
		Schedule: scheduleData{ID: seen.ID, Cron: seen.Schedule.Cron, Every: seen.Schedule.Every, TimeZone: seen.Schedule.TimeZone}})
	if err != nil {
		return nil, err
	}
	return t.executions.Prepare(ctx, access.SystemActor("schedule"), execution.StartInput{WorkspaceID: seen.WorkspaceID, WorkflowID: seen.WorkflowID, Version: seen.Version,
		TriggerType: "schedule", StartNode: seen.NodeID, TriggerData: data, ID: identity("schedule "+seen.ID+" "+strconv.FormatInt(tick.UnixMilli(), 10), tick)})
}
