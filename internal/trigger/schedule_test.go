package trigger_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentstudio/internal/bus/memory"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/trigger"
	"agentstudio/internal/workflow"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func look(t *testing.T, l trigger.Looker) time.Time {
	t.Helper()
	next, err := l.Look(t.Context())
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return next
}

// alone is one replica with its ticker.
func alone(t *testing.T, db *store.DB) (*replica, *clock, trigger.Looker) {
	t.Helper()
	room(t, db)
	c := &clock{at: noon}
	r := newReplica(t, db, c.now)
	l := r.runner.Schedules()
	t.Cleanup(l.Close)
	return r, c, l
}

func TestTickStartsTheWorkflowWithItsData(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r, c, l := alone(t, db)
		id := r.publish("schedule-trigger", `{"cron":"30 14 * * *","time_zone":"Europe/Berlin"}`)
		<-l.Woken() // by the publishing
		if next := look(t, l); !next.Equal(noon.Add(30 * time.Minute)) {
			t.Fatalf("the next look is at %v", next)
		}
		c.set(noon.Add(30*time.Minute + time.Second))
		look(t, l)
		got := r.started(id)
		if len(got) != 1 {
			t.Fatalf("%d executions", len(got))
		}
		var data map[string]any
		if err := json.Unmarshal(got[0].TriggerData, &data); err != nil {
			t.Fatal(err)
		}
		if data["scheduled_for"] != "2026-05-04T12:30:00Z" || data["local_time"] != "2026-05-04T14:30:00+02:00" || data["fired_at"] != "2026-05-04T12:30:01Z" ||
			data["schedule"].(map[string]any)["cron"] != "30 14 * * *" {
			t.Errorf("got %s", got[0].TriggerData)
		}
		if len(r.announced.all) != 1 || r.announced.all[0].ID != got[0].ID {
			t.Errorf("announced %+v", r.announced.all)
		}
		if got[0].ID[14] != '7' || !strings.ContainsRune("89ab", rune(got[0].ID[19])) {
			t.Errorf("%s is no UUID of version 7", got[0].ID)
		}
	})
}

func TestPublishingArmsAndEverythingElseDisarmsOnEveryReplica(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r, c, _ := alone(t, db)
		other := newReplica(t, db, c.now).runner.Schedules()
		defer other.Close()
		for name, disarm := range map[string]func(id string){
			"draft":    func(id string) { r.set(id, workflow.Draft) },
			"archived": func(id string) { r.set(id, workflow.Archived) },
			"deleted":  func(id string) { exec(t, db, `DELETE FROM workflows WHERE id = $1`, id) },
		} {
			id := r.publish("schedule-trigger", `{"every":"1m"}`)
			c.set(c.now().Add(time.Minute))
			look(t, other)
			if n := len(r.started(id)); n != 1 {
				t.Errorf("%s: armed here, it fired %d times there", name, n)
			}
			disarm(id)
			c.set(c.now().Add(time.Minute))
			look(t, other)
			if n := len(r.started(id)); n != 1 {
				t.Errorf("%s: disarmed here, it fired %d times there", name, n)
			}
		}
	})
}

func TestNewVersionKeepsTheScheduleWhereItIs(t *testing.T) {
	r, c, l := alone(t, storetest.SQLite(t))
	id := r.publish("schedule-trigger", `{"every":"1h"}`)
	c.set(noon.Add(50 * time.Minute))
	rename := "Another name"
	if _, err := r.Workflows.Update(t.Context(), system(), id, "", workflow.Patch{Name: &rename}); err != nil {
		t.Fatal(err)
	}
	r.set(id, workflow.Published)
	c.set(noon.Add(time.Hour))
	look(t, l)
	got := query(t, r.db, `SELECT workflow_version FROM executions WHERE workflow_id = $1`, id)
	if len(got) != 1 || got[0][0] != "2" {
		t.Errorf("an hour after the first publishing: %v", got)
	}
	nodes := []workflow.Node{{ID: "in", Kind: "schedule-trigger", Config: map[string]any{"every": "2h"}}}
	if _, err := r.Workflows.Update(t.Context(), system(), id, "", workflow.Patch{Nodes: &nodes}); err != nil {
		t.Fatal(err)
	}
	r.set(id, workflow.Published)
	if next := look(t, l); !next.Equal(noon.Add(3 * time.Hour)) {
		t.Errorf("a changed schedule ticks next at %v", next)
	}
}

func TestOverlapPoliciesOnTheTable(t *testing.T) {
	for overlap, want := range map[string]struct {
		before, after int // executions at the second tick, and once the first has ended
		cancelled     bool
	}{
		"allow": {before: 2, after: 2}, "skip": {before: 1, after: 1}, "queue": {before: 1, after: 2}, "cancel": {before: 2, after: 2, cancelled: true},
	} {
		t.Run(overlap, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				r, c, l := alone(t, db)
				id := r.publish("schedule-trigger", `{"every":"1h","overlap":"`+overlap+`"}`)
				c.set(noon.Add(time.Hour))
				look(t, l)
				first := r.started(id)[0].ID
				c.set(noon.Add(2 * time.Hour))
				next := look(t, l)
				if n := len(r.started(id)); n != want.before {
					t.Errorf("%d executions at the second tick", n)
				}
				asked := query(t, db, `SELECT cancel_requested FROM executions WHERE id = $1`, first)[0][0] == "1"
				if asked != want.cancelled {
					t.Errorf("the first was asked to end: %v", asked)
				}
				if overlap == "queue" && !next.Equal(noon.Add(2*time.Hour+30*time.Second)) {
					t.Errorf("a held tick is looked at again at %v", next)
				}
				c.set(noon.Add(2*time.Hour + 10*time.Second))
				r.end(first, execution.Completed, "")
				if overlap == "queue" {
					<-l.Woken() // by the end, not by the clock
				}
				look(t, l)
				if n := len(r.started(id)); n != want.after {
					t.Errorf("%d executions after the first has ended", n)
				}
			})
		})
	}
}

func TestHeldTickFiresWithoutABus(t *testing.T) {
	r, c, l := alone(t, storetest.SQLite(t))
	id := r.publish("schedule-trigger", `{"every":"1h","overlap":"queue"}`)
	c.set(noon.Add(time.Hour))
	look(t, l)
	first := r.started(id)[0].ID
	c.set(noon.Add(2 * time.Hour))
	look(t, l)
	exec(t, r.db, `UPDATE executions SET status = 'completed', completed_at = 1 WHERE id = $1`, first)
	another := newReplica(t, r.db, c.now).runner.Schedules()
	defer another.Close()
	c.set(noon.Add(2*time.Hour + 30*time.Second))
	look(t, another)
	if n := len(r.started(id)); n != 2 {
		t.Errorf("%d executions", n)
	}
}

func TestSchedulesArmedByAnEarlierReleaseBegin(t *testing.T) {
	r, c, l := alone(t, storetest.SQLite(t))
	id := r.publish("schedule-trigger", `{"every":"1h"}`)
	exec(t, r.db, `UPDATE schedules SET next_at = NULL, due_at = 0`) // what the migration leaves
	c.set(noon.Add(90 * time.Minute))
	if next := look(t, l); !next.Equal(noon.Add(2*time.Hour)) || len(r.started(id)) != 0 {
		t.Fatalf("it fires before it begins, or begins at %v", next)
	}
	c.set(noon.Add(2 * time.Hour))
	look(t, l)
	if n := len(r.started(id)); n != 1 {
		t.Errorf("%d executions", n)
	}
}

func TestTickThatCannotStartDoesNotStopTheOthers(t *testing.T) {
	r, c, _ := alone(t, storetest.SQLite(t))
	unknown, garbled, id := r.publish("schedule-trigger", `{"every":"1h"}`), r.publish("schedule-trigger", `{"every":"1h"}`), r.publish("schedule-trigger", `{"every":"1h"}`)
	exec(t, r.db, `UPDATE workflow_versions SET definition = '{"name":"W","nodes":[{"id":"in","kind":"no-such-kind"}],"connections":[]}' WHERE workflow_id = $1`, unknown)
	exec(t, r.db, `UPDATE workflow_versions SET definition = '{"name"' WHERE workflow_id = $1`, garbled)
	fresh := newReplica(t, r.db, c.now).runner.Schedules() // knows no compiled version
	defer fresh.Close()
	c.set(noon.Add(time.Hour))
	if next := look(t, fresh); !next.Equal(noon.Add(time.Hour + 30*time.Second)) {
		t.Errorf("the next look is at %v", next)
	}
	for name, want := range map[string][]any{unknown: {0, 2 * time.Hour}, garbled: {0, time.Hour}, id: {1, 2 * time.Hour}} {
		due := query(t, r.db, `SELECT next_at FROM schedules WHERE workflow_id = $1`, name)[0][0]
		if n := len(r.started(name)); n != want[0] || due != fmt.Sprint(noon.Add(want[1].(time.Duration)).UnixMilli()) {
			t.Errorf("%d executions, next at %s; want %v", n, due, want)
		}
	}
}

// entries is a queue of dispatch entries that fails when it is told to.
type entries struct {
	fail    bool
	tickets []execution.Ticket
}

func (e *entries) Enqueue(_ context.Context, _ *sql.Tx, tickets []execution.Ticket) error {
	if e.fail {
		return errors.New("the queue is gone")
	}
	e.tickets = append(e.tickets, tickets...)
	return nil
}

func (e *entries) Signal(context.Context, *sql.Tx, map[string][]string) error { return nil }

func TestTickAndFollowUpAreCommittedWithTheirDispatchEntries(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		room(t, db)
		c, queue := &clock{at: noon}, &entries{}
		r := newReplicaThat(t, db, queue, c.now)
		schedules, followUps := r.runner.Schedules(), r.runner.FollowUps()
		defer schedules.Close()
		ticking, listening := r.publish("schedule-trigger", `{"every":"1h"}`), r.publish("event-trigger", `{}`)
		c.set(noon.Add(time.Hour))
		queue.fail = true
		look(t, schedules)
		if len(r.started(ticking)) != 0 {
			t.Fatal("a tick fired without its dispatch entry")
		}
		queue.fail = false
		c.set(noon.Add(time.Hour + 30*time.Second)) // it is tried again
		look(t, schedules)
		fired := r.started(ticking)
		if len(fired) != 1 || len(queue.tickets) != 1 || queue.tickets[0].ID != fired[0].ID {
			t.Fatalf("%d executions, entries %+v", len(fired), queue.tickets)
		}
		r.end(fired[0].ID, execution.Failed, "")
		queue.fail = true
		if _, err := followUps.Look(t.Context()); err == nil || len(r.started(listening)) != 0 || len(query(t, db, `SELECT id FROM follow_ups`)) != 1 {
			t.Fatalf("a follow-up went without its dispatch entry (%v)", err)
		}
		queue.fail = false
		look(t, followUps)
		if x := r.started(listening); len(x) != 1 || len(queue.tickets) != 2 || queue.tickets[1].ID != x[0].ID {
			t.Errorf("%d executions, entries %+v", len(x), queue.tickets)
		}
	})
}

// paper is a table in memory for tests of when the runner looks.
type paper struct {
	trigger.Store
	looks []time.Duration
	began time.Time
	next  func(now time.Time) time.Time
	fail  bool
}

func (p *paper) DueSchedules(_ context.Context, now time.Time, _ int) ([]execution.Scheduled, time.Time, error) {
	p.looks = append(p.looks, now.Sub(p.began))
	if p.fail {
		return nil, time.Time{}, fault.New(fault.Unavailable, "down")
	}
	return nil, p.next(now), nil
}

func (p *paper) Fire(context.Context, execution.Firing) (bool, error) { return false, nil }
func (p *paper) Hold(context.Context, execution.Scheduled, time.Time, time.Time) (bool, error) {
	return false, nil
}
func (p *paper) Release(context.Context, string, string, time.Time) error { return nil }

func (p *paper) FollowUps(context.Context, time.Time, int) ([]execution.FollowUp, time.Time, error) {
	return nil, time.Time{}, nil
}

func TestRunnerLooksWhenSomethingIsDueAndNotBefore(t *testing.T) {
	for _, c := range []struct {
		name string
		next time.Duration // after the beginning; 0: nothing waits
		arm  time.Duration
		fail bool
		run  time.Duration
		want []time.Duration
	}{
		{name: "every half a minute when nothing waits", run: 70 * time.Second, want: []time.Duration{0, 30 * time.Second, 60 * time.Second}},
		{name: "when a tick is due", next: 12 * time.Second, run: 45 * time.Second, want: []time.Duration{0, 12 * time.Second, 42 * time.Second}},
		{name: "at once when something was armed", arm: 5 * time.Second, run: 20 * time.Second, want: []time.Duration{0, 5 * time.Second}},
		{name: "a second after a failure", fail: true, run: 2500 * time.Millisecond, want: []time.Duration{0, time.Second, 2 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				armed := make(chan struct{}, 1)
				p := &paper{began: began, fail: c.fail, next: func(now time.Time) time.Time {
					if at := began.Add(c.next); at.After(now) {
						return at
					}
					return time.Time{}
				}}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() {
					done <- trigger.New(p, nil, memory.New(0), trigger.Config{Armed: armed, Log: discard()}).Run(ctx)
				}()
				if c.arm > 0 {
					<-time.After(c.arm)
					armed <- struct{}{}
				}
				<-time.After(c.run - c.arm)
				synctest.Wait()
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				if fmt.Sprint(p.looks) != fmt.Sprint(c.want) {
					t.Errorf("looked at %v, want %v", p.looks, c.want)
				}
			})
		})
	}
}
