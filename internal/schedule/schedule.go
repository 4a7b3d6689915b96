// Package schedule says when a schedule ticks: cron lines and intervals over
// time zones, what happens to ticks that were missed, and the whole of it in
// words. It is pure: the caller brings the time.
//
// Daylight saving. A cron line whose seconds, minutes and hours are all given
// (0 9 * * *) means the clock on the wall: a time that the clock jumps over
// ticks once, at the moment of the jump; a time that the clock shows twice
// ticks once, the first time. A line that leaves one of the three open (*/15 *
// * * *) and an interval follow real time: they tick whenever the clock shows
// a time that fits, however often it does.
package schedule

import (
	"strings"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"

	"github.com/adhocore/gronx"
)

// Schedule is a schedule that can be asked for its ticks. It is immutable and
// safe for concurrent use.
type Schedule struct {
	spec   node.Schedule
	cron   string
	real   bool // follows real time, not the clock on the wall
	every  time.Duration
	anchor time.Time // intervals count from here
	zone   *time.Location
}

// Faults are what is wrong with a schedule, with the config's field names as
// locations; nil when it can tick.
func Faults(s node.Schedule) []fault.Detail {
	var found []fault.Detail
	switch {
	case s.Cron == "" && s.Every == "":
		found = append(found, fault.Detail{Location: "cron", Code: "missing_schedule", Message: "say when to start: give cron or every"})
	case s.Cron != "" && s.Every != "":
		found = append(found, fault.Detail{Location: "every", Code: "two_schedules", Message: "give either cron or every, not both"})
	case s.Cron != "" && !gronx.IsValid(s.Cron):
		found = append(found, fault.Detail{Location: "cron", Code: "bad_cron", Message: "this is no cron line: five fields (minute hour day month weekday), or six with seconds first", Value: s.Cron})
	}
	if s.Every != "" {
		if d, err := time.ParseDuration(s.Every); err != nil || d < time.Second {
			found = append(found, fault.Detail{Location: "every", Code: "bad_interval", Message: "this is no interval of a second or more; write it like 30s, 15m or 6h", Value: s.Every})
		}
	}
	if _, err := time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "Local" {
		found = append(found, fault.Detail{Location: "time_zone", Code: "bad_time_zone", Message: "there is no such time zone; use an IANA name such as Europe/Berlin", Value: s.TimeZone})
	}
	return found
}

// Compile reads a schedule. Intervals count from the anchor, cut to the second.
func Compile(s node.Schedule, anchor time.Time) (*Schedule, error) {
	if found := Faults(s); len(found) > 0 {
		return nil, fault.InvalidInput(found...)
	}
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return nil, err
	}
	out := &Schedule{spec: s, cron: s.Cron, anchor: anchor.UTC().Truncate(time.Second), zone: zone}
	if s.Every != "" {
		out.every, err = time.ParseDuration(s.Every)
		return out, err
	}
	segments, err := gronx.Segments(s.Cron)
	if err != nil {
		return nil, err
	}
	for _, open := range segments[:3] {
		out.real = out.real || strings.HasPrefix(open, "*") || open == "?"
	}
	return out, nil
}

// Zone is the time zone the schedule is written in.
func (s *Schedule) Zone() *time.Location { return s.zone }

// Next returns the first tick after a moment; false when there is none.
func (s *Schedule) Next(after time.Time) (time.Time, bool) {
	if s.every > 0 {
		if after.Before(s.anchor) {
			return s.anchor.Add(s.every), true
		}
		return s.anchor.Add((after.Sub(s.anchor)/s.every + 1) * s.every), true
	}
	return s.nextCron(after)
}

// Upcoming returns the next n ticks after a moment, in the schedule's zone;
// fewer when there are no more.
func (s *Schedule) Upcoming(after time.Time, n int) []time.Time {
	out := make([]time.Time, 0, n)
	for len(out) < n {
		tick, more := s.Next(after)
		if !more {
			break
		}
		out = append(out, tick.In(s.zone))
		after = tick
	}
	return out
}

// maxStretches bounds the search for a tick: stretches of one offset to UTC,
// of which a zone has two in a year. It reaches over a century.
const maxStretches = 300

// nextCron walks from one change of the zone's offset to the next. Between two
// changes the clock on the wall runs evenly, so the line can be asked as if in
// UTC; what happens at a change is the policy in the package's comment.
func (s *Schedule) nextCron(after time.Time) (time.Time, bool) {
	at := after.In(s.zone)
	begin, end := at.ZoneBounds()
	offset := offsetAt(at)
	from := wallAt(at, offset)
	if !s.real && !begin.IsZero() {
		// The clock was put back and shows again what has ticked already.
		if shown := wallAt(begin, offsetAt(begin.Add(-1))); from.Before(shown) {
			from = shown.Add(-time.Second)
		}
	}
	for range maxStretches {
		wall, found := s.nextWall(from)
		if !found {
			return time.Time{}, false
		}
		tick := wall.Add(-offset)
		if end.IsZero() || tick.Before(end) {
			return tick, true
		}
		before, newOffset := wallAt(end, offset), offsetAt(end)
		now := wallAt(end, newOffset)
		resume := now // where the clock on the wall goes on
		if !s.real && now.After(before) && wall.Before(now) {
			return end.UTC(), true // the clock jumped over it
		}
		if !s.real && before.After(now) {
			resume = before
		}
		from, offset = resume.Add(-time.Second), newOffset
		_, end = end.ZoneBounds()
	}
	return time.Time{}, false
}

// wallAt is what a clock with the offset shows at a moment, as if it were UTC.
func wallAt(t time.Time, offset time.Duration) time.Time {
	return t.UTC().Add(offset)
}

func offsetAt(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// nextWall asks the cron line for the next time on the clock after from.
func (s *Schedule) nextWall(from time.Time) (time.Time, bool) {
	next, err := gronx.NextTickAfter(s.cron, from, false)
	return next, err == nil && next.After(from)
}
