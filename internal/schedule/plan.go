package schedule

import (
	"hash/fnv"
	"strconv"
	"time"
)

// The bounds of what happens to ticks that could not fire in time.
const (
	// OnTime is how late a tick may fire and still count as on time. Later ones
	// are missed: catch_up says what happens to them.
	OnTime = time.Minute
	// CatchUpWindow is how far back missed ticks are made up for.
	CatchUpWindow = 24 * time.Hour
	// MaxCatchUp is how many ticks at most are made up for, the newest.
	MaxCatchUp = 1_000
	// MaxBatch is how many ticks fire in one transaction.
	MaxBatch = 100
)

// State is how a schedule stands when somebody looks.
type State struct {
	ID     string    // of the schedule: jitter depends on it
	NextAt time.Time // the oldest tick that has neither fired nor been let go
	// Busy: the execution of the tick before still runs. Ended is when it did
	// not; zero when there was none.
	Busy  bool
	Ended time.Time
}

// Plan is what to do with a schedule now.
type Plan struct {
	Fire       []time.Time // ticks to fire, oldest first; at most MaxBatch
	CancelLast bool        // cancel the execution of the tick before
	Hold       bool        // wait for the execution of the tick before to end
	Missed     int         // ticks let go, missed or skipped, as far as they were counted
	Next       time.Time   // the tick to come; zero: there is none
	DueAt      time.Time   // when it fires: later than Next by its jitter
}

// Due is when a tick fires: its time and its jitter, which is the same for
// whoever asks.
func (s *Schedule) Due(id string, tick time.Time) time.Time {
	if s.spec.JitterSeconds <= 0 || tick.IsZero() {
		return tick
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(id + " " + strconv.FormatInt(tick.Unix(), 10))) // a hash takes everything
	return tick.Add(time.Duration(h.Sum64()%(uint64(s.spec.JitterSeconds)*1000+1)) * time.Millisecond)
}

// Plan decides which ticks fire now: those that came due, less those that
// catch_up lets go and those that overlap skips. It is a pure function of what
// it is given.
func (s *Schedule) Plan(state State, now time.Time) Plan {
	p := Plan{Next: state.NextAt}
	if s.Due(state.ID, p.Next).After(now) {
		return s.settle(p, state)
	}
	if s.missed(state, p.Next, now) {
		s.catchUp(&p, state, now)
	}
	if p.Next.IsZero() || s.Due(state.ID, p.Next).After(now) {
		return s.settle(p, state)
	}
	limit := 1
	switch {
	case s.spec.Overlap == "skip" && state.Busy:
		for !p.Next.IsZero() && !s.Due(state.ID, p.Next).After(now) {
			p.Next, _ = s.Next(p.Next)
			p.Missed++
		}
		return s.settle(p, state)
	case s.spec.Overlap == "queue" && state.Busy:
		p.Hold = true
		return s.settle(p, state)
	case s.spec.Overlap == "cancel":
		p.CancelLast = state.Busy
	case s.spec.Overlap != "skip" && s.spec.Overlap != "queue":
		limit = MaxBatch
	}
	for len(p.Fire) < limit && !p.Next.IsZero() && !s.Due(state.ID, p.Next).After(now) {
		p.Fire = append(p.Fire, p.Next)
		p.Next, _ = s.Next(p.Next)
	}
	return s.settle(p, state)
}

func (s *Schedule) settle(p Plan, state State) Plan {
	p.DueAt = s.Due(state.ID, p.Next)
	return p
}

// missed reports whether a tick is too late to fire as if nothing had been.
// Ticks that came due while the execution before them ran are not late: with
// overlap queue they have waited in line.
func (s *Schedule) missed(state State, tick, now time.Time) bool {
	if s.spec.Overlap == "queue" && (state.Busy || !s.Due(state.ID, tick).After(state.Ended)) {
		return now.Sub(tick) > CatchUpWindow
	}
	return now.Sub(s.Due(state.ID, tick)) > OnTime
}

// catchUp moves p.Next over the missed ticks that are let go.
func (s *Schedule) catchUp(p *Plan, state State, now time.Time) {
	jitter := time.Duration(max(s.spec.JitterSeconds, 0)) * time.Second
	oldest := now.Add(-CatchUpWindow)
	switch {
	case s.spec.CatchUp == "all" || s.spec.Overlap == "queue" && (state.Busy || !state.Ended.Before(p.Next)):
		p.skipTo(s, oldest)
		s.keepNewest(p, state, now)
	case s.spec.CatchUp == "last":
		p.skipTo(s, oldest)
		s.keepLast(p, state, now)
	default:
		p.skipTo(s, now.Add(-OnTime-jitter))
		for !p.Next.IsZero() && s.missed(state, p.Next, now) {
			p.Next, _ = s.Next(p.Next)
			p.Missed++
		}
	}
}

// skipTo lets go of the ticks before a moment.
func (p *Plan) skipTo(s *Schedule, from time.Time) {
	if p.Next.IsZero() || !p.Next.Before(from) {
		return
	}
	p.Next, _ = s.Next(from.Add(-time.Nanosecond))
	p.Missed++
}

// keepNewest lets go of all but the MaxCatchUp newest ticks that are due.
func (s *Schedule) keepNewest(p *Plan, state State, now time.Time) {
	var ring [MaxCatchUp]time.Time
	n := 0
	for tick := p.Next; !tick.IsZero() && !s.Due(state.ID, tick).After(now); n++ {
		ring[n%MaxCatchUp] = tick
		tick, _ = s.Next(tick)
	}
	if n > MaxCatchUp {
		p.Next = ring[n%MaxCatchUp]
		p.Missed += n - MaxCatchUp
	}
}

// keepLast lets go of all but the newest tick that is due. It looks back a
// little first, so that it never walks over many ticks.
func (s *Schedule) keepLast(p *Plan, state State, now time.Time) {
	for _, back := range []time.Duration{time.Minute, time.Hour, CatchUpWindow} {
		from := now.Add(-back - time.Duration(max(s.spec.JitterSeconds, 0))*time.Second)
		tick, more := s.Next(from)
		if from.Before(p.Next) {
			tick, more = p.Next, !p.Next.IsZero()
		}
		last := time.Time{}
		for more && !s.Due(state.ID, tick).After(now) {
			last = tick
			tick, more = s.Next(tick)
		}
		if !last.IsZero() {
			if last.After(p.Next) {
				p.Missed++
			}
			p.Next = last
			return
		}
	}
}
