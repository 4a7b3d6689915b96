package app

import (
	"context"
	"time"

	"agentstudio/internal/agent"
	"agentstudio/internal/config"
	"agentstudio/internal/engine"
	"agentstudio/internal/telemetry"
	"agentstudio/internal/tool"
)

// tracers follow what the rooms do. The zero value follows nothing.
type tracers struct {
	all    *telemetry.Tracer
	engine engine.Tracer
	agent  agent.Tracer
	tool   tool.Tracer
}

func newTracers(ctx context.Context, cfg config.Config, opts Options) (tracers, error) {
	if cfg.OTLPEndpoint == "" && cfg.OTLPTraces == "" {
		return tracers{}, nil
	}
	t, err := telemetry.New(ctx, telemetry.Config{Endpoint: cfg.OTLPEndpoint, Traces: cfg.OTLPTraces, Version: opts.Version, Log: opts.Log})
	if err != nil {
		return tracers{}, err
	}
	return tracers{all: t, engine: t, agent: t, tool: t}, nil
}

// lastSpans is how long a collector has to take the last spans.
const lastSpans = 5 * time.Second

// shutdown sends what is left. What the collector does not take is lost, and
// no reason to fail.
func (t tracers) shutdown() {
	if t.all == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastSpans)
	defer cancel()
	_ = t.all.Shutdown(ctx)
}
