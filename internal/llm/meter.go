package llm

import (
	"context"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/usage"
)

// Gate lets calls through that budgets allow.
type Gate interface {
	// Reserve holds what a call may come to, in micro-dollars and tokens, or
	// refuses it. "" means that nothing watches it.
	Reserve(ctx context.Context, r usage.Record, cost, tokens int64) (id string, err error)
	// Settle keeps the record of a call in place of what was held for it.
	Settle(ctx context.Context, id string, r usage.Record) error
}

// MeterConfig adjusts Meter. Its zero value lets every call through.
type MeterConfig struct {
	Gate Gate
	Now  func() time.Time // the clock; nil: time.Now
}

// Meter returns a model that sets each answer's cost from the prices, where
// the provider did not set it itself, and tells the sink about every call:
// tokens, cost, latency, time to the first part, outcome. A call that the gate
// refuses is not made. Prices may be nil.
func Meter(p Provider, sink usage.Sink, prices *Prices, cfg MeterConfig) Model {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &meter{provider: p, sink: sink, prices: prices, gate: cfg.Gate, now: cfg.Now}
}

type meter struct {
	provider Provider
	sink     usage.Sink
	prices   *Prices
	gate     Gate
	now      func() time.Time
}

// Generate implements Model.
func (m *meter) Generate(ctx context.Context, req Request, onPart func(Part)) (*Response, error) {
	held, err := m.reserve(ctx, req)
	if err != nil {
		return nil, err
	}
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
	m.keep(context.WithoutCancel(ctx), held, r)
	return response, err
}

// answerRoom is what an answer may take when the request does not say.
const answerRoom = 4_096

// reserve asks the gate for what the call may come to.
func (m *meter) reserve(ctx context.Context, req Request) (held string, err error) {
	if m.gate == nil {
		return "", nil
	}
	most := Usage{Input: weigh(req), Output: answerRoom}
	if req.MaxTokens > 0 {
		most.Output = int64(req.MaxTokens)
	}
	var cost int64
	if c := m.prices.Cost(m.provider.Name()+"/"+req.Model, most); c != nil {
		cost = *c
	}
	return m.gate.Reserve(ctx, m.who(req), cost, most.Input+most.Output)
}

// weigh estimates the tokens of a request: three bytes each, on the safe side
// for English and code, and so many for a picture.
func weigh(req Request) int64 {
	const picture = 1_600
	bytes, pictures := len(req.System)+len(req.OutputSchema), 0
	for _, t := range req.Tools {
		bytes += len(t.Name) + len(t.Description) + len(t.Schema)
	}
	for _, message := range req.Messages {
		for _, b := range message.Content {
			bytes += len(b.Text) + len(b.Arguments) + len(b.Name)
			if len(b.Data) > 0 || b.URL != "" {
				pictures++
			}
		}
	}
	return int64(bytes/3 + pictures*picture + 1)
}

// settleTime is how long a call waits for its record to be kept.
const settleTime = 30 * time.Second

// keep enters the record. What cannot be settled is left to the sink; what was
// held for it is let go by time.
func (m *meter) keep(ctx context.Context, held string, r usage.Record) {
	if held != "" {
		r.ID = held
		ctx, cancel := context.WithTimeout(ctx, settleTime)
		defer cancel()
		if m.gate.Settle(ctx, held, r) == nil {
			return
		}
	}
	m.sink.Record(ctx, r)
}

func (m *meter) who(req Request) usage.Record {
	c := req.Caller
	return usage.Record{UserID: c.UserID, WorkspaceID: c.WorkspaceID, WorkflowID: c.WorkflowID, ExecutionID: c.ExecutionID,
		NodeID: c.NodeID, Agent: c.Agent, Above: c.Above, APIKeyID: c.APIKeyID, Provider: m.provider.Name(), Model: req.Model}
}

func (m *meter) record(req Request, response *Response, err error) usage.Record {
	r := m.who(req)
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
