package schedule_test

import (
	"testing"
	"time"

	"agentstudio/internal/node"
	"agentstudio/internal/schedule"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// world is a schedule that is looked at now and then; each of its executions
// takes the time given.
type world struct {
	sched      *schedule.Schedule
	state      schedule.State
	takes      time.Duration
	started    time.Time
	fired      map[string]string // tick → when, since noon
	order      []string
	cancelled  int
	executions int
}

func sinceNoon(t time.Time) string { return t.Sub(noon).String() }

func (w *world) look(now time.Time) {
	for range 10_000 {
		if !w.started.IsZero() && !now.Before(w.started.Add(w.takes)) {
			w.state.Busy, w.state.Ended = false, w.started.Add(w.takes)
		}
		p := w.sched.Plan(w.state, now)
		if p.CancelLast {
			w.cancelled++
		}
		for _, tick := range p.Fire {
			w.fired[sinceNoon(tick)] = sinceNoon(now)
			w.order = append(w.order, sinceNoon(tick))
			w.executions++
			w.started, w.state.Busy, w.state.Ended = now, w.takes > 0, now
			if w.state.Busy {
				w.state.Ended = time.Time{}
			}
		}
		w.state.NextAt = p.Next
		if p.Hold || p.Next.IsZero() || p.DueAt.After(now) {
			return
		}
	}
}

func TestCatchUpAndOverlap(t *testing.T) {
	hour := []string{"1h0m0s", "2h0m0s", "3h0m0s", "4h0m0s", "5h0m0s"}
	for _, c := range []struct {
		name, catchUp, overlap, every string
		takes                         time.Duration
		looks                         []time.Duration // after noon
		want                          []string        // the ticks that fire
		cancelled                     int
	}{
		{name: "on time", catchUp: "none", overlap: "allow", every: "1h", looks: []time.Duration{time.Hour, 2 * time.Hour}, want: hour[:2]},
		{name: "a little late is on time", catchUp: "none", overlap: "allow", every: "1h", looks: []time.Duration{time.Hour + 50*time.Second}, want: hour[:1]},
		{name: "none lets missed ticks go", catchUp: "none", overlap: "allow", every: "1h", looks: []time.Duration{4*time.Hour + 10*time.Minute, 5 * time.Hour}, want: hour[4:]},
		{name: "none still fires the tick on time", catchUp: "none", overlap: "allow", every: "1h", looks: []time.Duration{3*time.Hour + time.Second}, want: hour[2:3]},
		{name: "none fires every tick that is on time", catchUp: "none", overlap: "allow", every: "20s", looks: []time.Duration{10 * time.Minute}, want: []string{"9m0s", "9m20s", "9m40s", "10m0s"}},
		{name: "last makes up for one", catchUp: "last", overlap: "allow", every: "1h", looks: []time.Duration{4*time.Hour + 10*time.Minute, 5 * time.Hour}, want: hour[3:]},
		{name: "last is the tick just due", catchUp: "last", overlap: "allow", every: "1h", looks: []time.Duration{3*time.Hour + time.Second}, want: hour[2:3]},
		{name: "last looks back a day", catchUp: "last", overlap: "allow", every: "20h", looks: []time.Duration{41 * time.Hour}, want: []string{"40h0m0s"}},
		{name: "last looks back no further", catchUp: "last", overlap: "allow", every: "30h", looks: []time.Duration{59 * time.Hour}, want: nil},
		{name: "all makes up for all", catchUp: "all", overlap: "allow", every: "1h", looks: []time.Duration{4*time.Hour + 10*time.Minute}, want: hour[:4]},
		{name: "all looks back a day", catchUp: "all", overlap: "allow", every: "10h", looks: []time.Duration{71 * time.Hour}, want: []string{"50h0m0s", "60h0m0s", "70h0m0s"}},
		{name: "allow starts beside one that runs", catchUp: "none", overlap: "allow", every: "1h", takes: 90 * time.Minute, looks: []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour}, want: hour[:3]},
		{name: "skip leaves out the tick", catchUp: "none", overlap: "skip", every: "1h", takes: 90 * time.Minute, looks: []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour}, want: []string{"1h0m0s", "3h0m0s"}},
		{name: "skip with much to catch up runs one", catchUp: "all", overlap: "skip", every: "1h", takes: 30 * time.Minute, looks: []time.Duration{4*time.Hour + 10*time.Minute, 5 * time.Hour}, want: []string{"1h0m0s", "5h0m0s"}},
		{name: "queue waits for the end", catchUp: "none", overlap: "queue", every: "1h", takes: 150 * time.Minute, looks: []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour, 3*time.Hour + 30*time.Minute, 6 * time.Hour, 9 * time.Hour}, want: []string{"1h0m0s", "2h0m0s", "3h0m0s", "4h0m0s"}},
		{name: "queue does not make up for what was missed", catchUp: "none", overlap: "queue", every: "1h", takes: time.Minute, looks: []time.Duration{time.Hour, 4*time.Hour + 30*time.Minute, 5 * time.Hour}, want: []string{"1h0m0s", "5h0m0s"}},
		{name: "cancel ends the one before", catchUp: "none", overlap: "cancel", every: "1h", takes: 90 * time.Minute, looks: []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour}, want: hour[:3], cancelled: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := compile(t, node.Schedule{Every: c.every, TimeZone: "UTC", CatchUp: c.catchUp, Overlap: c.overlap}, noon)
			first, _ := s.Next(noon)
			w := &world{sched: s, state: schedule.State{ID: "s", NextAt: first}, takes: c.takes, fired: map[string]string{}}
			for _, after := range c.looks {
				w.look(noon.Add(after))
			}
			if len(w.order) != len(c.want) || w.executions != len(w.fired) || w.cancelled != c.cancelled {
				t.Fatalf("fired %v (%d cancelled), want %v (%d)", w.order, w.cancelled, c.want, c.cancelled)
			}
			for i, tick := range c.want {
				if w.order[i] != tick {
					t.Fatalf("fired %v, want %v", w.order, c.want)
				}
			}
		})
	}
}

func TestCatchingUpIsBoundedInNumber(t *testing.T) {
	for _, c := range []struct {
		spec node.Schedule
		down time.Duration
	}{
		{node.Schedule{Every: "1s", TimeZone: "UTC", CatchUp: "all", Overlap: "allow"}, 2 * time.Hour},
		{node.Schedule{Cron: "* * * * * *", TimeZone: "Europe/Berlin", CatchUp: "all", Overlap: "allow"}, time.Hour},
		{node.Schedule{Every: "1s", TimeZone: "UTC", CatchUp: "all", Overlap: "allow"}, 10 * 365 * 24 * time.Hour},
	} {
		s := compile(t, c.spec, noon)
		first, _ := s.Next(noon)
		w := &world{sched: s, state: schedule.State{ID: "s", NextAt: first}, fired: map[string]string{}}
		w.look(noon.Add(c.down))
		if w.executions != schedule.MaxCatchUp || len(w.fired) != schedule.MaxCatchUp || w.order[len(w.order)-1] != c.down.String() {
			t.Errorf("%+v: %d executions of %d ticks, the last at %s", c.spec, w.executions, len(w.fired), w.order[len(w.order)-1])
		}
	}
}

func TestYearsOfDowntimeAreNotCounted(t *testing.T) {
	for _, catchUp := range []string{"none", "last"} {
		s := compile(t, node.Schedule{Cron: "* * * * * *", TimeZone: "Europe/Berlin", CatchUp: catchUp, Overlap: "allow"}, noon)
		now := noon.AddDate(10, 0, 0)
		start := time.Now()
		p := s.Plan(schedule.State{ID: "s", NextAt: noon.Add(time.Second)}, now)
		if len(p.Fire) == 0 || p.Missed == 0 || time.Since(start) > 5*time.Second {
			t.Errorf("%s: fires %d, lets go %d, in %s", catchUp, len(p.Fire), p.Missed, time.Since(start))
		}
		if catchUp == "last" && (len(p.Fire) != 1 || !p.Fire[0].Equal(now)) {
			t.Errorf("last fires %v", p.Fire)
		}
	}
}

func TestJitterIsTheSameForEverybody(t *testing.T) {
	spec := node.Schedule{Every: "1h", TimeZone: "UTC", JitterSeconds: 600}
	a, b := compile(t, spec, noon), compile(t, spec, noon)
	seen := map[time.Duration]bool{}
	for _, tick := range a.Upcoming(noon, 50) {
		late := a.Due("one", tick).Sub(tick)
		if late != b.Due("one", tick).Sub(tick) || late < 0 || late > 10*time.Minute {
			t.Fatalf("jitter of %v is %v", tick, late)
		}
		seen[late] = true
	}
	if len(seen) < 40 {
		t.Errorf("only %d delays among 50", len(seen))
	}
	p := a.Plan(schedule.State{ID: "one", NextAt: noon.Add(time.Hour)}, noon.Add(time.Hour))
	if len(p.Fire) != 0 || !p.DueAt.After(noon.Add(time.Hour)) || !p.Next.Equal(noon.Add(time.Hour)) {
		t.Errorf("it fires before its jitter has passed: %+v", p)
	}
}
