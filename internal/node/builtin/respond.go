package builtin

import (
	"context"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

type respondConfig struct {
	Status  int               `json:"status,omitempty" jsonschema:"title=Status,default=200,minimum=200,maximum=599"`
	Headers map[string]string `json:"headers,omitempty" jsonschema:"title=Headers" jsonschema_extras:"widget=key-value"`
	Body    any               `json:"body,omitempty" jsonschema:"title=Body" jsonschema_description:"What arrived, when left out."`
}

func respond() node.Type {
	return node.Define(node.Spec{
		Kind: "respond", Title: "Respond", Group: node.Action, Category: "flow", Icon: "reply",
		Description: "Answers the webhook call that started the execution.",
		Instant:     true, Risk: node.RiskLow,
		Docs: `Answers the waiting caller of a webhook-trigger with respond: respond-node, and goes on. Its output, and the
execution's, is the body.

` + "```yaml" + `
config: {status: 201, headers: {X-Order: "{{ trigger.body.id }}"}, body: {ok: true}}
` + "```",
	}, func(_ context.Context, c node.Call, cfg respondConfig) (node.Result, error) {
		if cfg.Status == 0 {
			cfg.Status = 200
		}
		if cfg.Status < 200 || cfg.Status > 599 {
			return node.Result{}, fault.New(fault.Invalid, "status must be between 200 and 599, but it is %d", cfg.Status)
		}
		body := cfg.Body
		if body == nil {
			body = c.Input
		}
		return node.Reply(node.Response{Status: cfg.Status, Headers: cfg.Headers, Body: body}), nil
	})
}
