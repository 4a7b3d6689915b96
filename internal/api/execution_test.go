package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/api"
)

const adder = `{"name":"Adder","nodes":[{"id":"start","kind":"manual-trigger","config":{"input_schema":{"type":"object","required":["a"],"properties":{"a":{"type":"number"}}}}},
{"id":"sum","kind":"set","config":{"values":{"sum":"{{ trigger.a + 1 }}"}}},{"id":"say","kind":"log","config":{"message":"sum is {{ nodes.sum.output.sum }}"}}],
"connections":[{"source":"start","target":"sum"},{"source":"sum","target":"say"}]}`

const gated = `{"name":"Gated","nodes":[{"id":"start","kind":"manual-trigger"},{"id":"g","kind":"gate","config":{"name":"one"}},{"id":"after","kind":"set","config":{"values":{"done":true}}}],
"connections":[{"source":"start","target":"g"},{"source":"g","target":"after"}]}`

const failing = `{"name":"Failing","nodes":[{"id":"start","kind":"manual-trigger"},{"id":"x","kind":"set","config":{"values":{"a":1}}},{"id":"end","kind":"stop","config":{"status":"failed","message":"no luck"}}],
"connections":[{"source":"start","target":"x"},{"source":"x","target":"end"}]}`

// until asks until the execution has the status.
func (s *studio) until(token, id, status string) *answer {
	s.t.Helper()
	sub := s.bus.Subscribe("execution:" + id)
	defer sub.Close()
	deadline := time.After(20 * time.Second)
	for {
		a := s.do("GET", "/executions/"+id, token, nil).expect(200)
		if a.text("status") == status {
			return a
		}
		select {
		case <-sub.C():
		case <-deadline:
			s.t.Fatalf("never %s: %s", status, a.Body)
		}
	}
}

func TestExecutionsRunAndAreWaitedFor(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	id := s.create(p.token, s.personal(p), adder).text("id")
	a := s.do("POST", "/executions", p.token, map[string]any{"workflow_id": id, "trigger_data": map[string]any{"a": 41}, "wait": 20}).expect(200).
		expectAt("status", "completed").expectAt("progress", 100).expectAt("user_id", p.id).expectAt("trigger_type", "manual").expectAt("total_nodes", 3)
	x := "/executions/" + a.text("id")
	detail := s.do("GET", x, p.token, nil).expect(200).expectAt("nodes_total", 3)
	var shown api.ExecutionDetail
	detail.into(&shown)
	sum := ""
	for _, n := range shown.Nodes {
		if n.NodeID == "sum" {
			sum = n.ID
		}
	}
	s.do("GET", x+"/nodes?limit=1&offset=1", p.token, nil).expect(200).expectAt("total", 3).expectAt("limit", 1)
	s.do("GET", x+"/nodes/"+sum, p.token, nil).expect(200).expectAt("input.a", 41).expectAt("output.sum", 42).expectAt("steps", []any{})
	s.do("GET", x+"/nodes/"+newID(), p.token, nil).problem(404, "not_found")
	s.do("GET", x+"/logs", p.token, nil).expect(200).expectAt("items.0.message", "sum is 42").expectAt("items.0.node_id", "say")
	s.do("GET", x+"/logs?level=error", p.token, nil).expect(200).expectAt("items", []any{})
	s.do("GET", x+"/logs?cursor=x", p.token, nil).problem(422, "invalid")
	list := s.do("GET", "/executions", p.token, nil).expect(200).expectAt("total", 1).expectAt("items.0.workflow_name", "Adder")
	if strings.Contains(string(list.Body), "trigger_data") {
		t.Error("a list shows trigger data")
	}
	bad := s.do("POST", "/executions", p.token, map[string]any{"workflow_id": id, "trigger_data": map[string]any{"a": "x"}}).problem(422, "invalid")
	if fmt.Sprint(bad.locations()) != "[body.trigger_data.a]" {
		t.Errorf("faults at %v", bad.locations())
	}
	s.do("POST", x+"/cancel", p.token, nil).problem(409, "conflict")
	s.do("POST", x+"/retry", p.token, `{"from":"failed"}`).problem(409, "conflict")
	s.do("POST", x+"/retry", p.token, `{"from":"nowhere"}`).problem(422, "invalid")
	again := s.do("POST", x+"/retry", p.token, `{"from":"sum"}`).expect(202).expectAt("retry_of", a.text("id"))
	s.until(p.token, again.text("id"), "completed")
	s.do("DELETE", x, p.token, nil).expect(204)
	s.do("GET", x, p.token, nil).problem(404, "not_found")
}

func TestStartingTakesCareOfItsInput(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id := s.create(w.editor.token, w.id, gated).text("id")
	start := func(token string, pairs ...any) *answer {
		return s.do("POST", "/executions", token, with(`{"workflow_id":"`+id+`"}`, pairs...))
	}
	a := start(w.editor.token, "idempotency_key", "k").expect(202)
	if a.Header.Get("Location") != "/api/v1/executions/"+a.text("id") {
		t.Errorf("Location is %q", a.Header.Get("Location"))
	}
	start(w.editor.token, "idempotency_key", "k").expect(202).expectAt("id", a.text("id"))
	s.do("POST", "/executions", w.editor.token, `{"workflow_id":"`+id+`"}`, "Idempotency-Key", "k").expect(202).expectAt("id", a.text("id"))
	start(w.editor.token, "idempotency_key", "k", "priority", 5).problem(422, "invalid")
	for _, bad := range [][2]any{{"priority", 11}, {"priority", -1}, {"priority", 1.5}, {"trigger_data", []int{}}, {"trigger_type", "magic"}, {"wait", 61}, {"version", 0}, {"start_node", "nope"},
		{"scheduled_at", "tomorrow"}, {"workflow_id", "x"}, {"triggerdata", 1}, {"idempotency_key", strings.Repeat("x", 256)}} {
		start(w.editor.token, bad[0], bad[1]).problem(422, "invalid")
	}
	start(w.editor.token, "version", 7).problem(404, "not_found")
	start(w.editor.token, "trigger_type", "webhook").problem(409, "conflict")
	start(w.viewer.token).problem(403, "forbidden")
	start(w.readKey).problem(403, "forbidden")
	start(w.executeKey).expect(202)
	start(w.stranger.token).problem(404, "not_found")
	s.do("POST", "/executions", w.editor.token, `{"workflow_id":"`+newID()+`"}`).problem(404, "not_found")
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	start(w.editor.token, "scheduled_at", later, "wait", 0.05).expect(202).expectAt("status", "pending")
	broken := s.create(w.editor.token, w.id, `{"name":"broken","nodes":[{"id":"a","kind":"nope"}]}`).text("id")
	s.do("POST", "/executions", w.editor.token, `{"workflow_id":"`+broken+`"}`).problem(409, "conflict")
	s.do("GET", "/executions?status=gone", w.editor.token, nil).problem(422, "invalid")
	s.do("GET", "/executions?cursor=gone&workspace_id="+w.id, w.editor.token, nil).problem(422, "invalid")
	s.do("GET", "/executions?from=yesterday", w.editor.token, nil).problem(422, "invalid")
	s.pass("one")
}

func TestExecutionsArePausedResumedAndCancelled(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id := s.create(w.editor.token, w.id, gated).text("id")
	start := func() string {
		x := s.do("POST", "/executions", w.editor.token, `{"workflow_id":"`+id+`"}`).expect(202).text("id")
		s.until(w.editor.token, x, "running")
		return x
	}
	x := start()
	s.do("POST", "/executions/"+x+"/pause", w.viewer.token, nil).problem(403, "forbidden")
	s.do("DELETE", "/executions/"+x, w.editor.token, nil).problem(409, "conflict")
	s.do("POST", "/executions/"+x+"/retry", w.editor.token, nil).problem(409, "conflict")
	s.do("POST", "/executions/"+x+"/cancel", w.stranger.token, nil).problem(404, "not_found")
	s.do("POST", "/executions/"+x+"/cancel", w.editor.token, nil).expect(200)
	s.until(w.editor.token, x, "cancelled")
	y := start()
	s.do("POST", "/executions/"+y+"/pause", w.editor.token, nil).expect(200)
	s.pass("one")
	s.until(w.viewer.token, y, "paused")
	s.do("POST", "/executions/"+y+"/resume", w.editor.token, nil).expect(200)
	s.until(w.viewer.token, y, "completed")
}

func TestExecutionListsGoOnByCursor(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	id := s.create(p.token, s.personal(p), failing).text("id")
	for range 5 {
		s.do("POST", "/executions", p.token, map[string]any{"workflow_id": id, "wait": 20}).expect(200).expectAt("status", "failed").expectAt("error.message", "no luck")
	}
	seen, cursor := map[string]bool{}, ""
	for {
		var page api.CursorPage[api.Execution]
		s.do("GET", "/executions?limit=2&status=failed&workflow_id="+id+"&query=FAIL&trigger_type=manual&cursor="+cursor, p.token, nil).expect(200).into(&page)
		for _, x := range page.Items {
			if seen[x.ID] {
				t.Fatal("an execution comes twice")
			}
			seen[x.ID] = true
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if len(seen) != 5 {
		t.Errorf("saw %d of 5", len(seen))
	}
	s.do("GET", "/executions?from="+time.Now().Add(time.Hour).UTC().Format(time.RFC3339), p.token, nil).expect(200).expectAt("total", 0)
	s.do("GET", "/workflows", p.token, nil).expect(200).expectAt("items.0.last_execution.status", "failed")
}

// told is one server-sent event.
type told struct {
	id, name string
	data     api.Event
}

// listen reads a stream until it ends, handing every event on.
func (s *studio) listen(path, token string, each func(told), headers ...string) (status int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.http.URL+"/api/v1"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "text/event-stream")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.http.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var e told
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch key {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.data); err != nil {
				s.t.Errorf("%s: %v", value, err)
			}
		case "":
			if e.name != "" {
				each(e)
			} else {
				each(told{name: "comment"})
			}
			e = told{}
		}
	}
	return resp.StatusCode
}

func TestEventsAreToldOnceInOrderAndResumed(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	id := s.create(p.token, s.personal(p), gated).text("id")
	x := s.do("POST", "/executions", p.token, `{"workflow_id":"`+id+`"}`).expect(202).text("id")
	s.until(p.token, x, "running")
	var seqs []int64
	beats, opened := 0, false
	s.listen("/executions/"+x+"/events", p.token, func(e told) {
		if e.name == "comment" {
			if beats++; beats >= 2 && !opened { // the stream is live, and kept alive
				opened = true
				s.pass("one")
			}
			return
		}
		if e.data.Seq != 0 {
			seqs = append(seqs, e.data.Seq)
			if e.id != fmt.Sprint(e.data.Seq) || e.data.Room != "execution:"+x {
				t.Errorf("got %+v", e)
			}
		}
	})
	for i, seq := range seqs {
		if seq != int64(i+1) {
			t.Fatalf("seqs are %v", seqs)
		}
	}
	if len(seqs) < 6 {
		t.Fatalf("only %d events", len(seqs))
	}
	s.until(p.token, x, "completed")
	var rest []int64
	s.listen("/executions/"+x+"/events", p.token, func(e told) { rest = append(rest, e.data.Seq) }, "Last-Event-ID", "3")
	if len(rest) != len(seqs)-3 || rest[0] != 4 {
		t.Errorf("resumed with %v", rest)
	}
	if status := s.listen("/executions/"+x+"/events", p.token, func(told) {}, "Last-Event-ID", fmt.Sprint(len(seqs))); status != 204 {
		t.Errorf("status %d when there is nothing to come", status)
	}
	logs := 0
	s.listen("/executions/"+x+"/logs", p.token, func(e told) {
		if e.name == "log" {
			logs++
		}
	})
	if logs != 1 {
		t.Errorf("%d lines of log", logs)
	}
	s.do("GET", "/executions/"+x+"/events", s.signIn("b@example.com").token, nil).problem(404, "not_found")
	s.do("GET", "/executions/"+x+"/events", p.token, nil, "Last-Event-ID", "x").problem(422, "invalid")
}

func TestStreamsEndWithTheSessionAndTheServer(t *testing.T) {
	s := open(t, options{})
	p, q := s.signIn("a@example.com"), s.signIn("a@example.com")
	id := s.create(p.token, s.personal(p), gated).text("id")
	x := s.do("POST", "/executions", p.token, `{"workflow_id":"`+id+`"}`).expect(202).text("id")
	out := false
	s.listen("/executions/"+x+"/events", p.token, func(e told) {
		if e.name == "comment" && !out {
			out = true
			s.do("POST", "/auth/logout", p.token, nil).expect(204)
		}
	})
	closed := make(chan error, 1)
	stopped := false
	s.listen("/executions/"+x+"/events", q.token, func(e told) {
		if e.name == "comment" && !stopped {
			stopped = true
			go func() { closed <- s.server.Close() }()
		}
	})
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	s.do("GET", "/executions/"+x+"/events", q.token, nil).problem(503, "unavailable")
	s.pass("one")
}
