package builtin

import (
	"context"

	"agentstudio/internal/node"
)

type eventTriggerConfig struct {
	Events    []string `json:"events,omitempty" jsonschema:"title=Events,enum=failed,enum=completed,enum=cancelled" jsonschema_description:"How the other execution has ended; failed when left out."`
	Workflows []string `json:"workflow_ids,omitempty" jsonschema:"title=Workflows,maxItems=100" jsonschema_description:"Ids of the workflows whose executions are meant; left out: any other of the workspace." jsonschema_extras:"widget=workflows"`
}

// Arm returns the ends of executions that publishing listens for.
func (c eventTriggerConfig) Arm() node.Arming {
	events, subjects := c.Events, c.Workflows
	if len(events) == 0 {
		events = []string{"failed"}
	}
	if len(subjects) == 0 {
		subjects = []string{""}
	}
	var a node.Arming
	for _, event := range events {
		for _, subject := range subjects {
			a.Listens = append(a.Listens, node.Listener{Event: "execution." + event, Subject: subject})
		}
	}
	return a
}

func eventTrigger() node.Type {
	return node.Define(node.Spec{
		Kind: "event-trigger", Title: "Event", Group: node.Trigger, Category: "start", Icon: "bell",
		Description: "Starts the workflow when an execution of another one fails, completes or is cancelled.",
		NoInput:     true, Starts: []string{"event"}, Instant: true, Risk: node.RiskLow,
		Docs: `Starts when an execution of another workflow of the workspace ends. Its output, and ` + "`trigger`" + `, is
` + "`{event, execution_id, workflow_id, workflow_name, workflow_version, status, trigger_type, error: {code, message, node_id}, output, started_at, completed_at, duration_ms}`" + `;
an output over 256 KiB is left out.

So that nothing starts itself for ever: a workflow never hears of its own executions; an execution that an event started
is heard of only by triggers that name its workflow in workflow_ids; and a chain of such starts is at most 10 deep.

` + "```yaml" + `
config: {events: [failed, cancelled]}
` + "```",
	}, func(_ context.Context, c node.Call, _ eventTriggerConfig) (node.Result, error) {
		return node.Output("", c.Trigger), nil
	})
}
