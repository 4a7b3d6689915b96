package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/dispatch/river"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

const asking = `
name: asking
nodes:
  - {id: start, kind: manual-trigger}
  - {id: ok, kind: approval, config: {message: "Go on?", approvers: [admin]}}
  - {id: yes, kind: probe, config: {value: "{{ nodes.ok.output.decision }}"}}
  - {id: no, kind: probe, config: {value: "{{ nodes.ok.output.decision }}"}}
connections:
  - {source: start, target: ok}
  - {source: ok, target: yes, source_handle: approved}
  - {source: ok, target: no, source_handle: rejected}
`

// asks waits until an execution has so many open asks.
func (s *studio) asks(id string, n int) []execution.Ask {
	s.t.Helper()
	var found []execution.Ask
	s.until(id, fmt.Sprintf("waiting for %d answers", n), func(x *execution.Execution) bool {
		var err error
		if found, err = s.store.AsksOf(context.Background(), "w", id, 10); err != nil {
			s.t.Fatal(err)
		}
		return len(found) == n
	})
	return found
}

// rests waits until no execution is in memory.
func (s *studio) rests() {
	s.t.Helper()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.eng.Active() > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatal("executions stay in memory")
		}
	}
}

// answer answers and tells the dispatcher, as the use case does.
func (s *studio) answer(a execution.Ask, decision string) error {
	err := s.keep(a, decision)
	if err == nil {
		s.disp.Announce(execution.Ticket{ID: a.ExecutionID, WorkspaceID: "w"})
	}
	return err
}

// keep only writes the answer, as when the process dies right after.
func (s *studio) keep(a execution.Ask, decision string) error {
	a.Decision, a.AnsweredEmail, a.AnsweredAt = decision, "ann@example.org", time.Now()
	return s.store.Answer(context.Background(), a, nil)
}

func TestOfTwoAnswersAtOnceOneCounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := start(t, db, newProbes(), nil)
		for range 10 {
			x := s.create(s.define(asking), nil)
			a := s.asks(x.ID, 1)[0]
			var won atomic.Int32
			var winner atomic.Value
			var all sync.WaitGroup
			for i := range 8 {
				decision := []string{node.Approved, node.Rejected}[i%2]
				all.Go(func() {
					err := s.answer(a, decision)
					if err == nil {
						won.Add(1)
						winner.Store(decision)
					} else if !fault.Is(err, fault.Conflict) {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if won.Load() != 1 {
				t.Fatalf("%d answers were accepted", won.Load())
			}
			s.expectStatus(s.wait(x.ID), execution.Completed)
			expectJSON(t, s.find(x.ID).Output, fmt.Sprintf("%q", winner.Load()))
		}
	})
}

func TestAnswersWhileAnExecutionIsJustParkingAreNotMissed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := start(t, db, newProbes(), nil)
		id := s.define(asking)
		var all sync.WaitGroup
		for range 60 {
			x := s.create(id, nil)
			all.Go(func() {
				for { // as soon as it can be answered at all
					asks, err := s.store.AsksOf(context.Background(), "w", x.ID, 1)
					if err != nil {
						t.Error(err)
						return
					}
					if len(asks) == 1 {
						if err := s.answer(asks[0], node.Approved); err != nil {
							t.Error(err)
						}
						return
					}
				}
			})
			s.expectStatus(s.wait(x.ID), execution.Completed)
		}
		all.Wait()
	})
}

func TestAnAnswerOutlivesTheProcessThatTookIt(t *testing.T) {
	db := storetest.SQLite(t)
	p := newProbes()
	s := start(t, db, p, nil)
	id := s.define(asking)
	x := s.create(id, nil)
	a := s.asks(x.ID, 1)[0]
	s.rests()
	if err := s.keep(a, node.Approved); err != nil { // and nobody is told
		t.Fatal(err)
	}
	s.stop()
	s = start(t, db, p, s.programs)
	s.expectStatus(s.wait(x.ID), execution.Completed)
	if n := p.count("yes"); n != 1 {
		t.Errorf("the node after it ran %d times", n)
	}
}

func TestNobodyAnswersAfterTheEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := start(t, db, newProbes(), nil)
		x := s.create(s.define(asking), nil)
		a := s.asks(x.ID, 1)[0]
		if _, err := s.store.RequestCancel(t.Context(), "w", x.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.keep(a, node.Approved); !fault.Is(err, fault.Conflict) {
			t.Errorf("after the cancel: %v", err)
		}
		s.disp.Announce(execution.Ticket{ID: x.ID, WorkspaceID: "w"})
		s.expectStatus(s.wait(x.ID), execution.Cancelled)
		if now, err := s.store.Ask(t.Context(), "w", a.ID); err != nil || now.Status != execution.AskClosed {
			t.Errorf("it is %+v, %v", now, err)
		}
	})
}

func TestWhatIsAskedInTheCommitThatEndsAnExecutionIsClosed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newProbes()
		p.on("ask", func(context.Context, node.Call, probeConfig) (node.Result, error) {
			return node.Await(node.Ask{Name: "a", Kind: "permission"}), nil
		})
		meet := make(chan struct{})
		p.on("fail", func(context.Context, node.Call, probeConfig) (node.Result, error) {
			<-meet
			return node.Result{}, fault.New(fault.Invalid, "no")
		})
		s := start(t, db, p, nil)
		x := s.create(s.define(`
name: race
nodes:
  - {id: start, kind: manual-trigger}
  - {id: ask, kind: probe}
  - {id: fail, kind: probe}
connections: [{source: start, target: ask}, {source: start, target: fail}]
`), nil)
		close(meet)
		s.expectStatus(s.wait(x.ID), execution.Failed)
		s.asks(x.ID, 0)
	})
}

func TestTimePassesAsTheApprovalSays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := start(t, db, newProbes(), nil)
		for policy, want := range map[string]execution.Status{"approve": execution.Completed, "reject": execution.Completed, "fail": execution.Failed} {
			x := s.create(s.define(fmt.Sprintf(`
name: late-%s
nodes:
  - {id: start, kind: manual-trigger}
  - {id: ok, kind: approval, config: {message: "Go on?", timeout_seconds: 0.1, on_timeout: %s}}
connections: [{source: start, target: ok}]
`, policy, policy)), nil)
			a := s.asks(x.ID, 1)[0]
			s.expectStatus(s.wait(x.ID), want)
			if err := s.keep(a, node.Approved); !fault.Is(err, fault.Conflict) || fault.As(err).Code != "expired" {
				t.Errorf("%s: a late answer is told %v", policy, err)
			}
			if policy == "fail" {
				continue
			}
			var out struct{ Decision, By string }
			if err := json.Unmarshal(s.find(x.ID).Output, &out); err != nil || out.By != "timeout" || out.Decision[:3] != policy[:3] {
				t.Errorf("%s: got %+v, %v", policy, out, err)
			}
		}
	})
}

func TestSeveralAsksOfANodeAreAnsweredOneByOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newProbes()
		p.on("work", func(ctx context.Context, c node.Call, _ probeConfig) (node.Result, error) {
			var open []node.Ask
			var said []any
			for _, name := range []string{"one", "two"} {
				answer, err := c.Answer(ctx, name)
				switch {
				case err != nil:
					return node.Result{}, err
				case answer == nil:
					open = append(open, node.Ask{Name: name, Kind: "permission", Message: name})
				default:
					said = append(said, answer.Decision)
				}
			}
			if len(open) > 0 {
				return node.Await(open...), nil
			}
			return node.Output("", said), nil
		})
		s := start(t, db, p, nil)
		x := s.create(s.define(slow), nil)
		asks := s.asks(x.ID, 2)
		slices.SortFunc(asks, func(a, b execution.Ask) int { return strings.Compare(a.Name, b.Name) })
		if err := s.answer(asks[1], node.Rejected); err != nil {
			t.Fatal(err)
		}
		s.asks(x.ID, 1)
		s.stop()
		s = start(t, db, p, s.programs)
		if err := s.answer(asks[0], node.Approved); err != nil {
			t.Fatal(err)
		}
		s.expectStatus(s.wait(x.ID), execution.Completed)
		expectJSON(t, s.find(x.ID).Output, `["approved", "rejected"]`)
	})
}

func TestAnotherProcessTakesTheAnswer(t *testing.T) {
	url := storetest.PostgresURL(t)
	p := newProbes()
	first := startShared(t, url, p, nil)
	id := first.define(asking)
	other := storetest.Open(t, store.Config{URL: url, MaxConns: 2})
	queue, err := river.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	face := store.NewExecutions(other, queue, time.Now) // answers calls, runs nothing
	for range 5 {
		x := first.create(id, nil)
		a := first.asks(x.ID, 1)[0]
		a.Decision, a.AnsweredAt = node.Approved, time.Now()
		if err := face.Answer(t.Context(), a, nil); err != nil {
			t.Fatal(err)
		}
		awaitRow(t, first, x.ID, execution.Completed)
	}
	if n := p.count("yes"); n != 5 {
		t.Errorf("the node after it ran %d times", n)
	}
}

func TestThousandsWaitInRowsAndGoOn(t *testing.T) {
	db := storetest.SQLite(t)
	s := start(t, db, newProbes(), nil)
	id := s.define(asking)
	const n = 2_000
	for range n {
		s.create(id, nil)
	}
	var asks []execution.Ask
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); len(asks) < n; <-tick.C {
		var err error
		if asks, _, err = s.store.AsksFor(t.Context(), "w", []string{"admin"}, n, 0); err != nil || time.Now().After(deadline) {
			t.Fatalf("%d wait, %v", len(asks), err)
		}
	}
	s.rests()
	for _, a := range asks {
		if err := s.answer(a, node.Approved); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range asks {
		s.expectStatus(s.wait(a.ExecutionID), execution.Completed)
	}
}
