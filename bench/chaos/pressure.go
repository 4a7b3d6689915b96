package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"agentstudio/bench/studio"
)

// The pace of the load.
const (
	startEvery = 120 * time.Millisecond // per starter
	starters   = 3
	readEvery  = 40 * time.Millisecond
	askEvery   = 25 * time.Millisecond // for readiness
	patience   = 90 * time.Second      // a request that is refused is sent again for so long
)

// What is broken just now.
const (
	whole    int32 = iota
	changing       // it goes, or comes back: both answers are right
	broken
)

// pressure starts executions, reads, and asks for readiness, as long as its
// context lasts, and remembers every answer.
type pressure struct {
	servers  []*studio.Studio
	workflow string
	state    atomic.Int32
	writes   bool // only writing is broken: reads must go on
	whole    bool // nothing may be refused
	gone     atomic.Bool
	paused   atomic.Bool
	sent     atomic.Int64

	mu       sync.Mutex
	accepted []string
	answers  map[string]int
	slowest  map[string]time.Duration
	wrong    []string // answers that nobody should get
	lies     int      // answers of /readyz that were not true
	broke    time.Time
	mended   time.Time
	ready    []time.Duration // mended → /readyz says so
	serving  []time.Duration // mended → the first 2xx of a POST
	seen     bool
	served   bool
	all      sync.WaitGroup
}

func press(ctx context.Context, servers []*studio.Studio, workflow string) *pressure {
	p := &pressure{servers: servers, workflow: workflow, answers: map[string]int{}, slowest: map[string]time.Duration{}, seen: true, served: true}
	for i := range starters {
		p.all.Go(func() { p.starts(ctx, i) })
	}
	for i, s := range servers {
		p.all.Go(func() { p.reads(ctx, s, i) })
		p.all.Go(func() { p.asks(ctx, s) })
	}
	return p
}

// wait ends when the context of the load has and each request was accepted.
func (p *pressure) wait() { p.all.Wait() }

// set says what is broken.
func (p *pressure) set(state int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch state {
	case broken:
		p.broke = time.Now()
	case whole:
		p.mended, p.seen, p.served = time.Now(), false, false
	}
	p.state.Store(state)
}

// told is how often each answer was given.
func (p *pressure) told() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.answers)
}

func (p *pressure) ids() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.accepted)
}

// starts starts executions, each under an idempotency key, and sends again what
// was not accepted.
func (p *pressure) starts(ctx context.Context, which int) {
	s := p.servers[which%len(p.servers)]
	for ctx.Err() == nil {
		rest(ctx, startEvery)
		if p.paused.Load() {
			continue
		}
		n := p.sent.Add(1)
		p.start(context.WithoutCancel(ctx), s, fmt.Sprintf("execution %d", n))
	}
}

func (p *pressure) start(ctx context.Context, s *studio.Studio, name string) {
	limit := time.Now().Add(patience)
	for time.Now().Before(limit) {
		var x struct{ ID string }
		status, _ := p.call(studio.Once(ctx, name), s, http.MethodPost, "/api/v1/executions", map[string]any{"workflow_id": p.workflow, "trigger_data": map[string]any{"n": name}}, &x)
		if status/100 == 2 {
			p.mu.Lock()
			p.accepted = append(p.accepted, x.ID)
			if p.state.Load() == whole && !p.served {
				p.served = true
				p.serving = append(p.serving, time.Since(p.mended))
			}
			p.mu.Unlock()
			return
		}
		if status == 0 && !s.Running() {
			return
		}
		rest(ctx, 100*time.Millisecond)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrong = append(p.wrong, name+" was refused for "+patience.String())
}

// call sends one request and judges the answer.
func (p *pressure) call(ctx context.Context, s *studio.Studio, method, path string, body, out any) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	began, before := time.Now(), p.state.Load()
	status, err := s.Do(ctx, method, path, body, out)
	took := time.Since(began)
	p.mu.Lock()
	defer p.mu.Unlock()
	kind := fmt.Sprintf("%s %d", method, status)
	p.answers[kind]++
	p.slowest[kind] = max(p.slowest[kind], took)
	refused := status == http.StatusServiceUnavailable && !p.whole && (!p.writes || method == http.MethodPost)
	inProgress := status == http.StatusConflict && method == http.MethodPost
	calm := before == whole && p.state.Load() == whole && began.Sub(p.mended) > answersWithin
	if status/100 != 2 && !inProgress && (!refused || calm) {
		p.wrong = append(p.wrong, fmt.Sprint(err))
		if len(p.wrong) <= 12 {
			fmt.Fprintf(os.Stderr, "%s: %v\n", took.Round(time.Millisecond), err)
		}
	}
	return status, err
}

func (p *pressure) reads(ctx context.Context, s *studio.Studio, which int) {
	for i := which; ctx.Err() == nil; i++ {
		rest(ctx, readEvery)
		path := "/api/v1/executions?limit=20"
		ids := p.ids()
		switch {
		case i%3 == 0:
			path = "/api/v1/workflows/" + p.workflow
		case i%3 == 1 && len(ids) > 0:
			path = "/api/v1/executions/" + ids[i%len(ids)]
		}
		_, _ = p.call(context.WithoutCancel(ctx), s, http.MethodGet, path, nil, nil) // judged in there
	}
}

// asks compares what /readyz says with what is so.
func (p *pressure) asks(ctx context.Context, s *studio.Studio) {
	for ctx.Err() == nil {
		rest(ctx, askEvery)
		before, began := p.state.Load(), time.Now()
		var reason json.RawMessage
		status, err := s.Do(context.WithoutCancel(ctx), http.MethodGet, "/readyz", nil, &reason)
		after := p.state.Load()
		p.mu.Lock()
		p.answers[fmt.Sprintf("readyz %d", status)]++
		p.slowest[fmt.Sprintf("readyz %d", status)] = max(p.slowest[fmt.Sprintf("readyz %d", status)], time.Since(began))
		switch {
		case before != after || before == changing:
		case before == broken && status == http.StatusOK:
			p.lies++
			fmt.Fprintf(os.Stderr, "/readyz says ready %s after the fault\n", began.Sub(p.broke).Round(time.Millisecond))
		case before == whole && status == http.StatusOK && !p.seen:
			p.seen = true
			p.ready = append(p.ready, time.Since(p.mended))
		case before == whole && status != http.StatusOK && began.Sub(p.mended) > 5*time.Second:
			p.lies++
			fmt.Fprintf(os.Stderr, "/readyz says %d although nothing is broken for %s: %v\n", status, began.Sub(p.mended).Round(time.Millisecond), err)
		}
		p.mu.Unlock()
	}
}

// report tells what was answered.
func (p *pressure) report() (out string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, kind := range slices.Sorted(maps.Keys(p.answers)) {
		out += fmt.Sprintf("  %s: %d, the slowest %s\n", kind, p.answers[kind], p.slowest[kind].Round(time.Millisecond))
	}
	out += fmt.Sprintf("answers that nobody should get: %d; untrue answers of /readyz: %d\n", len(p.wrong), p.lies)
	if len(p.ready) > 0 {
		out += fmt.Sprintf("mended → /readyz says so: median %s, worst %s; → the next start is accepted: median %s, worst %s\n", middle(p.ready), worst(p.ready), middle(p.serving), worst(p.serving))
	}
	return out
}
