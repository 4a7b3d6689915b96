package trigger

import (
	"context"
	"time"
)

// Looker looks at one trigger's table when a test says so.
type Looker struct{ w waiter }

// Schedules returns a looker at schedules, FollowUps one at follow-ups.
func (r *Runner) Schedules() Looker { return Looker{newTicker(r)} }

// FollowUps is as Schedules.
func (r *Runner) FollowUps() Looker { return Looker{newFollower(r)} }

// Look looks once.
func (l Looker) Look(ctx context.Context) (time.Time, error) { return l.w.look(ctx) }

// Woken hears what would wake the trigger.
func (l Looker) Woken() <-chan struct{} { return l.w.woken() }

// Close ends it.
func (l Looker) Close() { l.w.close() }
