package outbound

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/limit"

	"golang.org/x/net/idna"
)

// Limit is how often a host may be called or a credential used. One of Host and
// Credential is set.
type Limit struct {
	// Host is a host's name, "*.example.com" for all names below one, or "*".
	// Of several that fit a host the most exact one counts. The hosts that fit
	// a pattern share its limit.
	Host       string
	Credential string
	Rate       limit.Rate // no Requests: not limited
}

// Limiter counts requests by key, together with other processes. It heeds the
// patience of a rate.
type Limiter interface {
	Take(ctx context.Context, key string, r limit.Rate) (limit.Verdict, error)
}

// longestWait is how far off the turn of a call may be. Beyond it the call
// fails, and whoever made it comes back later: a wait costs its execution a
// place in memory.
const longestWait = 30 * time.Second

// limits puts calls off until it is their turn.
type limits struct {
	hosts       map[string]limit.Rate
	credentials map[string]limit.Rate
	limiter     Limiter
	local       *limit.Local // counts while the limiter fails
	log         *slog.Logger
	waited      func(refused bool)
}

func newLimits(cfg Config) *limits {
	l := &limits{hosts: map[string]limit.Rate{}, credentials: map[string]limit.Rate{}, limiter: cfg.Limiter, local: limit.NewLocal(time.Now), log: cfg.Log, waited: cfg.Waited}
	for _, one := range cfg.Limits {
		if one.Credential != "" {
			l.credentials[one.Credential] = one.Rate
			continue
		}
		l.hosts[plainHost(one.Host)] = one.Rate
	}
	if l.limiter == nil {
		l.limiter = l.local
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.waited == nil {
		l.waited = func(bool) {}
	}
	return l
}

// plainHost writes a host's name the one way it is compared in.
func plainHost(host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	below, wild := strings.CutPrefix(host, "*.")
	if ascii, err := idna.Lookup.ToASCII(below); err == nil {
		below = ascii
	}
	if wild {
		return "*." + below
	}
	return below
}

// of returns the pattern that counts for a host, and its rate.
func (l *limits) of(host string) (pattern string, rate limit.Rate) {
	host = plainHost(host)
	if rate, ok := l.hosts[host]; ok {
		return host, rate
	}
	for rest := host; ; {
		_, below, ok := strings.Cut(rest, ".")
		if !ok {
			return "*", l.hosts["*"]
		}
		if rate, ok := l.hosts["*."+below]; ok {
			return "*." + below, rate
		}
		rest = below
	}
}

// Turn waits until a call to the address may be made with the credential (may
// be empty), under the operator's limits. It is for those who make their calls
// by another client. TooMany (code "outbound_limit"): the turn is too far off,
// or after the end of ctx; RetryAfter says how far. Cancelled: ctx was
// cancelled.
func (c *Client) Turn(ctx context.Context, address, credential string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%q is not an address", address)
	}
	return c.turn(ctx, u, credential)
}

func (c *Client) turn(ctx context.Context, u *url.URL, credential string) error {
	l := c.limits
	if len(l.hosts) == 0 && len(l.credentials) == 0 {
		return nil
	}
	pattern, rate := l.of(u.Hostname())
	wait, err := l.take(ctx, "host:"+pattern, u.Host, rate)
	if err != nil {
		return err
	}
	if credential != "" {
		more, err := l.take(ctx, "credential:"+credential, "the credential "+credential, l.credentials[credential])
		if err != nil {
			return err
		}
		wait = max(wait, more)
	}
	if wait <= 0 {
		return nil
	}
	l.waited(false)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return explain(u, wait, ctx.Err())
	}
}

// take counts a call and returns when its turn is. While the limiter fails this
// process counts alone: what keeps the count must not be able to stop the studio.
func (l *limits) take(ctx context.Context, key, what string, rate limit.Rate) (time.Duration, error) {
	if rate.Requests <= 0 || rate.Per <= 0 {
		return 0, nil
	}
	even := rate.Even()
	even.Patience = longestWait
	if end, ok := ctx.Deadline(); ok {
		even.Patience = max(0, min(longestWait, time.Until(end)))
	}
	v, err := l.limiter.Take(ctx, "outbound:"+key, even)
	if err != nil {
		if ctx.Err() != nil {
			return 0, nil //nolint:nilerr // whoever calls finds that out by themselves
		}
		l.log.Warn("limits of outbound calls are counted in this process alone", "error", err)
		if v, err = l.local.Take(ctx, "outbound:"+key, even); err != nil {
			return 0, err
		}
	}
	if !v.Allowed {
		l.waited(true)
		return 0, fault.New(fault.TooMany, "this studio may call %s %s only, and the next turn is in %s", what, rate, v.Retry.Round(time.Second)+time.Second).
			WithCode("outbound_limit").WithRetryAfter(v.Retry)
	}
	return v.Wait, nil
}
