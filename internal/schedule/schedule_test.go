package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/node"
	"agentstudio/internal/schedule"
)

// fields is a cron line of six fields, read independently of the package: the
// reference that Next is held against.
type fields [6]map[int]bool

func readLine(t *testing.T, line string) (f fields, open bool) {
	t.Helper()
	parts := strings.Fields(line)
	if len(parts) == 5 {
		parts = append([]string{"0"}, parts...)
	}
	bounds := [6][2]int{{0, 59}, {0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}}
	for i, part := range parts {
		f[i] = map[int]bool{}
		open = open || i < 3 && strings.HasPrefix(part, "*")
		for _, one := range strings.Split(part, ",") {
			span, step, stepped := strings.Cut(one, "/")
			low, high := bounds[i][0], bounds[i][1]
			if from, to, ranged := strings.Cut(span, "-"); ranged {
				low, high = number(t, from), number(t, to)
			} else if span != "*" {
				low, high = number(t, span), number(t, span)
			}
			every := 1
			if stepped {
				every = number(t, step)
			}
			for n := low; n <= high; n += every {
				f[i][n] = true
			}
		}
	}
	return f, open
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (f fields) fits(w time.Time) bool {
	return f[0][w.Second()] && f[1][w.Minute()] && f[2][w.Hour()] && f[3][w.Day()] && f[4][int(w.Month())] && f[5][int(w.Weekday())]
}

// reference lists the ticks of (from, to] by looking at every step of real
// time and of the clock on the wall.
func reference(f fields, open bool, zone *time.Location, from, to time.Time, step time.Duration) []time.Time {
	var out []time.Time
	if open {
		for t := from.Add(step); !t.After(to); t = t.Add(step) {
			if f.fits(t.In(zone)) {
				out = append(out, t)
			}
		}
		return out
	}
	// The first moment at which the clock shows each time or, having jumped, a
	// later one; the clock shows nothing twice.
	highest := time.Time{}
	for t := from.Add(-26 * time.Hour); !t.After(to); t = t.Add(step) {
		local := t.In(zone)
		shown := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), 0, time.UTC)
		due := false
		if highest.IsZero() {
			highest = shown.Add(-step)
		}
		for w := highest.Add(step); !w.After(shown); w = w.Add(step) {
			due = due || f.fits(w)
			highest = w
		}
		if due && t.After(from) {
			out = append(out, t)
		}
	}
	return out
}

// changes are days around which clocks change, in zones that differ in how:
// Lord Howe by half an hour, Samoa skipped a whole day, Greenland changes on
// Saturday evening, Havana and Beirut at midnight.
var changes = []struct{ zone, day string }{
	{"Europe/Berlin", "2026-03-29"}, {"Europe/Berlin", "2026-10-25"},
	{"America/New_York", "2026-03-08"}, {"America/New_York", "2026-11-01"},
	{"Australia/Lord_Howe", "2026-04-05"}, {"Australia/Lord_Howe", "2026-10-04"},
	{"Pacific/Apia", "2011-12-30"}, {"America/Havana", "2026-03-08"}, {"America/Havana", "2026-11-01"},
	{"Asia/Beirut", "2026-03-29"}, {"America/Nuuk", "2026-03-28"}, {"UTC", "2026-03-29"}, {"Asia/Kathmandu", "2026-03-29"},
}

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func compile(t testing.TB, s node.Schedule, anchor time.Time) *schedule.Schedule {
	t.Helper()
	out, err := schedule.Compile(s, anchor)
	if err != nil {
		t.Fatalf("%+v: %+v", s, err)
	}
	return out
}

func ticks(s *schedule.Schedule, from, to time.Time) []time.Time {
	var out []time.Time
	for at := from; ; {
		next, more := s.Next(at)
		if !more || next.After(to) {
			return out
		}
		out = append(out, next)
		at = next
	}
}

func same(t *testing.T, what string, zone *time.Location, got, want []time.Time) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !got[i].Equal(want[i]) {
			t.Fatalf("%s: tick %d of %d/%d differs:\n got %v\nwant %v", what, i, len(got), len(want), near(got, i, zone), near(want, i, zone))
		}
	}
}

func near(all []time.Time, i int, zone *time.Location) (out []string) {
	for _, at := range all[min(max(i-1, 0), len(all)):min(i+3, len(all))] {
		out = append(out, at.In(zone).Format(time.RFC3339))
	}
	return out
}

func TestTicksAgreeWithTheReferenceAroundEveryChangeOfTheClock(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	pick := func(low, high int) string { return strconv.Itoa(low + r.IntN(high-low+1)) }
	field := func(low, high int) string {
		switch r.IntN(6) {
		case 0:
			return "*"
		case 1:
			return "*/" + pick(2, 20)
		case 2:
			return pick(low, high) + "," + pick(low, high)
		case 3:
			a := low + r.IntN(high-low+1)
			return strconv.Itoa(a) + "-" + strconv.Itoa(a+r.IntN(high-a+1))
		default:
			return pick(low, high)
		}
	}
	rounds := 8
	if testing.Short() {
		rounds = 4
	}
	for _, c := range changes {
		zone := location(t, c.zone)
		day, err := time.ParseInLocation("2006-01-02", c.day, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		from, to := day.Add(-30*time.Hour), day.Add(42*time.Hour)
		for range rounds {
			hour := field(0, 3)
			if r.IntN(2) == 0 {
				hour = field(0, 23)
			}
			line := field(0, 59) + " " + hour + " * * *"
			f, open := readLine(t, line)
			s := compile(t, node.Schedule{Cron: line, TimeZone: c.zone}, day)
			same(t, c.zone+" "+line, zone, ticks(s, from, to), reference(f, open, zone, from, to, time.Minute))
			// From any moment the next tick is the same.
			at := from.Add(time.Duration(r.IntN(72*3600)) * time.Second)
			same(t, c.zone+" "+line+" from "+at.String(), zone, ticks(s, at, to), reference(f, open, zone, at.Truncate(time.Minute), to, time.Minute))
		}
	}
}

func TestSecondsAgreeWithTheReferenceAroundChangesOfTheClock(t *testing.T) {
	for _, c := range changes[:6] {
		zone := location(t, c.zone)
		day, err := time.ParseInLocation("2006-01-02 15:04", c.day+" 12:00", zone)
		if err != nil {
			t.Fatal(err)
		}
		from, to := day.Add(-13*time.Hour), day.Add(-6*time.Hour)
		for _, line := range []string{"30 30 2 * * *", "15,45 0-59 1,2 * * *", "*/20 10 2 * * *", "59 59 1 * * *", "0 0 2 * * *", "* 59 1 * * *"} {
			f, open := readLine(t, line)
			s := compile(t, node.Schedule{Cron: line, TimeZone: c.zone}, day)
			same(t, c.zone+" "+line, zone, ticks(s, from, to), reference(f, open, zone, from, to, time.Second))
		}
	}
}

func TestDaylightSavingPolicy(t *testing.T) {
	for _, c := range []struct {
		name, zone, line, from string
		want                   []string
	}{
		{"a time that does not exist ticks right after the gap", "Europe/Berlin", "30 2 * * *", "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"several that do not exist tick once", "Europe/Berlin", "0,15,30 2,3 * * *", "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-29T03:15:00+02:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:00:00+02:00"}},
		{"a time that happens twice ticks the first time", "Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		{"asked in the second hour it waits for the next day", "Europe/Berlin", "30 2 * * *", "2026-10-25T02:10:00+01:00",
			[]string{"2026-10-26T02:30:00+01:00"}},
		{"an open minute follows real time through the repeated hour", "Europe/Berlin", "*/30 2 * * *", "2026-10-25T01:59:00+02:00",
			[]string{"2026-10-25T02:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00", "2026-10-26T02:00:00+01:00"}},
		{"an open minute has nothing to tick for in the gap", "Europe/Berlin", "*/30 2 * * *", "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-30T02:00:00+02:00"}},
		{"an open hour ticks every real hour", "America/New_York", "0 * * * *", "2026-11-01T00:30:00-04:00",
			[]string{"2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T02:00:00-05:00"}},
		{"half an hour is skipped", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00+10:30",
			[]string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"}},
		{"half an hour is repeated", "Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00:00+11:00",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
		{"a day that does not exist", "Pacific/Apia", "0 9 30 12 *", "2011-12-29T12:00:00-10:00",
			[]string{"2011-12-31T00:00:00+14:00", "2012-12-30T09:00:00+14:00"}},
		{"the 29th of February over a century", "UTC", "0 0 29 2 *", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, err := time.Parse(time.RFC3339, c.from)
			if err != nil {
				t.Fatal(err)
			}
			got := compile(t, node.Schedule{Cron: c.line, TimeZone: c.zone}, from).Upcoming(from, len(c.want))
			for i, want := range c.want {
				if i >= len(got) || got[i].Format(time.RFC3339) != want {
					t.Fatalf("got %v, want %v", got, c.want)
				}
			}
		})
	}
}

func TestIntervalsFollowRealTimeFromTheirAnchor(t *testing.T) {
	zone := location(t, "Europe/Berlin")
	anchor := time.Date(2026, 3, 29, 0, 10, 0, 500, zone)
	s := compile(t, node.Schedule{Every: "90m", TimeZone: "Europe/Berlin"}, anchor)
	want := []string{"01:40", "04:10", "05:40"} // the clock jumped from 2 to 3
	for i, at := range s.Upcoming(anchor, 3) {
		if got := at.Format("15:04"); got != want[i] {
			t.Errorf("tick %d is at %s, want %s", i, got, want[i])
		}
	}
	if next, _ := s.Next(anchor.Add(-time.Hour)); !next.Equal(anchor.Truncate(time.Second).Add(90 * time.Minute)) {
		t.Errorf("before its anchor the next tick is %v", next)
	}
	if next, _ := s.Next(anchor.Truncate(time.Second).Add(90 * time.Minute)); !next.Equal(anchor.Truncate(time.Second).Add(180 * time.Minute)) {
		t.Errorf("at a tick the next one is %v", next)
	}
}

func TestSchedulesThatNeverTick(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, line := range []string{"0 0 30 2 *", "0 0 1 1 * 2020"} {
		if next, more := compile(t, node.Schedule{Cron: line}, now).Next(now); more {
			t.Errorf("%s ticks at %v", line, next)
		}
	}
	for name, s := range map[string]node.Schedule{"nothing": {}, "both": {Cron: "* * * * *", Every: "1m"}, "line": {Cron: "soon"},
		"short": {Every: "10ms"}, "zone": {Every: "1m", TimeZone: "Mars/Base"}, "machine": {Every: "1m", TimeZone: "Local"}} {
		if _, err := schedule.Compile(s, now); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func FuzzCronLines(f *testing.F) {
	for _, line := range []string{"0 9 * * 1-5", "*/10 * * * * *", "@daily", "0 0 L * *", "0 0 * * 5#3", "0 0 15W * *", "0 0 30 2 *", "1-5/2,7 * ? * MON 2030"} {
		f.Add(line, int64(1_774_746_000), uint8(0))
	}
	f.Fuzz(func(t *testing.T, line string, unix int64, zone uint8) {
		if len(line) > 80 {
			return
		}
		name := changes[int(zone)%len(changes)].zone
		after := time.Unix(unix%8_000_000_000, 0)
		s, err := schedule.Compile(node.Schedule{Cron: line, TimeZone: name}, after)
		if err != nil {
			return
		}
		_ = s.Words()
		for range 3 {
			next, more := s.Next(after)
			if !more {
				return
			}
			if !next.After(after) {
				t.Fatalf("%q in %s: after %v comes %v", line, name, after, next)
			}
			if again, ok := s.Next(next.Add(-time.Second)); ok && again.After(next) {
				t.Fatalf("%q in %s: %v is a tick, but not right before it", line, name, next)
			}
			after = next
		}
	})
}

func BenchmarkNextTick(b *testing.B) {
	now := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
	for _, line := range []string{"* * * * * *", "0 9 * * 1-5", "0 0 29 2 *"} {
		b.Run(fmt.Sprint(line), func(b *testing.B) {
			s := compile(b, node.Schedule{Cron: line, TimeZone: "Europe/Berlin"}, now)
			for b.Loop() {
				s.Next(now)
			}
		})
	}
}
