package telemetry

import (
	"context"

	"agentstudio/internal/execution"
	"agentstudio/internal/node"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

// What is ours, and no convention names.
const (
	executionID     = attribute.Key("agentstudio.execution.id")
	executionParent = attribute.Key("agentstudio.execution.parent_id")
	executionStatus = attribute.Key("agentstudio.execution.status")
	workspaceID     = attribute.Key("agentstudio.workspace.id")
	workflowID      = attribute.Key("agentstudio.workflow.id")
	workflowVersion = attribute.Key("agentstudio.workflow.version")
	triggerType     = attribute.Key("agentstudio.trigger.type")
	nodeID          = attribute.Key("agentstudio.node.id")
	nodeKind        = attribute.Key("agentstudio.node.kind")
	nodeAttempt     = attribute.Key("agentstudio.node.attempt")
	nodeIteration   = attribute.Key("agentstudio.node.iteration")
	nodeParked      = attribute.Key("agentstudio.node.parked")
)

// Execution implements engine.Tracer: a span for every time that the execution
// is in memory, all of them in one trace.
func (t *Tracer) Execution(ctx context.Context, x *execution.Execution) (context.Context, func(*execution.Execution, error)) {
	set := []attribute.KeyValue{semconv.GenAIOperationNameKey.String("invoke_workflow"), semconv.GenAIWorkflowName(x.WorkflowName), executionID.String(x.ID),
		workspaceID.String(x.WorkspaceID), workflowID.String(x.WorkflowID), workflowVersion.Int(x.WorkflowVersion)}
	set = text(text(set, executionParent, x.ParentID), triggerType, x.TriggerType)
	ctx, span := t.tracer.Start(context.WithValue(ctx, executionKey{}, x.ID), named("invoke_workflow", x.WorkflowName), trace.WithNewRoot(), trace.WithAttributes(set...))
	return ctx, func(x *execution.Execution, err error) {
		span.SetAttributes(executionStatus.String(string(x.Status)))
		if err == nil && x.Error != nil {
			failsAs(span, x.Error.Code)
		}
		fails(span, err)
		span.End()
	}
}

// Node implements engine.Tracer.
func (t *Tracer) Node(ctx context.Context, kind string, c *node.Call) (context.Context, func(parked bool, err error)) {
	set := []attribute.KeyValue{nodeKind.String(kind), nodeID.String(c.NodeID), nodeAttempt.Int(c.Attempt), executionID.String(c.ExecutionID)}
	ctx, span := t.tracer.Start(ctx, named("node", kind), trace.WithAttributes(text(set, nodeIteration, c.Iteration)...))
	return ctx, func(parked bool, err error) {
		if parked {
			span.SetAttributes(nodeParked.Bool(true))
		}
		fails(span, err)
		span.End()
	}
}

func named(what, which string) string {
	if which == "" {
		return what
	}
	return what + " " + which
}
