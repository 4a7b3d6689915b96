package agent

import (
	"strings"
	"sync"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
)

// purse is what a run has used of its limits, the agents it called included.
// It is safe for concurrent use: those may be several at a time.
type purse struct {
	limits Limits

	mu    sync.Mutex
	steps int
	usage node.Usage
}

// remember takes in what earlier lives used under the prefix, so that a run
// that is taken up again has no more left than it had.
func (p *purse) remember(past map[string]node.PastStep, prefix string) {
	for name, s := range past {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if s.Kind == "turn" || s.Kind == "compaction" {
			p.steps++
		}
		p.usage = p.usage.Add(s.Usage)
	}
}

// check says which limit is reached, or nil.
func (p *purse) check(title string) error {
	l := p.limits
	switch {
	case p.steps >= l.MaxSteps:
		return fault.New(fault.OverBudget, "%s reached its limit of %d steps", title, l.MaxSteps).WithCode("step_limit")
	case l.MaxCost > 0 && p.usage.CostMicros >= l.MaxCost:
		return fault.New(fault.OverBudget, "%s reached its limit of $%.4f: it has used $%.4f", title, float64(l.MaxCost)/1e6, float64(p.usage.CostMicros)/1e6).WithCode("cost_limit")
	case l.MaxTokens > 0 && p.tokens() >= l.MaxTokens:
		return fault.New(fault.OverBudget, "%s reached its limit of %d tokens: it has used %d", title, l.MaxTokens, p.tokens()).WithCode("token_limit")
	}
	return nil
}

func (p *purse) tokens() int64 {
	u := p.usage
	return u.Input + u.Output + u.CacheRead + u.CacheWrite
}

// total writes what was used into the output.
func (p *purse) total(out *Output) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.usage
	out.Usage = llm.Usage{Input: u.Input, Output: u.Output, CacheRead: u.CacheRead, CacheWrite: u.CacheWrite}
	if !u.CostUnknown {
		out.CostMicros = &u.CostMicros
	}
}

// take takes one step out of the run's purse and those of everybody who called
// it, before a model is asked; or out of none, and says whose limit is reached.
// Callers are locked from the inside out, which is one order for all.
func (r *run) take() error {
	var held []*run
	defer func() {
		for _, p := range held {
			p.purse.mu.Unlock()
		}
	}()
	for p := r; p != nil; p = p.parent {
		p.purse.mu.Lock()
		held = append(held, p)
		if err := p.purse.check(p.title()); err != nil {
			return err
		}
	}
	for _, p := range held {
		p.purse.steps++
		if p.purse.limits.MaxCost > 0 && p.purse.usage.CostUnknown && !p.warned {
			p.warned = true
			p.call.Log("warn", "the price of this model is not known: max_cost_usd cannot bound it", nil)
		}
	}
	return nil
}

// spent says which limit of the run or of its callers is reached, or nil.
func (r *run) spent() error {
	for p := r; p != nil; p = p.parent {
		p.purse.mu.Lock()
		err := p.purse.check(p.title())
		p.purse.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// spend notes what was used. steps is -1 for a model that was asked and gave
// no answer.
func (r *run) spend(steps int, u node.Usage) {
	for p := r; p != nil; p = p.parent {
		p.purse.mu.Lock()
		p.purse.steps += steps
		p.purse.usage = p.purse.usage.Add(u)
		p.purse.mu.Unlock()
	}
}
