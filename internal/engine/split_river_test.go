package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/node"
	"agentstudio/internal/store/storetest"
)

// counted is how often items ran, by worker and by key.
type counted struct {
	mu     sync.Mutex
	keys   map[string]int
	worker map[int]int
}

func (c *counted) probes(worker int, pace time.Duration) *probes {
	p := newProbes()
	p.splitFrom = 2
	p.on("work", func(ctx context.Context, call node.Call, cfg probeConfig) (node.Result, error) {
		c.mu.Lock()
		c.keys[call.Key]++
		c.worker[worker]++
		c.mu.Unlock()
		select {
		case <-time.After(pace):
		case <-ctx.Done():
		}
		return node.Output("", cfg.Value), ctx.Err()
	})
	return p
}

func newCounted() *counted { return &counted{keys: map[string]int{}, worker: map[int]int{}} }

func TestASplitGoesToAllWorkers(t *testing.T) {
	url := storetest.PostgresURL(t)
	c := newCounted()
	first := startShared(t, url, c.probes(0, 2*time.Millisecond), nil)
	id := first.define(spreadSplit("fleet", 400, 20, ""))
	startShared(t, url, c.probes(1, 2*time.Millisecond), nil).define(spreadSplit("fleet", 400, 20, ""))
	x := first.create(id, nil)
	awaitRow(t, first, x.ID, execution.Completed)
	expectJSON(t, first.find(x.ID).Output, spreadTotal(400))
	if c.worker[0] < 40 || c.worker[1] < 40 || len(c.keys) != 400 {
		t.Errorf("the workers ran %v of %d items", c.worker, len(c.keys))
	}
	for key, n := range c.keys {
		if n != 1 {
			t.Errorf("%s ran %d times", key, n)
		}
	}
}

func TestTenThousandItemsOverThreeWorkers(t *testing.T) {
	url := storetest.PostgresURL(t)
	c := newCounted()
	first := startShared(t, url, c.probes(0, 0), nil)
	text := `
name: many
nodes:
  - {id: start, kind: manual-trigger}
  - {id: each, kind: split, config: {items: "{{ 1..10000 }}", parallel: 60, on_item_error: continue}}
  - {id: work, kind: probe, parent_id: each, config: {value: "{{ item > 9990 ? trigger.gone.gone : item * 3 }}"}}
  - {id: out, kind: set, config: {values: {errors: "{{ map(nodes.each.output.errors, .index) }}"}}}
connections: [{source: start, target: each}, {source: each, target: out}]
`
	id := first.define(text)
	for i := range 2 {
		startShared(t, url, c.probes(i+1, 0), nil).define(text)
	}
	x := first.create(id, map[string]any{})
	awaitRowFor(t, first, x.ID, execution.Completed, 2*time.Minute)
	expectJSON(t, first.find(x.ID).Output, `{"errors": [9990,9991,9992,9993,9994,9995,9996,9997,9998,9999]}`)
	var out struct{ Items []any }
	err := json.Unmarshal(first.nodes(x.ID)["each"].Output, &out)
	if err != nil || len(out.Items) != 10_000 {
		t.Fatalf("there are %d results (%v)", len(out.Items), err)
	}
	for i, v := range out.Items {
		if i < 9990 && v != float64(3*(i+1)) || i >= 9990 && v != nil {
			t.Errorf("result %d is %v", i, v)
		}
	}
	if len(c.keys) != 9990 {
		t.Errorf("%d items ran", len(c.keys))
	}
	for worker := range 3 {
		if c.worker[worker] < 500 {
			t.Errorf("the workers ran %v items", c.worker)
			break
		}
	}
}

// A worker that dies leaves its shares to the others: what they had finished is
// not run again.
func TestSharesOfADeadWorkerGoOnElsewhere(t *testing.T) {
	url := storetest.PostgresURL(t)
	c := newCounted()
	first := startShared(t, url, c.probes(0, 5*time.Millisecond), nil)
	id := first.define(spreadSplit("dies", 300, 12, ""))
	second := startShared(t, url, c.probes(1, 5*time.Millisecond), nil)
	second.define(spreadSplit("dies", 300, 12, ""))
	x := first.create(id, nil)
	eventually(t, "both at work", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.worker[0] > 20 && c.worker[1] > 20
	})
	second.stop()
	finished := map[string]bool{}
	for _, share := range first.shares(x.ID) {
		for _, n := range first.nodes(share.ID) {
			if n.NodeID == "work" && n.Status == execution.NodeCompleted {
				finished[fmt.Sprintf("%s/work/%s", x.ID, n.Iteration)] = true
			}
		}
	}
	awaitRow(t, first, x.ID, execution.Completed)
	expectJSON(t, first.find(x.ID).Output, spreadTotal(300))
	again := 0
	for key, n := range c.keys {
		if n > 1 && finished[key] {
			t.Errorf("%s was finished and ran %d times", key, n)
		}
		again += n - 1
	}
	if len(c.keys) != 300 || again > 12 {
		t.Errorf("%d items ran, %d of them again", len(c.keys), again)
	}
}

func TestCancelReachesTheSharesOnAllWorkers(t *testing.T) {
	url := storetest.PostgresURL(t)
	c := newCounted()
	first := startShared(t, url, c.probes(0, time.Minute), nil)
	id := first.define(spreadSplit("cancelled", 100, 20, ""))
	startShared(t, url, c.probes(1, time.Minute), nil).define(spreadSplit("cancelled", 100, 20, ""))
	x := first.create(id, nil)
	eventually(t, "all at work", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.worker[0]+c.worker[1] == 20
	})
	asked := time.Now()
	if _, err := first.store.RequestCancel(t.Context(), "w", x.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all cancelled", func() bool {
		for _, share := range first.shares(x.ID) {
			if share.Status != execution.Cancelled {
				return false
			}
		}
		return first.find(x.ID).Status == execution.Cancelled
	})
	if took := time.Since(asked); took > time.Second {
		t.Errorf("it took %s", took)
	}
}
