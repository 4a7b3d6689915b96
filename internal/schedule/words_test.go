package schedule_test

import (
	"testing"
	"time"

	"agentstudio/internal/node"
)

func TestSchedulesInWords(t *testing.T) {
	now := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ cron, every, want string }{
		{"0 9 * * 1-5", "", "Weekdays at 09:00, Europe/Berlin"},
		{"0 9 * * MON-FRI", "", "Weekdays at 09:00, Europe/Berlin"},
		{"30 8,17 * * *", "", "Every day at 08:30 and 17:30, Europe/Berlin"},
		{"0 10 * * 0,6", "", "Weekends at 10:00, Europe/Berlin"},
		{"0 7 * * 1,3,5", "", "Mondays, Wednesdays and Fridays at 07:00, Europe/Berlin"},
		{"0 0 1 * *", "", "On day 1 of every month at 00:00, Europe/Berlin"},
		{"0 0 L * *", "", "On the last day of every month at 00:00, Europe/Berlin"},
		{"0 0 1 1,7 *", "", "On day 1 of January and July at 00:00, Europe/Berlin"},
		{"0 6 * 12 *", "", "Every day in December at 06:00, Europe/Berlin"},
		{"*/15 * * * *", "", "Every 15 minutes, Europe/Berlin"},
		{"*/5 * * * 1-5", "", "Every 5 minutes, weekdays, Europe/Berlin"},
		{"* * * * *", "", "Every minute, Europe/Berlin"},
		{"5 * * * *", "", "Every hour at minute 5, Europe/Berlin"},
		{"0 */6 * * *", "", "Every 6 hours, Europe/Berlin"},
		{"*/10 * * * * *", "", "Every 10 seconds, Europe/Berlin"},
		{"@daily", "", "Every day at 00:00, Europe/Berlin"},
		{"0 9 1-7 * 1", "", "By the cron line 0 9 1-7 * 1, Europe/Berlin"},
		{"0 0 * * 5#3", "", "By the cron line 0 0 * * 5#3, Europe/Berlin"},
		{"", "15m", "Every 15 minutes"},
		{"", "1h", "Every hour"},
		{"", "36h", "Every 36 hours"},
		{"", "48h", "Every 2 days"},
		{"", "1m30s", "Every 90 seconds"},
	} {
		s := compile(t, node.Schedule{Cron: c.cron, Every: c.every, TimeZone: "Europe/Berlin"}, now)
		if got := s.Words(); got != c.want {
			t.Errorf("%s%s: %q, want %q", c.cron, c.every, got, c.want)
		}
	}
	s := compile(t, node.Schedule{Cron: "0 9 * * 1-5", TimeZone: "Europe/Berlin"}, now)
	if got, want := s.Sentence(now), "Weekdays at 09:00, Europe/Berlin; next: Mon 30 Mar 2026 09:00:00 +02:00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	never := compile(t, node.Schedule{Cron: "0 0 30 2 *", TimeZone: "UTC"}, now)
	if got := never.Sentence(now); got != "On day 30 of February at 00:00, UTC; it never ticks again" {
		t.Errorf("got %q", got)
	}
}
