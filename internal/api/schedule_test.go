package api_test

import (
	"strings"
	"testing"
	"time"
)

func TestSchedulesAreShownAsTimesAndInWords(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	id := s.do("POST", "/workflows", p.token, `{"name":"W","nodes":[{"id":"a","kind":"schedule-trigger","config":{"cron":"0 9 * * 1-5","time_zone":"Europe/Berlin"}},
		{"id":"b","kind":"schedule-trigger","config":{"every":"90m"}},{"id":"c","kind":"schedule-trigger","config":{"cron":"often"}},{"id":"d","kind":"manual-trigger"}],"connections":[]}`).expect(201).text("id")
	a := s.do("GET", "/workflows/"+id+"/schedule?count=3", p.token, nil).expect(200).expectAt("items.0.node_id", "a").expectAt("items.0.armed", false).
		expectAt("items.0.words", "Weekdays at 09:00, Europe/Berlin").expectAt("items.0.time_zone", "Europe/Berlin").expectAt("items.0.last_at", nil).
		expectAt("items.1.node_id", "b").expectAt("items.1.words", "Every 90 minutes")
	if n := len(a.at("items").([]any)); n != 2 {
		t.Errorf("%d timetables", n)
	}
	if n := len(a.at("items.0.next").([]any)); n != 3 || !strings.Contains(a.text("items.0.next.0.local_time"), "T09:00:00+0") || !strings.HasSuffix(a.text("items.0.next.0.at"), ":00:00.000Z") {
		t.Errorf("got %s", a.Body)
	}
	if !strings.Contains(a.text("items.0.sentence"), "Weekdays at 09:00, Europe/Berlin; next: ") {
		t.Errorf("got %s", a.Body)
	}
	s.do("PUT", "/workflows/"+id, p.token, `{"nodes":[{"id":"b","kind":"schedule-trigger","config":{"every":"90m"}}],"connections":[]}`).expect(200)
	s.publish(p.token, id)
	first := s.do("GET", "/workflows/"+id+"/schedule", p.token, nil).expect(200).expectAt("items.0.armed", true).text("items.0.next.0.at")
	s.clock.pass(10 * time.Minute)
	s.do("GET", "/workflows/"+id+"/schedule", p.token, nil).expect(200).expectAt("items.0.next.0.at", first)
	s.do("GET", "/workflows/"+newID()+"/schedule", p.token, nil).problem(404, "not_found")
	s.do("GET", "/workflows/"+id+"/schedule?count=101", p.token, nil).problem(422, "invalid")
}

func TestSchedulesCanBePreviewed(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	s.do("POST", "/schedules/preview?count=2", p.token, `{"cron":"*/15 * * * *","time_zone":"America/New_York"}`).expect(200).expectAt("words", "Every 15 minutes, America/New_York").expectAt("armed", false)
	s.do("POST", "/schedules/preview", p.token, `{"every":"1h"}`).expect(200).expectAt("words", "Every hour").expectAt("time_zone", "UTC")
	a := s.do("POST", "/schedules/preview", p.token, `{"cron":"0 0 30 2 *"}`).expect(200)
	if n := len(a.at("next").([]any)); n != 0 {
		t.Errorf("a schedule that never ticks has %d ticks", n)
	}
	a = s.do("POST", "/schedules/preview", p.token, `{"cron":"soon","time_zone":"Mars/Base"}`).problem(422, "invalid")
	if got := strings.Join(a.locations(), " "); got != "body.cron body.time_zone" {
		t.Errorf("faults at %s", got)
	}
	s.do("POST", "/schedules/preview", "", `{"every":"1h"}`).problem(401, "unauthenticated")
}

func TestConversationsAreStartedWithTheirMessage(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	id := s.do("POST", "/workflows", p.token, `{"name":"W","nodes":[{"id":"in","kind":"chat-trigger"},{"id":"say","kind":"set","config":{"values":{"reply":"you said {{ nodes.in.output.message }}","turns":"{{ len(nodes.in.output.history) }}"}}}],
		"connections":[{"source":"in","target":"say"}]}`).expect(201).text("id")
	run := func(data string) *answer {
		return s.do("POST", "/executions", p.token, `{"workflow_id":"`+id+`","trigger_type":"chat","trigger_data":`+data+`,"wait":20}`)
	}
	run(`{"message":"hi"}`).expect(200).expectAt("output.reply", "you said hi").expectAt("output.turns", 0).expectAt("trigger_type", "chat") // a draft is tried out
	s.publish(p.token, id)
	run(`{"message":"and now","conversation_id":"c","history":[{"role":"user","content":"hi"}]}`).expect(200).expectAt("output.turns", 1)
	run(`{"text":"hi"}`).problem(422, "invalid")
	run(`{"message":"hi","history":[{"role":"king","content":"x"}]}`).problem(422, "invalid")
}

func TestEventTriggersTakeOnlyEndsOfExecutions(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	a := s.do("POST", "/workflows/validate", p.token, `{"name":"W","nodes":[{"id":"in","kind":"event-trigger","config":{"events":["exploded"]}}],"connections":[]}`).expect(200).expectAt("is_valid", false)
	if !strings.Contains(string(a.Body), "events") {
		t.Errorf("got %s", a.Body)
	}
}
