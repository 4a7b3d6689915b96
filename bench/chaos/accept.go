package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"
)

// accepts calls a webhook from many sides, kills the server meanwhile, and
// looks whether each call that was answered with 2xx has exactly one run. Each
// delivery is sent again after the restart, as senders do, and must find the
// run that is there.
func (c *chaos) accepts(ctx context.Context) error {
	s, err := c.start(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(s.SignIn(ctx, "chaos@example.org"), s.UseKey(ctx)); err != nil {
		return err
	}
	token := s.Token
	id, err := s.Create(ctx, c.hook())
	if err != nil {
		return err
	}
	if err := s.Call(ctx, http.MethodPatch, "/api/v1/workflows/"+id+"/status", map[string]any{"status": "published"}, nil); err != nil {
		return err
	}
	for round := range c.kills {
		var mu sync.Mutex
		answered := map[string]string{} // execution by delivery
		var all sync.WaitGroup
		deliver := func(delivery string) {
			var x struct {
				ID string `json:"execution_id"`
			}
			if s.Call(ctx, http.MethodPost, "/hooks/chaos/accept", map[string]any{"n": delivery}, &x) == nil {
				mu.Lock()
				defer mu.Unlock()
				if before := answered[delivery]; before != "" && before != x.ID {
					fmt.Fprintf(os.Stderr, "delivery %s is %s and %s\n", delivery, before, x.ID)
					c.sum.again++
				}
				answered[delivery] = x.ID
			}
		}
		for i := range c.executions {
			all.Go(func() { deliver(fmt.Sprintf("%d.%d", round, i)) })
		}
		<-time.After(time.Duration(c.moments.Int64N(int64(30 * time.Millisecond))))
		if err := s.Kill(); err != nil {
			return err
		}
		all.Wait()
		accepted := len(answered)
		if s, err = c.start(ctx); err != nil {
			return err
		}
		s.Token = token
		c.sum.ready = append(c.sum.ready, s.Ready)
		began := time.Now()
		for i := range c.executions {
			deliver(fmt.Sprintf("%d.%d", round, i))
		}
		ids := make([]string, 0, len(answered))
		for _, id := range answered {
			ids = append(ids, id)
		}
		if len(ids) != c.executions {
			return fmt.Errorf("round %d: %d of %d deliveries were answered after the restart", round, len(ids), c.executions)
		}
		if err := c.await(ctx, s, ids); err != nil {
			return err
		}
		c.sum.rest = append(c.sum.rest, time.Since(began))
		c.sum.kills++
		c.sum.executions += accepted
	}
	var page struct{ Total int }
	if err := s.Call(ctx, http.MethodGet, "/api/v1/executions?limit=1&workflow_id="+id, nil, &page); err != nil {
		return err
	}
	if want := c.kills * c.executions; page.Total != want {
		fmt.Fprintf(os.Stderr, "there are %d runs of %d deliveries\n", page.Total, want)
		c.sum.again += max(0, page.Total-want)
		c.sum.lost += max(0, want-page.Total)
	}
	return s.Stop()
}

// hook is a workflow that a delivery starts once.
func (c *chaos) hook() map[string]any {
	type object = map[string]any
	return object{"name": "Accept", "nodes": []object{
		{"id": "hook", "kind": "webhook-trigger", "config": object{"path": "accept", "dedupe_key": "trigger.body.n"}},
		{"id": "effect", "kind": "http-request", "config": object{"method": "POST", "url": c.address + "/effect", "body": object{"n": "{{ trigger.body.n }}"}}}},
		"connections": []object{{"source": "hook", "target": "effect"}}}
}
