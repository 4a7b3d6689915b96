package tool

import (
	"context"
	"sync"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/limit"
	"agentstudio/internal/node"
	"agentstudio/internal/usage"
)

// limited is the code of calls that a tool's rate limit has refused.
const limited = "tool_limit"

// Limiter counts calls by key, together with other processes where it can.
type Limiter interface {
	Take(ctx context.Context, key string, r limit.Rate) (limit.Verdict, error)
}

// GateConfig adjusts a Gate; zero values are useful.
type GateConfig struct {
	Ledger  usage.Sink       // hears of every call; nil: nobody does
	Limiter Limiter          // nil: this process counts for itself
	Now     func() time.Time // nil: time.Now
	Tracer  Tracer           // follows the calls; nil: nobody does
}

// Tracer tells others which tools are called and how long it takes. It must not
// block.
type Tracer interface {
	// Tool hears of a call that begins; what is begun within its context belongs
	// to it.
	Tool(ctx context.Context, s Spec, c Call) (_ context.Context, end func(err error))
}

// Gate is what every use of a tool passes: it holds the tool's rate limit, and
// enters the call in the ledger, whatever became of it. It is safe for
// concurrent use.
type Gate struct {
	cfg   GateConfig
	local *limit.Local // counts while the limiter fails

	mu    sync.Mutex
	begun map[string]time.Time // workflows that were counted, by the call they are run for
}

// NewGate returns the gate. Tools of one studio pass one.
func NewGate(cfg GateConfig) *Gate {
	if cfg.Ledger == nil {
		cfg.Ledger = usage.Discard{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	g := &Gate{cfg: cfg, local: limit.NewLocal(cfg.Now), begun: map[string]time.Time{}}
	if cfg.Limiter == nil {
		g.cfg.Limiter = g.local
	}
	return g
}

// Use runs a tool. TooMany (code "tool_limit"): the workspace has used it as
// often as it may; the tool was not run, and RetryAfter says when it may be.
// When ctx has ended for a reason that is a fault, that is the failure.
func (g *Gate) Use(ctx context.Context, t Tool, call Call) (result Result, err error) {
	if g.cfg.Tracer != nil {
		var end func(error)
		ctx, end = g.cfg.Tracer.Tool(ctx, t.Spec, call)
		defer func() { end(err) }()
	}
	began := g.cfg.Now()
	if err := g.admit(ctx, t, call); err != nil {
		g.enter(ctx, t, call, began, Result{}, err)
		return Result{}, err
	}
	result, err = t.Run(ctx, call)
	if err != nil && ctx.Err() != nil && fault.As(context.Cause(ctx)) != nil {
		err = context.Cause(ctx)
	}
	g.enter(ctx, t, call, began, result, err)
	return result, err
}

// Child says which workflow is run for the call, as t.Child does, and counts
// the call when there is one: as often as it is asked about a call with a key,
// that is counted once until it has Ended. TooMany as for Use.
func (g *Gate) Child(ctx context.Context, t Tool, call Call) (start node.ChildStart, runs bool, err error) {
	if t.Child == nil {
		return start, false, nil
	}
	if start, runs, err = t.Child(ctx, call); err != nil || !runs || !g.first(call.Key) {
		return start, runs, err
	}
	if err := g.admit(ctx, t, call); err != nil {
		g.forget(call.Key)
		g.enter(ctx, t, call, g.cfg.Now(), Result{}, err)
		return node.ChildStart{}, false, err
	}
	return start, true, nil
}

// Ended enters a call that a workflow has answered.
func (g *Gate) Ended(ctx context.Context, t Tool, call Call, with *node.Resume) (Result, error) {
	g.forget(call.Key)
	result := Result{Value: with.Data}
	g.enter(ctx, t, call, g.cfg.Now(), result, with.Err)
	return result, with.Err
}

// Limited reports whether a tool's rate limit was the failure.
func Limited(err error) bool {
	f := fault.As(err)
	return f != nil && f.Code == limited
}

// admit counts a call. While the limiter fails this process counts alone: what
// keeps the count must not be able to stop the studio.
func (g *Gate) admit(ctx context.Context, t Tool, call Call) error {
	if t.Limit.Requests <= 0 || t.Limit.Per <= 0 {
		return nil
	}
	key := "tool:" + call.WorkspaceID + ":" + t.Name
	v, err := g.cfg.Limiter.Take(ctx, key, t.Limit)
	if err != nil {
		if v, err = g.local.Take(ctx, key, t.Limit); err != nil {
			return err
		}
	}
	if v.Allowed {
		return nil
	}
	return fault.New(fault.TooMany, "the tool %s may be used %s in this workspace, and that is used up: it was not called; try again in %s", t.Name, t.Limit, limit.Spoken(v.Retry)).
		WithCode(limited).WithRetryAfter(v.Retry)
}

// maxBegun bounds the calls that a gate remembers.
const maxBegun = 10_000

// first reports whether a call is to be counted, and remembers that it was.
func (g *Gate) first(key string) bool {
	if key == "" {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, counted := g.begun[key]; counted {
		return false
	}
	if len(g.begun) >= maxBegun {
		g.sweep()
	}
	g.begun[key] = g.cfg.Now()
	return true
}

// sweep forgets the older half or so of the calls. One that ended in another
// process stays until then.
func (g *Gate) sweep() {
	var oldest, newest time.Time
	for _, at := range g.begun {
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
		if at.After(newest) {
			newest = at
		}
	}
	middle := oldest.Add(newest.Sub(oldest) / 2)
	for key, at := range g.begun {
		if !at.After(middle) {
			delete(g.begun, key)
		}
	}
}

func (g *Gate) forget(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.begun, key)
}

func (g *Gate) enter(ctx context.Context, t Tool, call Call, began time.Time, result Result, err error) {
	u := result.Entry()
	r := usage.Record{UserID: call.UserID, WorkspaceID: call.WorkspaceID, WorkflowID: call.WorkflowID, ExecutionID: call.ExecutionID, NodeID: call.NodeID,
		Agent: call.AgentID, Above: call.Above, APIKeyID: call.APIKeyID, Tool: t.Name, Input: u.Input, Output: u.Output, CacheRead: u.CacheRead, CacheWrite: u.CacheWrite,
		At: began, Latency: g.cfg.Now().Sub(began), Outcome: usage.Answered}
	if !u.CostUnknown {
		r.CostMicros = &u.CostMicros
	}
	if err != nil {
		r.Outcome, r.ErrorCode = usage.Failed, string(fault.KindOf(err))
		if f := fault.As(err); f != nil && f.Code != "" {
			r.ErrorCode = f.Code
		}
		if ctx.Err() != nil && !fault.Is(err, fault.Timeout) {
			r.Outcome = usage.Cancelled
		}
	}
	g.cfg.Ledger.Record(context.WithoutCancel(ctx), r)
}
