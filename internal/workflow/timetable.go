package workflow

import (
	"context"
	"slices"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/schedule"
)

// ArmedSchedule is a schedule of a published workflow.
type ArmedSchedule struct {
	NodeID   string
	Schedule node.Schedule
	ArmedAt  time.Time
	NextAt   time.Time // zero: it never ticks again
	LastAt   time.Time // of the tick that fired last; zero: none has
}

// Timetable says when a schedule ticks.
type Timetable struct {
	NodeID   string
	Armed    bool // false: it would tick like this if it were published now
	Words    string
	Sentence string // the words with the next tick
	Zone     string
	Next     []time.Time // in the zone
	LastAt   time.Time
}

// maxTicks bounds the ticks of a timetable.
const maxTicks = 100

// Timetables returns when the schedules of a workflow tick next: those that
// are armed, or else those of the newest version as if it were published now.
// Schedules that are not valid are left out.
func (s *Service) Timetables(ctx context.Context, by access.Actor, id string, count int) ([]Timetable, error) {
	w, err := s.load(ctx, by, id, access.Read)
	if err != nil {
		return nil, err
	}
	now := s.now()
	armed, err := s.store.Schedules(ctx, w.WorkspaceID, w.ID)
	if err != nil {
		return nil, err
	}
	out := []Timetable{}
	for _, a := range armed {
		compiled, err := schedule.Compile(a.Schedule, a.ArmedAt)
		if err != nil {
			continue
		}
		after := now
		if !a.NextAt.IsZero() && !a.NextAt.After(now) {
			after = a.NextAt.Add(-time.Nanosecond) // due, and not fired yet
		}
		t := timetable(compiled, after, now, count)
		t.NodeID, t.Armed, t.LastAt = a.NodeID, true, a.LastAt
		out = append(out, t)
	}
	if w.Status == Published {
		return out, nil
	}
	for _, n := range w.Definition.Nodes {
		spec := s.scheduleOf(n)
		if spec == nil {
			continue
		}
		if t, err := s.Preview(*spec, count); err == nil {
			t.NodeID = n.ID
			out = append(out, t)
		}
	}
	return out, nil
}

// scheduleOf returns the schedule that a node would arm; nil when it arms none.
func (s *Service) scheduleOf(n Node) *node.Schedule {
	kind, known := s.kinds.Find(n.Kind)
	if !known || !n.IsEnabled() {
		return nil
	}
	config, err := kind.Decode(n.Config)
	if err != nil {
		return nil
	}
	if armer, arms := config.(node.Armer); arms {
		return armer.Arm().Schedule
	}
	return nil
}

// Preview returns when a schedule would tick if it were armed now. Invalid: it
// is no schedule, with every fault.
func (s *Service) Preview(spec node.Schedule, count int) (Timetable, error) {
	if found := slices.Clone(schedule.Faults(spec)); len(found) > 0 {
		for i := range found {
			found[i].Location = joinPath("body", found[i].Location)
		}
		return Timetable{}, fault.InvalidInput(found...)
	}
	now := s.now()
	compiled, err := schedule.Compile(spec, now)
	if err != nil {
		return Timetable{}, err
	}
	return timetable(compiled, now, now, count), nil
}

func timetable(c *schedule.Schedule, after, now time.Time, count int) Timetable {
	return Timetable{Words: c.Words(), Sentence: c.Sentence(now), Zone: c.Zone().String(), Next: c.Upcoming(after, min(max(count, 1), maxTicks))}
}
