package builtin

import (
	"context"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/schedule"
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
	return schedule.Faults(*c.Arm().Schedule)
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
Its output, and ` + "`trigger`" + `, is ` + "`{scheduled_for, local_time, fired_at, schedule: {id, cron, every, time_zone}}`" + `.

- **cron**: five fields, or six with seconds first. **every**: an interval that counts from publishing.
- **Daylight saving**: a line with fixed hour, minute and second means the clock on the wall: a time that the clock jumps
  over fires once, right after the jump; a time that comes twice fires once, the first time. Lines with an open field
  (` + "`*`, `*/15`" + `) and intervals follow real time.
- **catch_up**, for ticks over a minute late: none lets them go, last makes up for the newest, all for each of the last
  24 hours, at most 1,000.
- **overlap**, when the execution of the tick before still runs: allow, skip this tick, queue it until the other has
  ended, or cancel the other.

` + "```yaml" + `
config: {cron: "0 9 * * 1-5", time_zone: Europe/Berlin, catch_up: last, overlap: skip}
` + "```",
	}, func(_ context.Context, c node.Call, _ scheduleTriggerConfig) (node.Result, error) {
		return node.Output("", c.Trigger), nil
	})
}
