package telemetry

import (
	"context"
	"strings"
	"time"

	"agentstudio/internal/llm"
	"agentstudio/internal/tool"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

// Agent implements agent.Tracer.
func (t *Tracer) Agent(ctx context.Context, id, name string, models []string) (context.Context, func(llm.Usage, error)) {
	set := []attribute.KeyValue{semconv.GenAIOperationNameInvokeAgent}
	set = text(text(set, semconv.GenAIAgentIDKey, id), semconv.GenAIAgentNameKey, name)
	if len(models) > 0 {
		provider, model, known := strings.Cut(models[0], "/")
		if !known {
			provider, model = "", models[0]
		}
		set = text(text(set, semconv.GenAIProviderNameKey, providerName(provider)), semconv.GenAIRequestModelKey, model)
	}
	ctx, span := t.tracer.Start(ctx, named("invoke_agent", name), trace.WithAttributes(set...))
	return ctx, func(used llm.Usage, err error) {
		span.SetAttributes(tokens(used)...)
		fails(span, err)
		span.End()
	}
}

// Tool implements tool.Tracer.
func (t *Tracer) Tool(ctx context.Context, s tool.Spec, c tool.Call) (context.Context, func(error)) {
	kind := "function"
	if tool.Sourced(s.Name) {
		kind = "extension"
	}
	set := []attribute.KeyValue{semconv.GenAIOperationNameExecuteTool, semconv.GenAIToolName(s.Name), semconv.GenAIToolType(kind)}
	ctx, span := t.tracer.Start(ctx, named("execute_tool", s.Name), trace.WithAttributes(text(set, semconv.GenAIToolCallIDKey, c.ID)...))
	return ctx, func(err error) {
		fails(span, err)
		span.End()
	}
}

// Provider returns the provider with a span for each call of a model; those
// that are tried again have one each.
func (t *Tracer) Provider(p llm.Provider) llm.Provider { return traced{p, t.tracer} }

type traced struct {
	llm.Provider
	tracer trace.Tracer
}

// Generate implements llm.Model.
func (p traced) Generate(ctx context.Context, req llm.Request, onPart func(llm.Part)) (*llm.Response, error) {
	set := []attribute.KeyValue{semconv.GenAIOperationNameChat, semconv.GenAIProviderNameKey.String(providerName(p.Name())), semconv.GenAIRequestModel(req.Model), semconv.GenAIRequestStream(true)}
	if req.MaxTokens > 0 {
		set = append(set, semconv.GenAIRequestMaxTokens(req.MaxTokens))
	}
	if req.Temperature != nil {
		set = append(set, semconv.GenAIRequestTemperature(*req.Temperature))
	}
	if len(req.OutputSchema) > 0 {
		set = append(set, semconv.GenAIOutputTypeJSON)
	}
	ctx, span := p.tracer.Start(ctx, named("chat", req.Model), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(set...))
	defer span.End()
	began, first := time.Now(), true
	response, err := p.Provider.Generate(ctx, req, func(part llm.Part) {
		if first {
			first = false
			span.SetAttributes(semconv.GenAIResponseTimeToFirstChunkKey.Float64(time.Since(began).Seconds()))
		}
		if onPart != nil {
			onPart(part)
		}
	})
	if err != nil {
		if used, said := llm.CountedOf(err); said {
			span.SetAttributes(tokens(used)...)
		}
		fails(span, err)
		return response, err
	}
	span.SetAttributes(semconv.GenAIResponseModel(strings.TrimPrefix(response.Model, p.Name()+"/")), semconv.GenAIResponseFinishReasons(finish(response.StopReason)))
	if !response.UsageUnknown {
		span.SetAttributes(tokens(response.Usage)...)
	}
	return response, nil
}

// tokens are counted as the conventions do: what came from a cache, or went
// into it, is input too.
func tokens(u llm.Usage) []attribute.KeyValue {
	set := []attribute.KeyValue{semconv.GenAIUsageInputTokensKey.Int64(u.Input + u.CacheRead + u.CacheWrite), semconv.GenAIUsageOutputTokensKey.Int64(u.Output)}
	if u.CacheRead > 0 {
		set = append(set, semconv.GenAIUsageCacheReadInputTokensKey.Int64(u.CacheRead))
	}
	if u.CacheWrite > 0 {
		set = append(set, semconv.GenAIUsageCacheCreationInputTokensKey.Int64(u.CacheWrite))
	}
	if u.Reasoning > 0 {
		set = append(set, semconv.GenAIUsageReasoningOutputTokensKey.Int64(u.Reasoning))
	}
	return set
}

// finish is the conventions' word for a reason to stop.
func finish(r llm.StopReason) string {
	switch r {
	case llm.EndTurn:
		return "stop"
	case llm.ToolUse:
		return "tool_call"
	case llm.MaxTokens:
		return "length"
	case llm.Refusal:
		return "content_filter"
	}
	return string(r)
}

// providerName is the conventions' name of a provider, where they have one.
func providerName(ours string) string {
	if ours == "gemini" {
		return "gcp.gemini"
	}
	return ours
}
