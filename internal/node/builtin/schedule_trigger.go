package builtin

import (
	"context"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"

	"github.com/adhocore/gronx"
)

type scheduleTriggerConfig struct {
	Cron          string `json:"cron,omitempty" jsonschema:"title=Cron" jsonschema_description:"Five fields, or six with seconds first: '0 9 * * 1-5' is nine o'clock on working days."`
	Every         string `json:"every,omitempty" jsonschema:"title=Every" jsonschema_description:"An interval instead of a cron line: 30s, 15m, 6h."`
	TimeZone      string `json:"time_zone,omitempty" jsonschema:"title=Time zone,default=UTC" jsonschema_description:"An IANA name such as Europe/Berlin."`
	CatchUp       string `json:"catch_up,omitempty" jsonschema:"title=Missed ticks,enum=none,enum=last,enum=all,default=none" jsonschema_description:"What happens to ticks that were missed while nothing ran."`
	Overlap       string `json:"overlap,omitempty" jsonschema:"title=Overlap,enum=allow,enum=skip,enum=queue,enum=cancel,default=allow" jsonschema_description:"What happens when the execution of the tick before still runs."`
	JitterSeconds int    `json:"jitter_seconds,omitempty" jsonschema:"title=Jitter in seconds,minimum=0,maximum=3600" jsonschema_description:"Delays each tick by a random time up to this."`
}

// Check finds schedules that can never tick, and zones that do not exist.
func (c scheduleTriggerConfig) Check() []fault.Detail {
	var found []fault.Detail
	switch {
	case c.Cron == "" && c.Every == "":
		found = append(found, fault.Detail{Location: "cron", Code: "missing_schedule", Message: "say when to start: give cron or every"})
	case c.Cron != "" && c.Every != "":
		found = append(found, fault.Detail{Location: "every", Code: "two_schedules", Message: "give either cron or every, not both"})
	case c.Cron != "" && !gronx.IsValid(c.Cron):
		found = append(found, fault.Detail{Location: "cron", Code: "bad_cron", Message: "this is no cron line: five fields (minute hour day month weekday), or six with seconds first", Value: c.Cron})
	}
	if c.Every != "" {
		if d, err := time.ParseDuration(c.Every); err != nil || d < time.Second {
			found = append(found, fault.Detail{Location: "every", Code: "bad_interval", Message: "this is no interval of a second or more; write it like 30s, 15m or 6h", Value: c.Every})
		}
	}
	if _, err := time.LoadLocation(c.TimeZone); err != nil {
		found = append(found, fault.Detail{Location: "time_zone", Code: "bad_time_zone", Message: "there is no such time zone; use an IANA name such as Europe/Berlin", Value: c.TimeZone})
	}
	return found
}

// Arm returns the schedule that publishing starts.
func (c scheduleTriggerConfig) Arm() node.Arming {
	return node.Arming{Schedule: &node.Schedule{
		Cron: c.Cron, Every: c.Every, TimeZone: orDefault(c.TimeZone, "UTC"),
		CatchUp: orDefault(c.CatchUp, "none"), Overlap: orDefault(c.Overlap, "allow"), JitterSeconds: c.JitterSeconds,
	}}
}

func scheduleTrigger() node.Type {
	return node.Define(node.Spec{
		Kind: "schedule-trigger", Title: "Schedule", Group: node.Trigger, Category: "start", Icon: "clock",
		Description: "Starts the workflow at set times.",
		NoInput:     true, Starts: []string{"schedule"}, Instant: true, Risk: node.RiskLow,
		Docs: `Starts an execution at each tick while the workflow is published; each tick fires once, however many replicas run.
Its output is the tick's data.

` + "```yaml" + `
config: {cron: "0 9 * * 1-5", time_zone: Europe/Berlin, catch_up: last, overlap: skip}
` + "```",
	}, func(_ context.Context, c node.Call, _ scheduleTriggerConfig) (node.Result, error) {
		return node.Output("", c.Trigger), nil
	})
}
