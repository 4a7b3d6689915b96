package api

import (
	"context"
	"encoding/json"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
)

// backlogPage is how many stored events are read at a time.
const backlogPage = 500

// history reads the stored events of a room after a seq, at most limit.
type history func(ctx context.Context, after int64, limit int) ([]event.Event, error)

// follower tells a room's events, each once and in order: first those stored
// after the one seen last, then what the bus brings. Its listener must be
// subscribed before catchUp is called, so that nothing falls in between. What
// the bus has lost is read from the table. It is not safe for concurrent use.
type follower struct {
	history history // nil: the room keeps none
	last    int64   // the newest told; -1: tell from now on
}

// catchUp tells what is stored and not told yet.
func (f *follower) catchUp(ctx context.Context, tell func(*event.Event) error) error {
	if f.history == nil || f.last < 0 {
		return nil
	}
	for {
		events, err := f.history(ctx, f.last, backlogPage)
		if err != nil {
			return err
		}
		for i := range events {
			e := &events[i]
			if e.Seq <= f.last {
				continue
			}
			if err := tell(e); err != nil {
				return err
			}
			f.last = e.Seq
		}
		if len(events) < backlogPage {
			return nil
		}
	}
}

// skips reports whether events are missing before the one the bus has brought:
// to take it means to read the table.
func (f *follower) skips(e *event.Event) bool {
	return e.Type != "" && e.Seq > 0 && f.history != nil && f.last >= 0 && e.Seq > f.last+1
}

// take tells an event the bus has brought, unless it was told before.
func (f *follower) take(ctx context.Context, e *event.Event, tell func(*event.Event) error) error {
	if e.Type == "" {
		return nil // it only woke us
	}
	if e.Seq == 0 || f.history == nil { // it passes by and was never stored
		return tell(e)
	}
	if f.skips(e) {
		if err := f.catchUp(ctx, tell); err != nil {
			return err
		}
	}
	if e.Seq <= f.last {
		return nil
	}
	f.last = e.Seq
	return tell(e)
}

// Event is one thing that happened, as sockets and streams tell it.
type Event struct {
	Room      string          `json:"room_id"`
	Seq       int64           `json:"seq,omitempty" doc:"Its place in the room; missing for what is not stored"`
	Type      string          `json:"type" example:"execution_update"`
	Event     string          `json:"event" example:"status_changed"`
	Timestamp Time            `json:"timestamp"`
	Data      json.RawMessage `json:"data,omitempty"`
}

func viewEvent(e *event.Event) Event {
	return Event{Room: e.Room, Seq: e.Seq, Type: e.Type, Event: e.Name, Timestamp: Time(e.At), Data: e.Data}
}

// endsExecution reports whether an event says that its execution is over.
func endsExecution(e *event.Event) bool {
	if e.Type != event.ExecutionUpdate {
		return false
	}
	var data struct {
		Status execution.Status `json:"status"`
	}
	return json.Unmarshal(e.Data, &data) == nil && data.Status.Over()
}
