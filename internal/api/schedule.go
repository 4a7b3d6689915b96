package api

import (
	"context"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/node"
	"agentstudio/internal/workflow"
)

func (s *Server) scheduleRoutes() {
	register(s, op{Method: "GET", Path: "/workflows/{id}/schedule", ID: "get-workflow-schedule", Tag: "workflows", Summary: "When the workflow's schedules tick next, as times and in words",
		Notes: "Of a published workflow: its armed schedules. Of any other: as if its newest version were published now."}, s.workflowSchedule)
	register(s, op{Method: "POST", Path: "/schedules/preview", ID: "preview-schedule", Tag: "workflows", Summary: "When a schedule that is not saved would tick"}, s.previewSchedule)
}

// Tick is a moment at which a schedule starts its workflow, jitter apart.
type Tick struct {
	At    Time   `json:"at"`
	Local string `json:"local_time" doc:"The same, as the clock shows it in the schedule's time zone"`
}

// Timetable says when a schedule ticks.
type Timetable struct {
	NodeID   string `json:"node_id,omitempty"`
	Armed    bool   `json:"armed" doc:"Whether it ticks; false shows what it would do if it were published now"`
	Words    string `json:"words" doc:"Such as: Weekdays at 09:00, Europe/Berlin"`
	Sentence string `json:"sentence" doc:"The words with the next tick"`
	TimeZone string `json:"time_zone"`
	Next     []Tick `json:"next" doc:"Fewer than asked for when it stops ticking"`
	LastAt   *Time  `json:"last_at" doc:"The tick that has fired last"`
}

func viewTimetable(t workflow.Timetable) Timetable {
	out := Timetable{NodeID: t.NodeID, Armed: t.Armed, Words: t.Words, Sentence: t.Sentence, TimeZone: t.Zone, LastAt: when(t.LastAt),
		Next: views(t.Next, func(at time.Time) Tick { return Tick{At: Time(at), Local: at.Format(time.RFC3339)} })}
	return out
}

type scheduleInput struct {
	IDPath
	Count int `query:"count" default:"5" minimum:"1" maximum:"100" doc:"Ticks of each schedule"`
}

type timetables struct {
	Items []Timetable `json:"items"`
}

func (s *Server) workflowSchedule(ctx context.Context, by access.Actor, in *scheduleInput) (*Body[timetables], error) {
	found, err := s.Workflows.Timetables(ctx, by, in.ID, in.Count)
	if err != nil {
		return nil, err
	}
	return &Body[timetables]{timetables{views(found, viewTimetable)}}, nil
}

type previewInput struct {
	Count int `query:"count" default:"5" minimum:"1" maximum:"100"`
	Body  struct {
		Cron     string `json:"cron,omitempty" maxLength:"200"`
		Every    string `json:"every,omitempty" maxLength:"50"`
		TimeZone string `json:"time_zone,omitempty" maxLength:"100" doc:"Default UTC"`
	}
}

func (s *Server) previewSchedule(_ context.Context, _ access.Actor, in *previewInput) (*Body[Timetable], error) {
	zone := in.Body.TimeZone
	if zone == "" {
		zone = "UTC"
	}
	t, err := s.Workflows.Preview(node.Schedule{Cron: in.Body.Cron, Every: in.Body.Every, TimeZone: zone}, in.Count)
	if err != nil {
		return nil, err
	}
	return &Body[Timetable]{viewTimetable(t)}, nil
}
