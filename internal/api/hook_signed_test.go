package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

func signed(secret, text string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

func TestWebhooksKnowTheSignaturesOfTheirSenders(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	s.secrets["shop"] = "s3cret"
	for _, scheme := range []string{"github", "stripe", "slack"} {
		s.arm(w.editor, w.id, `{"path":"`+scheme+`","auth":"hmac","scheme":"`+scheme+`","credential":"shop"}`)
	}
	body := `{"id":"evt_1","event_id":"Ev1"}`
	now, old := fmt.Sprint(time.Now().Unix()), fmt.Sprint(time.Now().Add(-6*time.Minute).Unix())
	for _, c := range []struct {
		path   string
		status int
		header []string
	}{
		{"github", 202, []string{"X-Hub-Signature-256", "sha256=" + signed("s3cret", body)}},
		{"github", 401, []string{"X-Hub-Signature-256", "sha256=" + signed("s3cret", body+" ")}},
		{"github", 401, []string{"X-Signature-256", "sha256=" + signed("s3cret", body)}},
		{"stripe", 202, []string{"Stripe-Signature", "t=" + now + ",v1=" + signed("s3cret", now+"."+body)}},
		{"stripe", 401, []string{"Stripe-Signature", "t=" + old + ",v1=" + signed("s3cret", old+"."+body)}},
		{"stripe", 401, []string{"Stripe-Signature", "t=" + now + ",v1=" + signed("s3cret", body)}},
		{"slack", 202, []string{"X-Slack-Request-Timestamp", now, "X-Slack-Signature", "v0=" + signed("s3cret", "v0:"+now+":"+body)}},
		{"slack", 401, []string{"X-Slack-Request-Timestamp", old, "X-Slack-Signature", "v0=" + signed("s3cret", "v0:"+old+":"+body)}},
		{"slack", 401, nil},
	} {
		if a := s.do("POST", "/hooks/"+w.slug+"/"+c.path, "", body, c.header...); a.Status != c.status {
			t.Errorf("%s %v: %d, want %d: %s", c.path, c.header, a.Status, c.status, a.Body)
		}
	}
	call := func(delivery string) string {
		return s.do("POST", "/hooks/"+w.slug+"/github", "", body, "X-Hub-Signature-256", "sha256="+signed("s3cret", body), "X-GitHub-Delivery", delivery).expect(202).text("execution_id")
	}
	first := call("d-1")
	if again := call("d-1"); again != first {
		t.Error("a delivery that GitHub repeats starts again")
	}
	if other := call("d-2"); other == first {
		t.Error("another delivery starts nothing")
	}
}

// A delivery whose key was being written by another call at that moment made
// an execution of its own on PostgreSQL.
func TestDeliverySentFiftyTimesAtOnceRunsOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := openOn(t, db, options{})
		w := s.team()
		id := s.arm(w.editor, w.id, `{"path":"once","dedupe_key":"{{ trigger.headers['x-delivery'] }}"}`)
		for round := range 3 {
			var mu sync.Mutex
			named := map[string]int{}
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() {
					a := s.do("POST", "/hooks/"+w.slug+"/once", "", fmt.Sprintf(`{"try":%d}`, i), "X-Delivery", fmt.Sprint("d", round))
					mu.Lock()
					defer mu.Unlock()
					if a.Status/100 != 2 {
						t.Errorf("status %d: %s", a.Status, a.Body)
						return
					}
					named[a.text("execution_id")]++
				})
			}
			all.Wait()
			if len(named) != 1 {
				t.Errorf("50 callers were told of %d executions: %v", len(named), named)
			}
			for one := range named {
				s.until(w.viewer.token, one, "completed")
			}
			s.do("GET", "/executions?workspace_id="+w.id+"&workflow_id="+id, w.viewer.token, nil).expect(200).expectAt("total", round+1)
		}
	})
}

func TestPublishedWebhookAnswersAtOnceOnAnotherReplica(t *testing.T) {
	url := storetest.PostgresURL(t)
	here := openOn(t, storetest.Open(t, store.Config{URL: url, MaxConns: 8}), options{})
	there := openOn(t, storetest.Open(t, store.Config{URL: url, MaxConns: 8}), options{})
	w := here.team()
	best := time.Hour
	for i := range 8 {
		path := fmt.Sprint("p", i)
		id := here.create(w.editor.token, w.id, `{"name":"Hook","nodes":[{"id":"in","kind":"webhook-trigger","config":{"path":"`+path+`","respond":"when-finished"}}],"connections":[]}`).text("id")
		there.do("POST", "/hooks/"+w.slug+"/"+path, "", "{}").problem(404, "not_found")
		start := time.Now()
		here.publish(w.editor.token, id)
		there.do("POST", "/hooks/"+w.slug+"/"+path, "", "{}").expect(200)
		best = min(best, time.Since(start))
		here.do("PATCH", "/workflows/"+id+"/status", w.editor.token, `{"status":"draft"}`).expect(200)
		there.do("POST", "/hooks/"+w.slug+"/"+path, "", "{}").problem(404, "not_found")
	}
	t.Logf("publish to the first 200 on another replica: %s", best)
	if best > 100*time.Millisecond {
		t.Errorf("it took %s", best)
	}
}
