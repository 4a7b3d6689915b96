package builtin

import (
	"context"

	"agentstudio/internal/node"
)

type eventTriggerConfig struct {
	Events    []string `json:"events,omitempty" jsonschema:"title=Events,enum=failed,enum=completed,enum=cancelled,enum=approval,enum=budget" jsonschema_description:"How the other execution has ended, that it asks for an approval, or that a budget is nearly spent; failed when left out."`
	Workflows []string `json:"workflow_ids,omitempty" jsonschema:"title=Workflows,maxItems=100" jsonschema_description:"Ids of the workflows whose executions are meant; or whose budgets; left out: any other of the workspace." jsonschema_extras:"widget=workflows"`
}

// Arm returns the events that publishing listens for.
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
		name, ok := map[string]string{"approval": node.ApprovalDue, "budget": node.BudgetNear}[event]
		if !ok {
			name = "execution." + event
		}
		for _, subject := range subjects {
			a.Listens = append(a.Listens, node.Listener{Event: name, Subject: subject})
		}
	}
	return a
}

func eventTrigger() node.Type {
	return node.Define(node.Spec{
		Kind: "event-trigger", Title: "Event", Group: node.Trigger, Category: "start", Icon: "bell",
		Description: "Starts the workflow when an execution of another one fails, completes, is cancelled or needs an approval, or when a budget is nearly spent.",
		NoInput:     true, Starts: []string{"event"}, Instant: true, Risk: node.RiskLow,
		Docs: `Starts when an execution of another workflow of the workspace ends. Its output, and ` + "`trigger`" + `, is
` + "`{event, execution_id, workflow_id, workflow_name, workflow_version, status, trigger_type, error: {code, message, node_id}, output, started_at, completed_at, duration_ms}`" + `;
an output over 256 KiB is left out.

With ` + "`approval`" + ` it starts when an execution asks a person: ` + "`{event: approval.due, approval_id, kind, execution_id, workflow_id, workflow_name, workflow_version, node_id, title, message, subject, created_at, expires_at}`" + `;
kind is approval or permission. With ` + "`budget`" + ` it starts once in each period in which four fifths of a budget are spent:
` + "`{event: budget.near, budget_id, scope, target_id, period, period_began, spent_usd, spent_tokens, max_cost_usd, max_tokens}`" + `.

So that nothing starts itself for ever: a workflow never hears of its own executions; an execution that an event started
is heard of only by triggers that name its workflow in workflow_ids; and a chain of such starts is at most 10 deep.

` + "```yaml" + `
config: {events: [failed, cancelled]}
` + "```",
	}, func(_ context.Context, c node.Call, _ eventTriggerConfig) (node.Result, error) {
		return node.Output("", c.Trigger), nil
	})
}
