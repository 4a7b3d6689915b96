package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"agentstudio/bench/studio"
	"agentstudio/internal/store"
)

func middle(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(times))[len(times)/2].Round(time.Millisecond)
}

func worst(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return slices.Max(times).Round(time.Millisecond)
}

// effects counts the requests of nodes by their idempotency key: the world
// outside, which does not forget when the server dies.
type effects struct {
	mu   sync.Mutex
	hits map[string]int
}

func (e *effects) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.hits[r.Header.Get("Idempotency-Key")]++
	e.mu.Unlock()
	timer := time.NewTimer(time.Duration(5+rand.IntN(30)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"ok":true}`)) // a client that was killed does not read it
}

func (e *effects) copy() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.hits)
}

type chaos struct {
	options
	dir     string
	effects *effects
	address string
	moments *rand.Rand
	sum     summary
}

func run(ctx context.Context, o options, moments *rand.Rand) (sum *summary, err error) {
	c := &chaos{options: o, effects: &effects{hits: map[string]int{}}, moments: moments}
	if c.dir, err = os.MkdirTemp("", "studio-chaos-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.address = "http://" + l.Addr().String()
	server := &http.Server{Handler: c.effects, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	defer func() {
		err = errors.Join(err, server.Close())
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
	}()
	switch {
	case o.breaks != "":
		return &c.sum, c.fault(ctx)
	case o.database != "":
		return &c.sum, c.cluster(ctx)
	case o.accept:
		return &c.sum, c.accepts(ctx)
	}
	return &c.sum, c.rounds(ctx)
}

func (c *chaos) start(ctx context.Context) (*studio.Studio, error) {
	o := studio.Options{Binary: c.binary, Dir: c.dir}
	if c.model != "" {
		o.Env = []string{"OPENAI_BASE_URL=" + c.model + "/openai/v1", "OPENAI_API_KEY=none"}
	}
	return studio.Start(ctx, o)
}

func (c *chaos) rounds(ctx context.Context) error {
	s, err := c.start(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(s.SignIn(ctx, "chaos@example.org"), s.UseKey(ctx)); err != nil {
		return err
	}
	token := s.Token
	id, err := s.Create(ctx, c.workflow())
	if err != nil {
		return err
	}
	for i := range c.kills {
		ids, err := c.load(ctx, s, id, i)
		if err != nil {
			return err
		}
		if err := s.Kill(); err != nil {
			return err
		}
		before, err := c.look(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		if s, err = c.start(ctx); err != nil {
			return err
		}
		s.Token = token
		c.sum.ready = append(c.sum.ready, s.Ready)
		if err := c.await(ctx, s, ids); err != nil {
			return err
		}
		c.sum.rest = append(c.sum.rest, time.Since(began))
		if err := c.judge(ctx, before); err != nil {
			return err
		}
	}
	return s.Stop()
}

// load starts the executions and returns at a random moment in their lives.
func (c *chaos) load(ctx context.Context, s *studio.Studio, workflow string, round int) ([]string, error) {
	ids := make([]string, c.executions)
	errs := make([]error, c.executions)
	slots := make(chan struct{}, 16)
	var all sync.WaitGroup
	for i := range ids {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			var x struct{ ID string }
			errs[i] = s.Call(ctx, http.MethodPost, "/api/v1/executions", map[string]any{"workflow_id": workflow,
				"trigger_data": map[string]any{"n": fmt.Sprintf("round %d execution %d", round, i)}}, &x)
			ids[i] = x.ID
		})
	}
	all.Wait()
	timer := time.NewTimer(time.Duration(c.moments.IntN(600)) * time.Millisecond)
	defer timer.Stop()
	<-timer.C
	c.sum.kills++
	c.sum.executions += len(ids)
	return ids, errors.Join(errs...)
}

// await waits until every execution is over.
func (c *chaos) await(ctx context.Context, s *studio.Studio, ids []string) error {
	limit, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for _, id := range ids {
		for {
			var x struct {
				Status string
				Error  json.RawMessage
			}
			if err := s.Call(limit, http.MethodGet, "/api/v1/executions/"+id, nil, &x); err != nil {
				return err
			}
			if x.Status == "completed" {
				break
			}
			if x.Status == "failed" || x.Status == "cancelled" {
				fmt.Fprintf(os.Stderr, "execution %s is %s: %s\n", id, x.Status, x.Error)
				c.sum.lost++
				break
			}
			select {
			case <-limit.Done():
				fmt.Fprintf(os.Stderr, "execution %s is still %s\n%s\n", id, x.Status, s.Log())
				return limit.Err()
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}

// seen is what was committed at a kill, and what the world had seen of it.
type seen struct {
	nodes map[string]bool // keys of completed nodes with an effect
	hits  map[string]int
	turns map[string]bool // "conversation turn" of committed answers
	asked map[string]int
}

// look reads the tables of the dead server.
func (c *chaos) look(ctx context.Context) (_ *seen, err error) {
	out := &seen{nodes: map[string]bool{}, hits: c.effects.copy(), turns: map[string]bool{}}
	db, err := store.Open(ctx, store.Config{DataDir: c.dir})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.Read().QueryContext(ctx, `SELECT execution_id, node_id, iteration, kind FROM node_executions WHERE status = 'completed'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	finished := 0
	for rows.Next() {
		var execution, node, iteration, kind string
		if err := rows.Scan(&execution, &node, &iteration, &kind); err != nil {
			return nil, err
		}
		finished++
		if kind == "http-request" {
			out.nodes[execution+"/"+node+"/"+iteration] = true
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	c.sum.finished = finished
	if err := c.lookAtTurns(ctx, db.Read(), "", out); err != nil {
		return nil, err
	}
	out.asked, err = c.journal(ctx)
	return out, err
}

func (c *chaos) lookAtTurns(ctx context.Context, db tables, narrow string, out *seen) error {
	steps, err := db.QueryContext(ctx, `SELECT e.trigger_data, s.name, s.kind FROM agent_steps s JOIN executions e ON e.id = s.execution_id WHERE s.kind <> ''`+narrow)
	if err != nil {
		return err
	}
	defer steps.Close()
	c.sum.steps = 0
	for steps.Next() {
		var data, name, kind string
		if err := steps.Scan(&data, &name, &kind); err != nil {
			return err
		}
		c.sum.steps++
		var trigger struct{ N string }
		if err := json.Unmarshal([]byte(data), &trigger); err != nil {
			return err
		}
		if kind == "turn" {
			out.turns[trigger.N+" "+name] = true
		}
	}
	return steps.Err()
}

// journal asks the model's stand-in how often each turn was asked for.
func (c *chaos) journal(ctx context.Context) (map[string]int, error) {
	asked := map[string]int{}
	if c.model == "" {
		return asked, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.model+"/journal", nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var turns map[string]map[string]int
	if err := json.NewDecoder(answer.Body).Decode(&turns); err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	for conversation, counts := range turns {
		for turn, n := range counts {
			asked[conversation+" turn-"+turn] = n
		}
	}
	return asked, nil
}

// judge compares the world with what it was at the kill.
func (c *chaos) judge(ctx context.Context, before *seen) error {
	for key, n := range c.effects.copy() {
		switch was := before.hits[key]; {
		case n > was && before.nodes[key]:
			c.sum.again++
			fmt.Fprintf(os.Stderr, "%s was finished and ran again\n", key)
		case n > was && was > 0:
			c.sum.inFlight++
		}
	}
	asked, err := c.journal(ctx)
	if err != nil {
		return err
	}
	for turn, n := range asked {
		if n > before.asked[turn] && before.turns[turn] {
			c.sum.asked++
			fmt.Fprintf(os.Stderr, "%s was answered and asked for again\n", turn)
		}
	}
	return nil
}

// workflow is effects in a row, in a loop, and an agent with tools.
func (c *chaos) workflow() map[string]any {
	type object = map[string]any
	effect := func(id string) object {
		return object{"id": id, "kind": "http-request", "config": object{"method": "POST", "url": c.address + "/" + id, "body": object{"n": "{{ trigger.n }}"}}}
	}
	body := effect("item")
	body["parent_id"] = "each"
	model, script := "demo/scripted", []any{object{"tool_calls": []any{object{"name": "calculator", "arguments": object{"expression": "1+1"}}}, "delay_ms": 10},
		object{"tool_calls": []any{object{"name": "calculator", "arguments": object{"expression": "2+2"}}}, "delay_ms": 10}, object{"text": "done", "delay_ms": 10}}
	if c.model != "" {
		model = "openai/stub"
	}
	return object{"name": "Chaos", "nodes": []object{{"id": "start", "kind": "manual-trigger"}, effect("first"), effect("second"),
		{"id": "each", "kind": "loop", "config": object{"items": "{{ 1..4 }}", "parallel": 2}}, body,
		{"id": "agent", "kind": "agent", "config": object{"model": model, "prompt": "{{ trigger.n }}", "tools": []string{"calculator"}, "script": script}},
		effect("last"), {"id": "out", "kind": "set", "config": object{"values": object{"ok": true}}}},
		"connections": []object{{"source": "start", "target": "first"}, {"source": "first", "target": "second"}, {"source": "second", "target": "each"},
			{"source": "each", "target": "agent"}, {"source": "agent", "target": "last"}, {"source": "last", "target": "out"}}}
}
