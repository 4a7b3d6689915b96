// Package telemetry tells an OpenTelemetry collector what executions, nodes,
// agents, models and tools do and how long it takes: as spans that follow the
// conventions for generative AI, without a word of what was asked or answered.
package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"agentstudio/internal/fault"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

// Config says where spans go. Endpoint or Traces must be set.
type Config struct {
	Endpoint string // of a collector that speaks OTLP over HTTP; spans go to /v1/traces below it
	Traces   string // the whole address for spans, instead
	Version  string // of the studio
	Log      *slog.Logger
}

// Tracer makes spans and sends them from time to time; it never holds anybody
// up, and drops what it cannot send. What else there is to set it reads from
// the environment, as OpenTelemetry's SDKs do. It is safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// New returns a tracer, which connects when it has something to send. Shut it
// down when done.
func New(ctx context.Context, cfg Config) (*Tracer, error) {
	address := cfg.Traces
	if address == "" {
		address = strings.TrimRight(cfg.Endpoint, "/") + "/v1/traces"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(address))
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(semconv.ServiceName("agentstudio"), semconv.ServiceVersion(cfg.Version)), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fault.Wrap(fault.Invalid, err, "OTEL_RESOURCE_ATTRIBUTES cannot be read: it looks like key=value,key=value")
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(&calm{SpanExporter: exporter, log: cfg.Log}), sdk.WithResource(about), sdk.WithIDGenerator(ids{}))
	return &Tracer{provider: provider, tracer: provider.Tracer("agentstudio", trace.WithInstrumentationVersion(cfg.Version), trace.WithSchemaURL(semconv.SchemaURL))}, nil
}

// Shutdown sends what is left, until ctx ends. Nothing is sent after it.
func (t *Tracer) Shutdown(ctx context.Context) error { return t.provider.Shutdown(ctx) }

// calm logs the first failure of many in a row, and drops what was not sent.
type calm struct {
	sdk.SpanExporter
	log    *slog.Logger
	failed atomic.Bool
}

// ExportSpans implements sdk.SpanExporter.
func (c *calm) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		if c.failed.Swap(false) {
			c.log.Info("the collector takes spans again")
		}
		return nil
	}
	if !c.failed.Swap(true) {
		c.log.Warn("the collector takes no spans: they are dropped until it does", "error", err)
	}
	return nil
}

// executionKey is how the id of an execution reaches ids.
type executionKey struct{}

// ids gives every life of an execution the same trace, whichever process it is
// in. The trace is made of the execution's id by a hash: what samples by the
// trace's id needs one that is random all over.
type ids struct{}

// NewIDs implements sdk.IDGenerator.
func (g ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if id, ok := ctx.Value(executionKey{}).(string); ok {
		return traceOf(id), g.NewSpanID(ctx, trace.TraceID{})
	}
	var t trace.TraceID
	for !t.IsValid() {
		binary.NativeEndian.PutUint64(t[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(t[8:], rand.Uint64())
	}
	return t, g.NewSpanID(ctx, t)
}

// NewSpanID implements sdk.IDGenerator.
func (ids) NewSpanID(context.Context, trace.TraceID) (s trace.SpanID) {
	for !s.IsValid() {
		binary.NativeEndian.PutUint64(s[:], rand.Uint64())
	}
	return s
}

func traceOf(executionID string) trace.TraceID {
	sum := sha256.Sum256([]byte(executionID))
	return trace.TraceID(sum[:16])
}

// text leaves out what is empty.
func text(set []attribute.KeyValue, key attribute.Key, value string) []attribute.KeyValue {
	if value == "" {
		return set
	}
	return append(set, key.String(value))
}

// fails says of what kind a failure is. Its words may repeat what a model was
// asked, and stay here.
func fails(span trace.Span, err error) {
	if err == nil {
		return
	}
	code := string(fault.KindOf(err))
	if f := fault.As(err); f != nil && f.Code != "" {
		code = f.Code
	}
	failsAs(span, code)
}

func failsAs(span trace.Span, code string) {
	span.SetAttributes(semconv.ErrorTypeKey.String(code))
	span.SetStatus(codes.Error, code)
}
