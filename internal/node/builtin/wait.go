package builtin

import (
	"context"
	"fmt"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

const longestWait = 366 * 24 * time.Hour

type waitConfig struct {
	Seconds        *float64 `json:"seconds,omitempty" jsonschema:"title=Seconds,minimum=0"`
	Until          string   `json:"until,omitempty" jsonschema:"title=Until" jsonschema_description:"A moment such as 2027-01-31T09:00:00Z."`
	Callback       bool     `json:"callback,omitempty" jsonschema:"title=Until called" jsonschema_description:"Wait until the callback address of this node is called; the call is the output."`
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
arrived.

With callback it opens an address that is good for one call, by GET or POST, and shows it as ` + "`callback_url`" + ` of the node. It then answers
the call as ` + "`{method, query, headers, body}`" + `: the body is parsed when it is JSON or a form. When timeout_seconds passed before,
it fails with the code callback_timeout.

` + "```yaml" + `
config: {callback: true, timeout_seconds: 86400}
` + "```",
	}, func(ctx context.Context, c node.Call, cfg waitConfig) (node.Result, error) {
		if cfg.Callback {
			return cfg.called(ctx, c, now())
		}
		if c.Resume != nil {
			return node.Output("", c.Input), c.Resume.Err
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

// called answers the call of the node's address, or waits for it. A retry
// opens a new address: the one before has expired.
func (c waitConfig) called(ctx context.Context, call node.Call, now time.Time) (node.Result, error) {
	ask := node.Ask{Name: fmt.Sprintf("callback-%d", call.Attempt), Kind: "callback", Callable: true}
	answer, err := call.Answer(ctx, ask.Name)
	switch {
	case err != nil:
		return node.Result{}, err
	case answer == nil:
		if c.TimeoutSeconds > 0 {
			ask.Until = now.Add(seconds(c.TimeoutSeconds))
		}
		return node.Await(ask), nil
	case answer.Expired:
		return node.Result{}, fault.New(fault.Timeout, "nobody called back within %g seconds", c.TimeoutSeconds).WithCode("callback_timeout")
	}
	return node.Output("", answer.Data), nil
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
