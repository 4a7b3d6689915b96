package builtin

import (
	"context"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

type currentTimeArgs struct {
	TimeZone string `json:"time_zone,omitempty" jsonschema_description:"An IANA name such as Europe/Berlin; UTC when left out."`
}

func currentTime(now func() time.Time) tool.Tool {
	return tool.Define(tool.Spec{Name: "current_time", Title: "Current time", Category: "basics", Risk: node.RiskLow, Restrictions: []string{readsOnly},
		Description: "Answers the current date, time and day of the week."},
		func(_ context.Context, _ tool.Call, a currentTimeArgs) (tool.Result, error) {
			zone, err := time.LoadLocation(a.TimeZone)
			if err != nil {
				return tool.Result{}, fault.New(fault.Invalid, "there is no time zone %q; use an IANA name such as Europe/Berlin", a.TimeZone)
			}
			t := now().In(zone)
			return tool.Result{Text: t.Format("Monday, 2 January 2006, 15:04:05 MST"), Value: map[string]any{"time": t.Format(time.RFC3339), "weekday": t.Weekday().String()}}, nil
		})
}
