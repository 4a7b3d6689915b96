package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/adhocore/gronx"
)

// Words says when the schedule ticks: "Weekdays at 09:00, Europe/Berlin". A
// line that is too involved for that is repeated as it is.
func (s *Schedule) Words() string {
	if s.every > 0 {
		return "Every " + interval(s.every)
	}
	zone := ", " + s.zone.String()
	f, err := gronx.Segments(s.cron)
	if err != nil || len(f) > 6 {
		return "By the cron line " + s.cron + zone
	}
	clock, ok := clockWords(f[0], f[1], f[2])
	if !ok {
		return "By the cron line " + s.cron + zone
	}
	days, ok := dayWords(f[3], f[4], f[5])
	if !ok {
		return "By the cron line " + s.cron + zone
	}
	switch {
	case strings.HasPrefix(clock, "at "):
		return capital(days) + " " + clock + zone
	case days == "every day":
		return capital(clock) + zone
	}
	return capital(clock) + ", " + days + zone
}

// Sentence adds the next tick to the words.
func (s *Schedule) Sentence(now time.Time) string {
	next, more := s.Next(now)
	if !more {
		return s.Words() + "; it never ticks again"
	}
	return s.Words() + "; next: " + next.In(s.zone).Format("Mon 2 Jan 2006 15:04:05 -07:00")
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func interval(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if d%unit.size != 0 {
			continue
		}
		if d == unit.size {
			return unit.name
		}
		return strconv.FormatInt(int64(d/unit.size), 10) + " " + unit.name + "s"
	}
	return d.String()
}

// clockWords tells the time of day: "at 09:00", "every 5 minutes".
func clockWords(second, minute, hour string) (string, bool) {
	switch {
	case second != "0":
		if minute != "*" || hour != "*" {
			return "", false
		}
		return stepWords(second, "second", "second %s of every minute")
	case hour == "*":
		return stepWords(minute, "minute", "every hour at minute %s")
	case minute == "0" && strings.HasPrefix(hour, "*/"):
		return stepWords(hour, "hour", "")
	}
	minutes, ok := numbers(minute, 6)
	hours, okHours := numbers(hour, 6)
	if !ok || !okHours || len(minutes)*len(hours) > 6 {
		return "", false
	}
	var times []string
	for _, h := range hours {
		for _, m := range minutes {
			times = append(times, fmt.Sprintf("%02d:%02d", h, m))
		}
	}
	return "at " + list(times), true
}

// stepWords tells one field that may be open, stepped or a few numbers.
func stepWords(field, unit, fixed string) (string, bool) {
	if field == "*" || field == "*/1" {
		return "every " + unit, true
	}
	if step, stepped := strings.CutPrefix(field, "*/"); stepped {
		n, err := strconv.Atoi(step)
		return fmt.Sprintf("every %d %ss", n, unit), err == nil
	}
	n, ok := numbers(field, 6)
	if !ok || fixed == "" {
		return "", false
	}
	words := make([]string, len(n))
	for i := range n {
		words[i] = strconv.Itoa(n[i])
	}
	return fmt.Sprintf(fixed, list(words)), true
}

// dayWords tells the days: "weekdays", "on day 1 of January".
func dayWords(day, month, weekday string) (string, bool) {
	anyDay, anyWeekday := day == "*" || day == "?", weekday == "*" || weekday == "?"
	months, ok := monthWords(month)
	switch {
	case !ok || !anyDay && !anyWeekday:
		return "", false
	case anyDay && anyWeekday && months == "":
		return "every day", true
	case anyDay && anyWeekday:
		return "every day in " + months, true
	case anyDay:
		days, ok := weekdayWords(weekday)
		if months != "" {
			days += " in " + months
		}
		return days, ok
	}
	if months == "" {
		months = "every month"
	}
	if day == "L" {
		return "on the last day of " + months, true
	}
	n, ok := numbers(day, 8)
	words := make([]string, len(n))
	for i := range n {
		words[i] = strconv.Itoa(n[i])
	}
	return "on day " + list(words) + " of " + months, ok
}

func monthWords(field string) (string, bool) {
	if field == "*" {
		return "", true
	}
	n, ok := numbers(field, 11)
	words := make([]string, len(n))
	for i := range n {
		words[i] = time.Month(n[i]).String()
	}
	return list(words), ok
}

func weekdayWords(field string) (string, bool) {
	switch field {
	case "1-5":
		return "weekdays", true
	case "0,6", "6,0", "6,7", "6-7":
		return "weekends", true
	}
	n, ok := numbers(field, 7)
	words := make([]string, len(n))
	for i := range n {
		words[i] = time.Weekday(n[i]%7).String() + "s"
	}
	return list(words), ok
}

// numbers reads a field that is a list of numbers and ranges, at most limit.
func numbers(field string, limit int) ([]int, bool) {
	var out []int
	for part := range strings.SplitSeq(field, ",") {
		low, high, ranged := strings.Cut(part, "-")
		a, err := strconv.Atoi(low)
		if err != nil {
			return nil, false
		}
		b := a
		if ranged {
			if b, err = strconv.Atoi(high); err != nil {
				return nil, false
			}
		}
		for n := a; n <= b; n++ {
			if len(out) == limit {
				return nil, false
			}
			out = append(out, n)
		}
	}
	return out, len(out) > 0
}

// list joins words: "a, b and c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
