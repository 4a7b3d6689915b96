package api_test

import (
	"fmt"
	"testing"
	"time"
)

func TestManyStartsAreOneTransaction(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id := s.create(w.editor.token, w.id, adder).text("id")
	bulk := func(token string, items []any, header ...string) *answer {
		return s.do("POST", "/executions/bulk?workspace_id="+w.id, token, map[string]any{"items": items}, header...)
	}
	item := func(n int, pairs ...any) map[string]any {
		return with(fmt.Sprintf(`{"workflow_id":%q,"trigger_data":{"a":%d}}`, id, n), pairs...)
	}
	items := make([]any, 1000)
	for i := range items {
		items[i] = item(i)
	}
	began := time.Now()
	a := bulk(w.executeKey, items, "Idempotency-Key", "all").expect(202)
	t.Logf("1,000 starts took %s", time.Since(began))
	for _, i := range []int{0, 500, 999} {
		x := a.text(fmt.Sprintf("items.%d.id", i))
		s.until(w.viewer.token, x, "completed").expectAt("trigger_data.a", i).expectAt("trigger_type", "api")
	}
	bulk(w.executeKey, items, "Idempotency-Key", "all").expect(202).expectAt("items.7.id", a.text("items.7.id"))
	s.do("GET", "/executions?workspace_id="+w.id, w.viewer.token, nil).expect(200).expectAt("total", 1000)

	one := bulk(w.editor.token, []any{item(1, "idempotency_key", "k"), item(2), item(1, "idempotency_key", "k")}).expect(202).expectAt("items.0.created", true).expectAt("items.2.created", false)
	one.expectAt("items.2.id", one.text("items.0.id"))
	bulk(w.editor.token, []any{item(3), item(1, "idempotency_key", "k")}).expect(202).expectAt("items.1.id", one.text("items.0.id"))
	total := s.do("GET", "/executions?workspace_id="+w.id, w.viewer.token, nil).expect(200).at("total")

	bad := bulk(w.editor.token, []any{item(1), item(2, "version", 9), item(3, "trigger_data", map[string]any{"a": "x"}), item(4, "workflow_id", newID())}).problem(422, "invalid")
	if got := fmt.Sprint(bad.locations()); got != "[body.items[1] body.items[2].trigger_data.a body.items[3]]" {
		t.Errorf("faults at %s", got)
	}
	reused := bulk(w.editor.token, []any{item(1), item(2, "idempotency_key", "k")}).problem(422, "invalid")
	if got := fmt.Sprint(reused.locations()); got != "[body.items[1].idempotency_key]" {
		t.Errorf("faults at %s", got)
	}
	bulk(w.editor.token, []any{}).problem(422, "invalid")
	bulk(w.editor.token, append(items, item(1))).problem(422, "invalid")
	bulk(w.viewer.token, []any{item(1)}).problem(403, "forbidden")
	bulk(w.stranger.token, []any{item(1)}).problem(404, "not_found")
	s.do("GET", "/executions?workspace_id="+w.id, w.viewer.token, nil).expect(200).expectAt("total", total)
}

func TestManyStartsAreHeldOrRefusedTogether(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	queued, refused := s.create(p.token, s.personal(p), bounded("queue")).text("id"), s.create(p.token, s.personal(p), bounded("reject")).text("id")
	items := func(id string, n int) map[string]any {
		return map[string]any{"items": []any{map[string]any{"workflow_id": id}, map[string]any{"workflow_id": id}, map[string]any{"workflow_id": id}}[:n]}
	}
	a := s.do("POST", "/executions/bulk", p.token, items(queued, 3)).expect(202)
	s.do("GET", "/executions/"+a.text("items.2.id"), p.token, nil).expect(200).expectAt("held", true)
	no := s.do("POST", "/executions/bulk", p.token, items(refused, 3)).problem(409, "conflict").expectAt("code", "concurrency_limit")
	if got := fmt.Sprint(no.locations()); got != "[body.items[1] body.items[2]]" {
		t.Errorf("faults at %s", got)
	}
	s.do("POST", "/executions/bulk", p.token, items(refused, 1)).expect(202)
	s.pass("one")
	for i := range 3 {
		s.until(p.token, a.text(fmt.Sprintf("items.%d.id", i)), "completed")
	}
}
