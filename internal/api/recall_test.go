package api_test

import (
	"testing"

	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

// What has been read many times is still shown as it is, and to nobody who may
// not see it any more: from the answer to the change on, on the replica that
// made it and on another.
func TestChangesHoldAtOnceForWhatIsReadAllTheTime(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		s := open(t, options{})
		changesHold(t, s, s)
	})
	t.Run("postgres", func(t *testing.T) {
		url := storetest.PostgresURL(t)
		replica := func() *studio {
			return openOn(t, storetest.Open(t, store.Config{URL: url, MaxConns: 8}), options{})
		}
		here, there := replica(), replica()
		changesHold(t, here, there)
	})
}

func changesHold(t *testing.T, here, there *studio) {
	w := here.team()
	flow := here.create(w.editor.token, w.id, greeter).text("id")
	x := here.do("POST", "/executions", w.editor.token, map[string]any{"workflow_id": flow, "wait": 30}).expect(200).text("id")
	y := here.do("POST", "/executions", w.editor.token, map[string]any{"workflow_id": flow, "wait": 30}).expect(200).text("id")
	pages := []string{"/executions/" + x, "/executions/" + x + "/nodes", "/workflows/" + flow, "/executions?workspace_id=" + w.id, "/workflows?workspace_id=" + w.id}
	see := func(token string, status int) {
		t.Helper()
		for range 2 {
			for _, s := range []*studio{here, there} {
				for _, page := range pages {
					s.do("GET", page, token, nil).expect(status)
				}
			}
		}
	}
	see(w.viewer.token, 200)
	see(w.readKey, 200)
	see(w.stranger.token, 404)

	here.do("PUT", "/workflows/"+flow, w.editor.token, `{"name":"Renamed"}`).expect(200)
	there.do("GET", "/workflows/"+flow, w.viewer.token, nil).expect(200).expectAt("name", "Renamed").expectAt("version", 2)
	there.do("GET", "/workflows?workspace_id="+w.id, w.viewer.token, nil).expect(200).expectAt("items.0.name", "Renamed")
	here.do("PATCH", "/workflows/"+flow+"/status", w.editor.token, `{"status":"published"}`).expect(200)
	there.do("GET", "/workflows/"+flow, w.viewer.token, nil).expect(200).expectAt("status", "published")
	here.do("PATCH", "/workflows/"+flow+"/status", w.editor.token, `{"status":"draft"}`).expect(200)
	there.do("GET", "/workflows/"+flow, w.viewer.token, nil).expect(200).expectAt("status", "draft").expectAt("published_version", nil)

	here.do("PATCH", "/auth/me", w.viewer.token, `{"full_name":"Vi"}`).expect(200)
	there.do("GET", "/auth/me", w.viewer.token, nil).expect(200).expectAt("full_name", "Vi")

	here.do("DELETE", "/executions/"+y, w.editor.token, nil).expect(204)
	there.do("GET", "/executions/"+y, w.viewer.token, nil).problem(404, "not_found")
	there.do("GET", "/executions/"+y+"/nodes", w.viewer.token, nil).problem(404, "not_found")
	there.do("GET", "/executions?workspace_id="+w.id, w.viewer.token, nil).expect(200).expectAt("total", 1)

	see(w.viewer.token, 200)
	here.do("DELETE", "/workspaces/"+w.id+"/members/"+w.viewer.id, w.owner.token, nil).expect(204)
	for _, page := range pages {
		there.do("GET", page, w.viewer.token, nil).problem(404, "not_found")
	}
	here.do("DELETE", "/workflows/"+flow, w.editor.token, nil).expect(204)
	there.do("GET", "/workflows/"+flow, w.editor.token, nil).problem(404, "not_found")
	there.do("GET", "/workflows?workspace_id="+w.id, w.editor.token, nil).expect(200).expectAt("total", 0)
	there.do("GET", "/executions/"+x, w.editor.token, nil).expect(200) // executions stay
}
