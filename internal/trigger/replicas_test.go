package trigger_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/node"
	"agentstudio/internal/schedule"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/trigger"
)

// The days on which clocks change, with times that the change touches.
var changes = []struct {
	zone, day string
	fixed     string
}{
	{"Europe/Berlin", "2026-03-29", "30 2 * * *"},
	{"Europe/Berlin", "2026-10-25", "30 2 * * *"},
	{"America/New_York", "2026-03-08", "15 2 * * *"},
	{"America/New_York", "2026-11-01", "15 1 * * *"},
	{"Australia/Lord_Howe", "2026-04-05", "45 1 * * *"},
	{"Australia/Lord_Howe", "2026-10-04", "15 2 * * *"},
}

// cluster is a number of replicas that look at one database at the same time
// and are restarted at random.
type cluster struct {
	t       *testing.T
	clock   *clock
	open    func() *store.DB
	lookers []trigger.Looker
	runners []*replica
	random  *rand.Rand
}

func (c *cluster) start(i int) {
	r := newReplica(c.t, c.open(), c.clock.now)
	c.runners[i], c.lookers[i] = r, r.runner.Schedules()
}

// look lets every replica look; some are cut off while they do.
func (c *cluster) look() {
	var all sync.WaitGroup
	for i, l := range c.lookers {
		cut := c.random.IntN(6) == 0
		after := time.Duration(c.random.IntN(3000)) * time.Microsecond
		all.Go(func() {
			ctx, cancel := context.WithCancel(c.t.Context())
			defer cancel()
			if cut {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeout(ctx, after)
				defer stop()
			}
			if _, err := l.Look(ctx); err != nil && !cut {
				c.t.Errorf("replica %d: %+v", i, err)
			}
		})
	}
	all.Wait()
}

func TestEachTickFiresOnceOverChangesOfTheClockWhateverRestarts(t *testing.T) {
	run := func(t *testing.T, replicas int, open func() *store.DB) {
		room(t, open())
		for n, change := range changes {
			day, err := time.Parse("2006-01-02", change.day)
			if err != nil {
				t.Fatal(err)
			}
			begin, end := day.Add(-13*time.Hour), day.Add(14*time.Hour)
			c := &cluster{t: t, clock: &clock{at: begin}, open: open, lookers: make([]trigger.Looker, replicas), runners: make([]*replica, replicas),
				random: rand.New(rand.NewPCG(uint64(n), 42))}
			for i := range replicas {
				c.start(i)
			}
			specs := map[string]node.Schedule{}
			for _, s := range []node.Schedule{{Cron: change.fixed}, {Cron: "0,30 1,2,3 * * *"}, {Cron: "*/20 * * * *"}, {Every: "37m"}} {
				s.TimeZone, s.CatchUp, s.Overlap, s.JitterSeconds = change.zone, "all", "allow", c.random.IntN(2)*120
				config, err := json.Marshal(map[string]any{"cron": s.Cron, "every": s.Every, "time_zone": s.TimeZone, "catch_up": s.CatchUp, "jitter_seconds": s.JitterSeconds})
				if err != nil {
					t.Fatal(err)
				}
				specs[c.runners[0].publish("schedule-trigger", string(config))] = s
			}
			for now := begin; now.Before(end); {
				step := time.Duration(1+c.random.IntN(50)) * time.Minute
				if c.random.IntN(15) == 0 {
					step = 3 * time.Hour // all of them are down
				}
				now = now.Add(step)
				c.clock.set(now)
				c.look()
				if c.random.IntN(5) == 0 {
					i := c.random.IntN(replicas)
					c.lookers[i].Close()
					c.start(i)
				}
			}
			last := c.clock.now()
			if _, err := c.lookers[0].Look(t.Context()); err != nil { // what the cut-off ones have left
				t.Fatal(err)
			}
			for id, s := range specs {
				c.compare(change.zone, id, s, begin, last)
			}
			for _, l := range c.lookers {
				l.Close()
			}
		}
	}
	t.Run("three replicas on postgres", func(t *testing.T) {
		url := storetest.PostgresURL(t)
		var mu sync.Mutex
		var pools []*store.DB // each process has its own; a restart takes over one
		open := func() *store.DB {
			mu.Lock()
			defer mu.Unlock()
			if len(pools) < 3 {
				pools = append(pools, storetest.Open(t, store.Config{URL: url, MaxConns: 4}))
				return pools[len(pools)-1]
			}
			pools = append(pools[1:], pools[0])
			return pools[2]
		}
		run(t, 3, open)
	})
	t.Run("restarts of sqlite", func(t *testing.T) {
		db := storetest.SQLite(t)
		run(t, 1, func() *store.DB { return db })
	})
}

// compare holds the executions of a schedule against its ticks.
func (c *cluster) compare(zone, id string, spec node.Schedule, begin, last time.Time) {
	c.t.Helper()
	s, err := schedule.Compile(spec, begin)
	if err != nil {
		c.t.Fatal(err)
	}
	var want, got []string
	for at := begin; ; {
		next, more := s.Next(at)
		if !more || next.Add(time.Duration(spec.JitterSeconds)*time.Second).After(last) {
			break
		}
		want = append(want, next.UTC().Format(time.RFC3339))
		at = next
	}
	for _, x := range c.runners[0].started(id) {
		var data struct {
			ScheduledFor time.Time `json:"scheduled_for"`
		}
		if err := json.Unmarshal(x.TriggerData, &data); err != nil {
			c.t.Fatal(err)
		}
		got = append(got, data.ScheduledFor.UTC().Format(time.RFC3339))
	}
	slices.Sort(got)
	if len(got) > len(want) && len(got) <= len(want)+1 { // a tick whose jitter has passed already
		next, _ := s.Next(last.Add(-time.Duration(spec.JitterSeconds+1) * time.Second))
		if extra := next.UTC().Format(time.RFC3339); got[len(got)-1] == extra {
			want = append(want, extra)
		}
	}
	if !slices.Equal(got, want) || len(want) == 0 {
		c.t.Errorf("%s %s%s: %d executions, want %d\n got %v\nwant %v", zone, spec.Cron, spec.Every, len(got), len(want), got, want)
	}
}
