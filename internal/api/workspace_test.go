package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/api"
)

// team is a workspace with somebody in every role.
type team struct {
	id, slug                      string
	owner, admin, editor, viewer  person
	stranger                      person
	readKey, executeKey, writeKey string
}

// join invites somebody and lets them accept.
func (s *studio) join(workspace string, owner person, email, role string) person {
	s.t.Helper()
	s.do("POST", "/workspaces/"+workspace+"/invite", owner.token, map[string]any{"email": email, "role": role}).expect(201)
	token := s.mail.find(s.t, email, `/invitations/(\S+)`)
	p := s.signIn(email)
	s.do("POST", "/invitations/"+token+"/accept", p.token, nil).expect(200).expectAt("status", "accepted")
	return p
}

func (s *studio) team() team {
	s.t.Helper()
	var out team
	out.owner = s.signIn("owner@example.com")
	a := s.do("POST", "/workspaces", out.owner.token, `{"name":"Team"}`).expect(201)
	out.id, out.slug = a.text("id"), a.text("slug")
	out.admin = s.join(out.id, out.owner, "admin@example.com", "administrator")
	out.editor = s.join(out.id, out.owner, "editor@example.com", "editor")
	out.viewer = s.join(out.id, out.owner, "viewer@example.com", "viewer")
	out.stranger = s.signIn("stranger@example.com")
	key := func(scope string) string {
		return s.do("POST", "/auth/api-keys", out.owner.token, map[string]any{"name": scope, "workspace_id": out.id, "scopes": []string{scope}}).expect(201).text("key")
	}
	out.readKey, out.executeKey, out.writeKey = key("read"), key("execute"), key("write")
	return out
}

func TestWorkspacesAreMadeChangedAndDeleted(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	a := s.do("POST", "/workspaces", p.token, `{"name":" Blue Team ","description":"d"}`, "Idempotency-Key", "k1").expect(201).expectAt("slug", "blue-team").expectAt("role", "owner")
	id := a.text("id")
	if a.Header.Get("Location") != "/api/v1/workspaces/"+id || a.Header.Get("ETag") != `"1"` {
		t.Errorf("headers are %v", a.Header)
	}
	s.do("GET", "/workspaces/"+id, p.token, nil).expect(200).expectAt("name", "Blue Team")
	s.do("PATCH", "/workspaces/"+id, p.token, `{"name":"Red"}`, "If-Match", `"1"`).expect(200).expectAt("version", 2).expectAt("description", "d")
	s.do("PATCH", "/workspaces/"+id, p.token, `{"name":"Green"}`, "If-Match", `"1"`).problem(412, "stale")
	s.do("PATCH", "/workspaces/"+id, p.token, `{"name":"Green"}`, "If-Match", `"other"`).problem(412, "stale")
	s.do("PUT", "/workspaces/"+id, p.token, `{"description":null,"slug":"green"}`, "If-Match", "*").expect(200).expectAt("description", "").expectAt("slug", "green")
	s.do("PATCH", "/workspaces/"+id, p.token, `{"slug":"No Good","name":" "}`).problem(422, "invalid")
	s.do("POST", "/workspaces", p.token, `{"name":"x","slug":"green"}`).problem(409, "conflict")
	s.do("DELETE", "/workspaces/"+s.personal(p), p.token, nil).problem(409, "conflict")
	s.do("DELETE", "/workspaces/"+id, p.token, nil).expect(204)
	s.do("GET", "/workspaces/"+id, p.token, nil).problem(404, "not_found")
}

func TestIdempotencyKeysAnswerTheFirstResult(t *testing.T) {
	s := open(t, options{})
	p, q := s.signIn("a@example.com"), s.signIn("b@example.com")
	first := s.do("POST", "/workspaces", p.token, `{"name":"X"}`, "Idempotency-Key", "k").expect(201)
	again := s.do("POST", "/workspaces", p.token, `{"name":"X"}`, "Idempotency-Key", "k").expect(201)
	if string(first.Body) != string(again.Body) || again.Header.Get("ETag") != first.Header.Get("ETag") || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("got %s, %v", again.Body, again.Header)
	}
	s.do("POST", "/workspaces", p.token, `{"name":"Y"}`, "Idempotency-Key", "k").problem(422, "invalid")
	other := s.do("POST", "/workspaces", q.token, `{"name":"X"}`, "Idempotency-Key", "k").expect(201)
	if other.text("id") == first.text("id") {
		t.Error("another person's key answers")
	}
	s.do("POST", "/workspaces", p.token, `{"name":""}`, "Idempotency-Key", "bad").expect(422)
	s.do("POST", "/workspaces", p.token, `{"name":"fine"}`, "Idempotency-Key", "bad").expect(201)
	s.do("POST", "/workspaces", p.token, `{"name":"x"}`, "Idempotency-Key", strings.Repeat("x", 256)).problem(422, "invalid")
	s.do("POST", "/workspaces", p.token, `{"name":"x"}`, "Idempotency-Key", "\xff").problem(422, "invalid")
	p = s.signIn("a@example.com")
	s.clock.pass(25 * time.Hour)
	refreshed := s.do("POST", "/auth/refresh", "", map[string]any{"refresh_token": p.refresh}).expect(200)
	late := s.do("POST", "/workspaces", refreshed.text("access_token"), `{"name":"X"}`, "Idempotency-Key", "k").expect(201)
	if late.text("id") == first.text("id") {
		t.Error("the key is kept for more than a day")
	}
}

func TestInvitationsLetOnlyTheInvitedIn(t *testing.T) {
	s := open(t, options{})
	owner, guest, other := s.signIn("o@example.com"), s.signIn("g@example.com"), s.signIn("x@example.com")
	id := s.do("POST", "/workspaces", owner.token, `{"name":"Team"}`).expect(201).text("id")
	invite := func(email, role string) *answer {
		return s.do("POST", "/workspaces/"+id+"/invite", owner.token, map[string]any{"email": email, "role": role, "message": "hello"})
	}
	in := invite(" G@Example.com", "editor").expect(201).expectAt("status", "pending").expectAt("email", "g@example.com")
	invite("g@example.com", "viewer").problem(409, "conflict")
	for _, bad := range [][2]string{{"nobody", "editor"}, {"y@example.com", "owner"}, {"y@example.com", "king"}} {
		invite(bad[0], bad[1]).problem(422, "invalid")
	}
	token := s.mail.find(t, "g@example.com", `/invitations/(\S+)`)
	s.do("GET", "/invitations", guest.token, nil).expect(200).expectAt("items.0.workspace_name", "Team")
	s.do("GET", "/invitations", other.token, nil).expect(200).expectAt("total", 0)
	s.do("GET", "/invitations?workspace_id="+id, owner.token, nil).expect(200).expectAt("total", 1)
	s.do("GET", "/invitations?workspace_id="+id, guest.token, nil).problem(404, "not_found")
	s.do("POST", "/invitations/"+token+"/accept", other.token, nil).problem(404, "not_found")
	s.do("POST", "/invitations/"+in.text("id")+"/resend", owner.token, nil).expect(200)
	s.do("POST", "/invitations/"+token+"/accept", guest.token, nil).problem(404, "not_found") // the old link died
	token = s.mail.find(t, "g@example.com", `/invitations/(\S+)`)
	s.do("POST", "/invitations/"+token+"/accept", guest.token, nil).expect(200)
	s.do("POST", "/invitations/"+token+"/accept", guest.token, nil).problem(409, "conflict")
	s.do("POST", "/invitations/"+in.text("id")+"/resend", owner.token, nil).problem(409, "conflict")
	s.do("GET", "/workspaces/"+id+"/members", guest.token, nil).expect(200).expectAt("total", 2).expectAt("items.1.role", "editor")
	invite("g@example.com", "editor").problem(409, "conflict") // a member already

	second := invite("x@example.com", "viewer").expect(201).text("id")
	s.do("POST", "/invitations/"+second+"/decline", other.token, nil).expect(200).expectAt("status", "declined")
	third := invite("x@example.com", "viewer").expect(201).text("id")
	s.do("DELETE", "/invitations/"+third, other.token, nil).problem(404, "not_found")
	s.do("DELETE", "/invitations/"+third, owner.token, nil).expect(204)
	fourth := invite("x@example.com", "viewer").expect(201).text("id")
	refresh := func(p person) string {
		return s.do("POST", "/auth/refresh", "", map[string]any{"refresh_token": p.refresh}).expect(200).text("access_token")
	}
	s.clock.pass(6 * 24 * time.Hour)
	other.refresh = s.do("POST", "/auth/refresh", "", map[string]any{"refresh_token": other.refresh}).expect(200).text("refresh_token")
	s.clock.pass(2 * 24 * time.Hour)
	s.do("POST", "/invitations/"+fourth+"/accept", refresh(other), nil).problem(409, "conflict") // expired
	s.mail.down = true
	fresh := s.signInAgain("o@example.com")
	s.do("POST", "/workspaces/"+id+"/invite", fresh, `{"email":"z@example.com","role":"viewer"}`).problem(502, "upstream")
	s.do("GET", "/invitations?workspace_id="+id, fresh, nil).expect(200)
}

// signInAgain signs somebody in, mail server or no mail server.
func (s *studio) signInAgain(email string) string {
	s.t.Helper()
	s.mail.mu.Lock()
	down := s.mail.down
	s.mail.down = false
	s.mail.mu.Unlock()
	p := s.signIn(email)
	s.mail.mu.Lock()
	s.mail.down = down
	s.mail.mu.Unlock()
	return p.token
}

func TestOwnersCannotVanish(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	member := func(p person) string { return "/workspaces/" + w.id + "/members/" + p.id }
	s.do("DELETE", member(w.owner), w.owner.token, nil).problem(409, "conflict")
	s.do("PATCH", member(w.owner), w.owner.token, `{"role":"admin"}`).problem(409, "conflict")
	s.do("PATCH", member(w.owner), w.admin.token, `{"role":"viewer"}`).problem(403, "forbidden")
	s.do("DELETE", member(w.owner), w.admin.token, nil).problem(403, "forbidden")
	s.do("PATCH", member(w.viewer), w.admin.token, `{"role":"owner"}`).problem(403, "forbidden")
	s.do("PATCH", member(w.viewer), w.admin.token, `{"role":"nobody"}`).problem(422, "invalid")
	s.do("PATCH", member(w.stranger), w.admin.token, `{"role":"viewer"}`).problem(404, "not_found")
	s.do("PATCH", member(w.viewer), w.admin.token, `{"role":"editor"}`).expect(200).expectAt("role", "editor")
	s.do("DELETE", member(w.viewer), w.viewer.token, nil).expect(204) // everybody may leave
	s.do("GET", "/workspaces/"+w.id, w.viewer.token, nil).problem(404, "not_found")
	s.do("POST", "/workspaces/"+w.id+"/transfer", w.admin.token, map[string]any{"user_id": w.admin.id}).problem(403, "forbidden")
	s.do("POST", "/workspaces/"+w.id+"/transfer", w.owner.token, map[string]any{"user_id": w.owner.id}).problem(409, "conflict")
	s.do("POST", "/workspaces/"+w.id+"/transfer", w.owner.token, map[string]any{"user_id": w.stranger.id}).problem(404, "not_found")
	s.do("POST", "/workspaces/"+s.personal(w.owner)+"/transfer", w.owner.token, map[string]any{"user_id": w.admin.id}).problem(409, "conflict")
	s.do("POST", "/workspaces/"+w.id+"/transfer", w.owner.token, map[string]any{"user_id": w.admin.id}).expect(200).expectAt("role", "admin")
	s.do("DELETE", "/workspaces/"+w.id, w.owner.token, nil).problem(403, "forbidden")
	s.do("DELETE", "/workspaces/"+w.id, w.admin.token, nil).expect(204)
}

func TestActivityIsPagedAndPrivate(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	for i := range 5 {
		s.do("PATCH", "/workspaces/"+w.id, w.admin.token, map[string]any{"name": fmt.Sprint("Team ", i)}).expect(200)
	}
	seen := map[int64]bool{}
	cursor := ""
	for {
		var page api.CursorPage[api.Activity]
		s.do("GET", "/activity?limit=4&workspace_id="+w.id+"&cursor="+cursor, w.owner.token, nil).expect(200).into(&page)
		for _, a := range page.Items {
			if seen[a.Seq] {
				t.Fatalf("entry %d comes twice", a.Seq)
			}
			seen[a.Seq] = true
		}
		if cursor = page.NextCursor; cursor == "" {
			if len(seen) != page.Total {
				t.Errorf("saw %d of %d", len(seen), page.Total)
			}
			break
		}
	}
	s.do("GET", "/activity?action=workspace.updated&workspace_id="+w.id, w.owner.token, nil).expect(200).expectAt("total", 5).expectAt("items.0.user_email", "admin@example.com")
	s.do("GET", "/activity?workspace_id="+w.id, w.viewer.token, nil).expect(200).expectAt("total", 1)
	s.do("GET", "/activity?workspace_id="+w.id+"&user_id="+w.owner.id, w.viewer.token, nil).problem(403, "forbidden")
	s.do("GET", "/activity?workspace_id="+w.id, w.stranger.token, nil).problem(404, "not_found")
	s.do("GET", "/activity", w.stranger.token, nil).expect(200)
	s.do("GET", "/activity?cursor=nonsense", w.owner.token, nil).problem(422, "invalid")
	s.do("GET", "/activity?limit=0&offset=-1", w.owner.token, nil).problem(422, "invalid")
}
