package llm

import (
	"context"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/usage"
)

// Meter returns a model that sets each answer's cost from the prices, where
// the provider did not set it itself, and tells the sink about every call:
// tokens, cost, latency, time to the first part, outcome. Prices may be nil.
// now is the clock; nil means time.Now.
func Meter(p Provider, sink usage.Sink, prices *Prices, now func() time.Time) Model {
	if now == nil {
		now = time.Now
	}
	return &meter{provider: p, sink: sink, prices: prices, now: now}
}

type meter struct {
	provider Provider
	sink     usage.Sink
	prices   *Prices
	now      func() time.Time
}

// Generate implements Model.
func (m *meter) Generate(ctx context.Context, req Request, onPart func(Part)) (*Response, error) {
	start := m.now()
	var first time.Duration
	response, err := m.provider.Generate(ctx, req, func(p Part) {
		if first == 0 {
			first = max(m.now().Sub(start), 1)
		}
		if onPart != nil {
			onPart(p)
		}
	})
	if err == nil && response.CostMicros == nil && !response.UsageUnknown {
		response.CostMicros = m.prices.Cost(m.provider.Name()+"/"+req.Model, response.Usage)
	}
	r := m.record(req, response, err)
	r.At, r.Latency, r.FirstToken = start, m.now().Sub(start), first
	m.sink.Record(context.WithoutCancel(ctx), r)
	return response, err
}

func (m *meter) record(req Request, response *Response, err error) usage.Record {
	c := req.Caller
	r := usage.Record{UserID: c.UserID, WorkspaceID: c.WorkspaceID, WorkflowID: c.WorkflowID, ExecutionID: c.ExecutionID,
		NodeID: c.NodeID, Agent: c.Agent, Above: c.Above, APIKeyID: c.APIKeyID, Provider: m.provider.Name(), Model: req.Model}
	if err != nil {
		if u, said := CountedOf(err); said {
			r = counting(r, u, m.prices.Cost(m.provider.Name()+"/"+req.Model, u))
		}
		r.Outcome, r.ErrorCode = usage.Failed, string(fault.KindOf(err))
		if f := fault.As(err); f != nil && f.Code != "" {
			r.ErrorCode = f.Code
		}
		if fault.Is(err, fault.Cancelled) {
			r.Outcome = usage.Cancelled
		}
		return r
	}
	r = counting(r, response.Usage, response.CostMicros)
	r.Outcome = usage.Answered
	if response.StopReason == Refusal {
		r.Outcome = usage.Refused
	}
	return r
}

func counting(r usage.Record, u Usage, cost *int64) usage.Record {
	r.Input, r.Output, r.CacheRead, r.CacheWrite, r.Reasoning, r.CostMicros = u.Input, u.Output, u.CacheRead, u.CacheWrite, u.Reasoning, cost
	return r
}
