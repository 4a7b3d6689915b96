package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/api"
	"agentstudio/internal/limit"
)

// asking starts a workflow that waits for an approval of the config, and
// returns the execution and the question.
func (s *studio) asking(token, workspace, config string) (execution, ask string) {
	s.t.Helper()
	flow := s.create(token, workspace, `{"name":"Refund","nodes":[{"id":"start","kind":"manual-trigger"},{"id":"ok","kind":"approval","config":`+config+`}],
		"connections":[{"source":"start","target":"ok"}]}`).text("id")
	execution = s.do("POST", "/executions", token, `{"workflow_id":"`+flow+`"}`).expect(202).text("id")
	s.until(token, execution, "waiting")
	return execution, s.waitingNode(token, execution).Approvals[0].ID
}

// called starts a workflow that waits for a call and returns the key of its address.
func (s *studio) called(token, workspace, config string) string {
	s.t.Helper()
	flow := s.create(token, workspace, `{"name":"Call","nodes":[{"id":"start","kind":"manual-trigger"},{"id":"w","kind":"wait","config":{"callback":true`+config+`}}],
		"connections":[{"source":"start","target":"w"}]}`).text("id")
	id := s.do("POST", "/executions", token, `{"workflow_id":"`+flow+`"}`).expect(202).text("id")
	s.until(token, id, "waiting")
	_, key, _ := strings.Cut(s.waitingNode(token, id).CallbackURL, "/hooks/_callback/")
	return key
}

func (s *studio) waitingNode(token, id string) api.NodeExecution {
	s.t.Helper()
	var x api.ExecutionDetail
	s.do("GET", "/executions/"+id, token, nil).expect(200).into(&x)
	for _, n := range x.Nodes {
		if n.Status == "waiting" {
			return n
		}
	}
	s.t.Fatalf("nothing waits in %+v", x.Nodes)
	return api.NodeExecution{}
}

func TestApprovalsAreAnsweredOnceByThoseWhoMay(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id, ask := s.asking(w.editor.token, w.id, `{"message":"Refund 20?","approvers":["admin"],"form":{"type":"object","required":["amount"],"properties":{"amount":{"type":"number","maximum":50}},"additionalProperties":false}}`)
	decide := "/executions/" + id + "/approvals/ok"
	s.do("GET", "/approvals?workspace_id="+w.id, w.editor.token, nil).expect(200).expectAt("total", 0)
	s.do("GET", "/approvals?workspace_id="+w.id, w.owner.token, nil).expect(200).expectAt("total", 1).expectAt("items.0.message", "Refund 20?").expectAt("items.0.id", ask).expectAt("items.0.workflow_name", "Refund")
	s.do("POST", decide, w.editor.token, `{"decision":"approve","data":{"amount":1}}`).problem(403, "forbidden")
	s.do("POST", decide, w.viewer.token, `{"decision":"approve"}`).problem(403, "forbidden")
	s.do("POST", decide, w.admin.token, `{"decision":"maybe"}`).problem(422, "invalid")
	if at := s.do("POST", decide, w.admin.token, `{"decision":"approve","data":{"amount":51}}`).problem(422, "invalid").locations(); fmt.Sprint(at) != "[body.data.amount]" {
		t.Errorf("faults at %v", at)
	}
	s.do("POST", decide, w.admin.token, `{"decision":"approve"}`).problem(422, "invalid")
	s.do("POST", "/executions/"+id+"/approvals/start", w.admin.token, `{"decision":"approve"}`).problem(409, "conflict")
	s.do("POST", decide, w.admin.token, `{"decision":"approve","comment":"fine","data":{"amount":20}}`).expect(200).expectAt("decision", "approved").expectAt("answered_by", w.admin.email)
	s.until(w.viewer.token, id, "completed").expectAt("output.decision", "approved").expectAt("output.comment", "fine").expectAt("output.data.amount", 20).expectAt("output.by", w.admin.email)
	late := s.do("POST", decide, w.owner.token, map[string]any{"decision": "reject", "ask_id": ask}).problem(409, "conflict")
	if !strings.Contains(string(late.Body), "approved already, by "+w.admin.email) {
		t.Errorf("the second is told %s", late.Body)
	}
	s.do("POST", decide, w.owner.token, `{"decision":"reject"}`).problem(409, "conflict")
	s.do("GET", "/activity?action=approval.approved&workspace_id="+w.id, w.owner.token, nil).expect(200).expectAt("total", 1).
		expectAt("items.0.user_email", w.admin.email).expectAt("items.0.after.comment", "fine").expectAt("items.0.after.data.amount", 20).expectAt("items.0.resource_id", id)
	events := string(s.do("GET", "/executions/"+id+"/events?after_seq=0", w.viewer.token, nil, "Accept", "text/event-stream").expect(200).Body)
	if !strings.Contains(events, `"message":"Refund 20?"`) || !strings.Contains(events, `"event":"answered"`) {
		t.Errorf("the events do not tell of it: %s", events)
	}
}

func TestApproversGetLettersWhoseLinksAskOnceMore(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id, _ := s.asking(w.editor.token, w.id, `{"message":"Refund <b>20</b>?","approvers":["`+w.admin.email+`","`+w.viewer.email+`","nobody@example.com"]}`)
	link := ""
	deadline := time.After(20 * time.Second)
	for link == "" {
		s.mail.mu.Lock()
		for _, letter := range s.mail.letters[w.admin.email] {
			if _, rest, found := strings.Cut(letter, "Approve: http://studio.test"); found {
				link, _, _ = strings.Cut(rest, "\n")
			}
		}
		s.mail.mu.Unlock()
		select {
		case <-deadline:
			t.Fatal("no letter came")
		case <-time.After(10 * time.Millisecond):
		}
	}
	for range 3 { // programs that check mail
		page := s.do("GET", link, "", nil).expect(200)
		if !strings.Contains(string(page.Body), "Refund &lt;b&gt;20&lt;/b&gt;?") || !strings.Contains(page.Header.Get("Content-Security-Policy"), "form-action 'self'") {
			t.Fatalf("got %s", page.Body)
		}
	}
	s.do("GET", "/executions/"+id, w.admin.token, nil).expectAt("status", "waiting")
	s.do("POST", link[:len(link)-3]+"AAA", "", nil).expect(404)
	s.do("POST", link, "", "comment=by+mail", "Content-Type", "application/x-www-form-urlencoded").expect(200)
	s.until(w.admin.token, id, "completed").expectAt("output.by", w.admin.email).expectAt("output.comment", "by mail")
	s.do("POST", link, "", nil).expect(409)
	s.clock.pass(8 * 24 * time.Hour)
	s.do("GET", link, "", nil).expect(409)
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	for _, address := range []string{w.viewer.email, "nobody@example.com"} {
		for _, letter := range s.mail.letters[address] {
			if strings.Contains(letter, "Your decision") {
				t.Errorf("%s, who may not decide, got %s", address, letter)
			}
		}
	}
}

func TestLinksEndWithTheMembership(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	_, _ = s.asking(w.editor.token, w.id, `{"message":"m","approvers":["`+w.admin.email+`"]}`)
	link := ""
	for deadline := time.Now().Add(20 * time.Second); link == "" && time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		s.mail.mu.Lock()
		for _, letter := range s.mail.letters[w.admin.email] {
			if _, rest, found := strings.Cut(letter, "Reject:  http://studio.test"); found {
				link, _, _ = strings.Cut(rest, "\n")
			}
		}
		s.mail.mu.Unlock()
	}
	s.do("DELETE", "/workspaces/"+w.id+"/members/"+w.admin.id, w.owner.token, nil).expect(204)
	s.do("GET", link, "", nil).expect(404)
	s.do("POST", link, "", nil).expect(404)
}

func TestCallbacksResumeWhatWaitsOnce(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	flow := s.create(w.editor.token, w.id, `{"name":"Call","nodes":[{"id":"start","kind":"manual-trigger"},{"id":"w","kind":"wait","config":{"callback":true}}],"connections":[{"source":"start","target":"w"}]}`).text("id")
	id := s.do("POST", "/executions", w.editor.token, `{"workflow_id":"`+flow+`"}`).expect(202).text("id")
	s.until(w.editor.token, id, "waiting")
	address := s.waitingNode(w.editor.token, id).CallbackURL
	if seen := s.waitingNode(w.viewer.token, id).CallbackURL; seen != "" {
		t.Errorf("a viewer, who may not execute, sees %s", seen)
	}
	_, path, found := strings.Cut(address, s.http.URL)
	if !found {
		t.Fatalf("the address is %q", address)
	}
	s.do("HEAD", path, "", nil).expect(404)
	var all sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	for range 8 {
		all.Go(func() {
			a := s.do("POST", path+"?x=1", "", `{"paid":true}`, "Authorization", "secret", "X-Thing", "yes")
			mu.Lock()
			defer mu.Unlock()
			got[a.Status]++
		})
	}
	all.Wait()
	if got[http.StatusAccepted] != 1 || got[http.StatusConflict] != 7 {
		t.Errorf("eight calls at once were answered %v", got)
	}
	x := s.until(w.viewer.token, id, "completed").expectAt("output.method", "POST").expectAt("output.query.x", "1").expectAt("output.body.paid", true).expectAt("output.headers.x-thing", "yes")
	if strings.Contains(string(x.Body), "secret") {
		t.Error("a secret is kept with the execution")
	}
	s.do("POST", path, "", `{}`).problem(409, "conflict")
	s.do("GET", "/hooks/_callback/"+s.called(w.editor.token, w.id, "")+"?ok=1", "", nil).expect(202)
	s.do("POST", "/hooks/_callback/AAAA", "", `{}`).problem(404, "not_found")
}

func TestCallbacksThatComeTooLateAreTold(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	key := s.called(w.editor.token, w.id, `,"timeout_seconds":4`)
	id := s.do("GET", "/executions?workspace_id="+w.id, w.editor.token, nil).expect(200).text("items.0.id")
	s.until(w.editor.token, id, "failed").expectAt("error.code", "callback_timeout")
	s.do("POST", "/hooks/_callback/"+key, "", `{}`).problem(409, "conflict").expectAt("code", "expired")
}

func TestCallbacksHaveALimit(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) {
		c.Limits.Webhook, c.Limits.Anonymous = limit.Rate{Requests: 1, Per: time.Minute}, limit.Rate{Requests: 30, Per: time.Minute}
	}})
	w := s.team()
	key := s.called(w.editor.token, w.id, "")
	s.do("POST", "/hooks/_callback/"+key, "", `{}`).expect(202)
	s.do("POST", "/hooks/_callback/"+key, "", `{}`).expect(429)
	status := 0
	for range 40 {
		status = s.do("POST", "/hooks/_callback/guess", "", `{}`).Status
	}
	if status != 429 {
		t.Errorf("whoever guesses is told %d", status)
	}
}

func TestLettersOutliveAMailServerThatIsDown(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	s.mail.mu.Lock()
	s.mail.down = true
	s.mail.mu.Unlock()
	s.asking(w.editor.token, w.id, `{"message":"m","approvers":["`+w.admin.email+`"]}`)
	letters := func() (n int) {
		s.mail.mu.Lock()
		defer s.mail.mu.Unlock()
		for _, letter := range s.mail.letters[w.admin.email] {
			if strings.Contains(letter, "Your decision") {
				n++
			}
		}
		return n
	}
	waits := func(attempts int) bool {
		var n int
		if err := s.db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM letters WHERE attempts >= $1`, attempts).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 1
	}
	deadline := time.Now().Add(20 * time.Second)
	for !waits(1) {
		if time.Now().After(deadline) {
			t.Fatal("the letter was not tried")
		}
		<-time.After(10 * time.Millisecond)
	}
	s.mail.mu.Lock()
	s.mail.down = false
	s.mail.mu.Unlock()
	s.clock.pass(3 * time.Minute)
	for letters() == 0 || waits(0) {
		if time.Now().After(deadline) {
			t.Fatalf("%d letters came, kept: %t", letters(), waits(0))
		}
		<-time.After(10 * time.Millisecond)
	}
	s.clock.pass(time.Hour)
	if n := letters(); n != 1 {
		t.Errorf("%d letters came", n)
	}
}
