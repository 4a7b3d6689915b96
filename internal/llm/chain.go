package llm

import (
	"context"
	"errors"

	"agentstudio/internal/fault"
)

// Chain is a model, and those asked in its place when it is overloaded or out
// of order: faults Upstream overloaded, rate_limited, server_error,
// unreachable or stream_cut, and time-outs, as long as no part of an answer
// was passed on. A refusal, a request the provider does not accept, a missing
// key and the caller's own cancel or deadline are never handed on.
type Chain struct{ targets []target }

type target struct {
	provider   string
	info       ModelInfo
	model      Model
	configured bool
	listed     bool // what its info says is known
}

func (t target) id() string { return t.provider + "/" + t.info.Name }

// Names returns the models as "provider/name", the first asked first.
func (c *Chain) Names() []string {
	var out []string
	for _, t := range c.targets {
		out = append(out, t.id())
	}
	return out
}

// Blind returns those of the models that are known to read texts only.
func (c *Chain) Blind() []string {
	var out []string
	for _, t := range c.targets {
		if t.listed && !t.info.Vision {
			out = append(out, t.id())
		}
	}
	return out
}

// ContextTokens returns the smallest known window of the models; 0 when none
// is known.
func (c *Chain) ContextTokens() int {
	window := 0
	for _, t := range c.targets {
		if n := t.info.ContextTokens; n > 0 && (window == 0 || n < window) {
			window = n
		}
	}
	return window
}

// Generate implements Model; the request's Model is set for each that is
// asked. When all fail, the first one's fault is returned with the others as
// causes.
func (c *Chain) Generate(ctx context.Context, req Request, onPart func(Part)) (*Response, error) {
	var first *fault.Error
	var others []error
	for i, t := range c.targets {
		begun := false
		req.Model = t.info.Name
		response, err := t.model.Generate(ctx, req, func(p Part) {
			begun = true
			if onPart != nil {
				onPart(p)
			}
		})
		if err == nil {
			return response, nil
		}
		f := fault.As(err)
		if f == nil || begun || !Transient(err) || ctx.Err() != nil || len(c.targets) == 1 {
			return nil, err
		}
		if first == nil {
			first = f
		}
		others = append(others, err)
		if i == len(c.targets)-1 {
			return nil, fault.Wrap(first.Kind, errors.Join(others...), "%s; the models to fall back on failed too", first.Message).WithCode(first.Code).WithRetryAfter(first.RetryAfter)
		}
	}
	return nil, fault.New(fault.Invalid, "no model was named")
}
