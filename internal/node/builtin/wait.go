package builtin

import (
	"context"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

const longestWait = 366 * 24 * time.Hour

type waitConfig struct {
	Seconds        *float64 `json:"seconds,omitempty" jsonschema:"title=Seconds,minimum=0"`
	Until          string   `json:"until,omitempty" jsonschema:"title=Until" jsonschema_description:"A moment such as 2027-01-31T09:00:00Z."`
	Callback       bool     `json:"callback,omitempty" jsonschema:"title=Until called" jsonschema_description:"Wait until the callback address of this node is called; its body is the output."`
	TimeoutSeconds float64  `json:"timeout_seconds,omitempty" jsonschema:"title=At most,minimum=0" jsonschema_description:"With callback: fail when nobody has called by then."`
}

// Check finds waits for nothing, or for several things.
func (c waitConfig) Check() []fault.Detail {
	ways := 0
	for _, given := range []bool{c.Seconds != nil, c.Until != "", c.Callback} {
		if given {
			ways++
		}
	}
	if ways == 1 {
		return nil
	}
	return []fault.Detail{{Location: "seconds", Code: "bad_wait", Message: "say what to wait for: one of seconds, until and callback"}}
}

func wait(now func() time.Time) node.Type {
	return node.Define(node.Spec{
		Kind: "wait", Title: "Wait", Group: node.Logic, Category: "time", Icon: "hourglass",
		Description: "Waits for a time, until a moment, or until it is called.",
		Risk:        node.RiskLow,
		Docs: `While it waits nothing runs and nothing is held: a restart changes nothing. After seconds or until it passes on what
arrived; after a callback it answers the callback's body, and fails when timeout_seconds passed before.

` + "```yaml" + `
config: {seconds: 3600}
` + "```",
	}, func(_ context.Context, c node.Call, cfg waitConfig) (node.Result, error) {
		if c.Resume != nil {
			return resumed(c, cfg)
		}
		if cfg.Callback {
			var until time.Time
			if cfg.TimeoutSeconds > 0 {
				until = now().Add(seconds(cfg.TimeoutSeconds))
			}
			return node.Await(c.Key, until), nil
		}
		until, err := cfg.end(now())
		if err != nil {
			return node.Result{}, err
		}
		if !until.After(now()) {
			return node.Output("", c.Input), nil
		}
		return node.Sleep(until), nil
	})
}

func resumed(c node.Call, cfg waitConfig) (node.Result, error) {
	switch {
	case c.Resume.Err != nil:
		return node.Result{}, c.Resume.Err
	case !cfg.Callback:
		return node.Output("", c.Input), nil
	case c.Resume.Reason == "callback":
		return node.Output("", c.Resume.Data), nil
	}
	return node.Result{}, fault.New(fault.Timeout, "nobody called back within %g seconds", cfg.TimeoutSeconds).WithCode("callback_timeout")
}

func (c waitConfig) end(now time.Time) (time.Time, error) {
	if c.Seconds != nil {
		if *c.Seconds < 0 || *c.Seconds > longestWait.Seconds() {
			return time.Time{}, fault.New(fault.Invalid, "seconds must be between 0 and a year, but it is %g", *c.Seconds)
		}
		return now.Add(seconds(*c.Seconds)), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, c.Until); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fault.New(fault.Invalid, "until must be a moment such as 2027-01-31T09:00:00Z, but it is %s", describe(c.Until))
}

func seconds(s float64) time.Duration {
	return time.Duration(min(s, longestWait.Seconds()) * float64(time.Second))
}
