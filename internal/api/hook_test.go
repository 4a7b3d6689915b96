package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/api"
	"agentstudio/internal/limit"
)

// arm publishes a workflow that begins with a webhook of the config and goes
// on with the nodes, in a chain.
func (s *studio) arm(p person, workspace, config string, nodes ...string) string {
	s.t.Helper()
	all := []string{`{"id":"in","kind":"webhook-trigger","config":` + config + `}`}
	var links []string
	last := "in"
	for i, n := range nodes {
		id := fmt.Sprint("n", i)
		all = append(all, strings.Replace(n, "{", `{"id":"`+id+`",`, 1))
		links = append(links, fmt.Sprintf(`{"source":%q,"target":%q}`, last, id))
		last = id
	}
	id := s.create(p.token, workspace, `{"name":"Hook","nodes":[`+strings.Join(all, ",")+`],"connections":[`+strings.Join(links, ",")+`]}`).text("id")
	s.publish(p.token, id)
	return id
}

func TestWebhooksStartWhatIsArmed(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	base := "/hooks/" + w.slug + "/"
	s.arm(w.editor, w.id, `{"path":"now","methods":["POST","GET"]}`)
	a := s.do("POST", base+"now?x=1&y=2&y=3", "", `{"n":12345678901234567890}`, "X-Thing", "yes", "Cookie", "secret").expect(202)
	x := s.until(w.viewer.token, a.text("execution_id"), "completed").expectAt("trigger_type", "webhook").expectAt("user_id", nil).
		expectAt("trigger_data.method", "POST").expectAt("trigger_data.path", "now").expectAt("trigger_data.query.x", "1").
		expectAt("trigger_data.query.y", []any{"2", "3"}).expectAt("trigger_data.headers.x-thing", "yes").expectAt("trigger_data.raw", `{"n":12345678901234567890}`)
	if strings.Contains(string(x.Body), "secret") || !strings.Contains(string(x.Body), `"n":12345678901234567890`) {
		t.Errorf("got %s", x.Body)
	}
	for _, c := range []struct{ media, body, want string }{
		{"application/x-www-form-urlencoded", "a=1&b=2&b=3", `{"a":"1","b":["2","3"]}`},
		{"text/plain", "hello", `"hello"`},
		{"application/json", `{"broken`, `"{\"broken"`},
		{"application/cloudevents+json; charset=utf-8", `{"ok":1}`, `{"ok":1}`},
		{"application/json", "\"\xff\x00\"", `"\"�\u0000\""`},
		{"application/json", ``, `null`},
	} {
		a := s.do("POST", base+"now", "", c.body, "Content-Type", c.media).expect(202)
		x := s.until(w.viewer.token, a.text("execution_id"), "completed")
		if !strings.Contains(string(x.Body), `"body":`+c.want) {
			t.Errorf("%s %q: got %s", c.media, c.body, x.Body)
		}
	}
	s.do("GET", base+"now", "", nil, "Sec-Fetch-Site", "cross-site").expect(202)
	s.do("POST", base+"now/", "", "{}", "Sec-Fetch-Site", "cross-site", "Origin", "https://other.example").expect(202)
	if got := s.do("DELETE", base+"now", "", nil).problem(405, "method_not_allowed").Header.Get("Allow"); got != "POST, GET" {
		t.Errorf("Allow is %q", got)
	}
	s.do("POST", base+"elsewhere", "", "{}").problem(404, "not_found")
	s.do("POST", "/hooks/nobody/now", "", "{}").problem(404, "not_found")
}

func TestWebhooksAnswerAsTheirTriggerSays(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) { c.HookTimeout = 300 * time.Millisecond }})
	w := s.team()
	base := "/hooks/" + w.slug + "/"
	s.arm(w.editor, w.id, `{"path":"end","respond":"when-finished"}`, `{"kind":"set","config":{"values":{"text":"hello {{ trigger.body.name }}"}}}`)
	s.do("POST", base+"end", "", `{"name":"Ada"}`).expect(200).expectAt("text", "hello Ada")
	s.arm(w.editor, w.id, `{"path":"say","respond":"respond-node"}`,
		`{"kind":"respond","config":{"status":201,"headers":{"X-Mine":"1","Set-Cookie":"a=b","Content-Security-Policy":"none","Content-Length":"5"},"body":{"made":"{{ trigger.body.name }}"}}}`,
		`{"kind":"gate","config":{"name":"late"}}`)
	said := s.do("POST", base+"say", "", `{"name":"x"}`).expect(201).expectAt("made", "x")
	if said.Header.Get("X-Mine") != "1" || said.Header.Get("Set-Cookie") != "" || !strings.HasPrefix(said.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("headers are %v", said.Header)
	}
	s.arm(w.editor, w.id, `{"path":"text","respond":"respond-node"}`, `{"kind":"respond","config":{"headers":{"Content-Type":"text/html"},"body":"<b>hi</b>"}}`)
	if a := s.do("POST", base+"text", "", `{}`).expect(200); string(a.Body) != "<b>hi</b>" || a.Header.Get("Content-Type") != "text/html" {
		t.Errorf("got %s %v", a.Body, a.Header)
	}
	s.arm(w.editor, w.id, `{"path":"silent","respond":"respond-node"}`, `{"kind":"set","config":{"values":{"a":1}}}`)
	s.do("POST", base+"silent", "", `{}`).expect(200).expectAt("a", 1)
	s.arm(w.editor, w.id, `{"path":"fail","respond":"when-finished"}`, `{"kind":"stop","config":{"status":"failed","message":"inside"}}`)
	if a := s.do("POST", base+"fail", "", `{}`).expect(500).expectAt("status", "failed"); strings.Contains(string(a.Body), "inside") {
		t.Errorf("a stranger learns %s", a.Body)
	}
	s.arm(w.editor, w.id, `{"path":"slow","respond":"when-finished"}`, `{"kind":"gate","config":{"name":"late"}}`)
	s.do("POST", base+"slow", "", `{}`).problem(504, "timeout")
	s.pass("late")
}

func TestWebhooksAskForTheirSecret(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) { c.MaxBody = 10_000 }})
	w := s.team()
	s.secrets["shop"] = "s3cret"
	base := "/hooks/" + w.slug + "/"
	s.arm(w.editor, w.id, `{"path":"signed","auth":"hmac","credential":"shop"}`)
	s.arm(w.editor, w.id, `{"path":"headed","auth":"header","credential":"shop"}`)
	s.arm(w.editor, w.id, `{"path":"lost","auth":"header","credential":"gone"}`)
	sign := func(body, secret string) string {
		m := hmac.New(sha256.New, []byte(secret))
		m.Write([]byte(body))
		return "sha256=" + hex.EncodeToString(m.Sum(nil))
	}
	body := "{ \"a\" :1}\n"
	s.do("POST", base+"signed", "", body, "X-Signature-256", sign(body, "s3cret")).expect(202)
	for _, bad := range []string{"", "sha256=", "sha256=zz", sign(body, "other"), sign(strings.TrimSpace(body), "s3cret")} {
		s.do("POST", base+"signed", "", body, "X-Signature-256", bad).problem(401, "unauthenticated")
	}
	a := s.do("POST", base+"headed", "", body, "X-Webhook-Secret", "s3cret").expect(202)
	if x := s.until(w.viewer.token, a.text("execution_id"), "completed"); strings.Contains(string(x.Body), "s3cret") {
		t.Error("the secret is kept with the execution")
	}
	s.do("POST", base+"headed", "", body, "X-Webhook-Secret", "s3cre").problem(401, "unauthenticated")
	s.do("POST", base+"headed", "", body).problem(401, "unauthenticated")
	s.do("POST", base+"lost", "", body, "X-Webhook-Secret", "").problem(401, "unauthenticated")
	s.do("POST", base+"headed", "", strings.Repeat("x", 10_001), "X-Webhook-Secret", "s3cret").problem(413, "too_large")
}

func TestRepeatedDeliveriesStartNothing(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	s.arm(w.editor, w.id, `{"path":"once","dedupe_key":"{{ trigger.headers['x-delivery'] }}"}`)
	call := func(delivery, body string) string {
		return s.do("POST", "/hooks/"+w.slug+"/once", "", body, "X-Delivery", delivery).expect(202).text("execution_id")
	}
	first := call("d1", `{"try":1}`)
	if again := call("d1", `{"try":2}`); again != first {
		t.Error("a repeated delivery starts again")
	}
	if other := call("d2", `{"try":1}`); other == first {
		t.Error("another delivery starts nothing")
	}
	if a, b := call("", `{}`), call("", `{}`); a == b {
		t.Error("deliveries without a key are taken for one")
	}
}

func TestWebhooksHaveALimit(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) { c.Limits.Webhook = limit.Rate{Requests: 2, Per: time.Minute} }})
	w := s.team()
	s.arm(w.editor, w.id, `{"path":"a"}`)
	for _, want := range []int{202, 202, 429} {
		s.do("POST", "/hooks/"+w.slug+"/a", "", "{}").expect(want)
	}
}
