package api_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"agentstudio/internal/api"
)

// nastyBodies are bodies that no client of good will sends.
func nastyBodies() map[string][]byte {
	return map[string][]byte{
		"nothing":        {},
		"spaces":         []byte("   "),
		"no JSON":        []byte("hello"),
		"half":           []byte(`{"name":"x`),
		"two values":     []byte(`{}{}`),
		"null":           []byte(`null`),
		"a number":       []byte(`1e400`),
		"a list":         []byte(`[{}]`),
		"NUL byte":       []byte("{\"name\":\"a\x00b\"}"),
		"NUL escape":     []byte(`{"name":"a\u0000b","email":"a\u0000@example.com"}`),
		"broken UTF-8":   []byte("{\"name\":\"\xff\xfe\xc0\x80\"}"),
		"lone surrogate": []byte(`{"name":"\ud800","email":"\udfff@example.com","nodes":[]}`),
		"deep objects":   []byte(strings.Repeat(`{"nodes":`, 50_000) + "1" + strings.Repeat("}", 50_000)),
		"deep lists":     []byte(strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000)),
		"huge numbers":   []byte(`{"name":"x","version":99999999999999999999999,"priority":1e308,"wait":1e308,"limit":-1e308,"nodes":[],"settings":{"max_parallel":1e300}}`),
		"wrong types":    []byte(`{"name":{},"email":[],"code":1,"nodes":"x","connections":5,"tags":{"a":1},"status":[],"workflow_id":{},"trigger_data":"x","scopes":5,"role":null}`),
		"a proto":        []byte(`{"__proto__":{"admin":true},"constructor":{},"name":"x"}`),
		"many keys":      append(append([]byte(`{"name":"x"`), bytes.Repeat([]byte(`,"k":1`), 100_000)...), '}'),
		"20 MB":          append(append([]byte(`{"name":"`), bytes.Repeat([]byte("x"), 20<<20)...), `"}`...),
	}
}

func TestNastyRequestsNeverMakeItOurFault(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	flow := s.create(w.owner.token, w.id, adder).text("id")
	s.arm(w.owner, w.id, `{"path":"open"}`)
	x := s.do("POST", "/executions", w.owner.token, map[string]any{"workflow_id": flow, "trigger_data": map[string]any{"a": 1}, "wait": 20}).expect(200).text("id")
	for name, body := range nastyBodies() {
		for _, route := range s.server.Routes() {
			path, method, _ := strings.Cut(route, " ")
			if method == http.MethodGet || method == http.MethodDelete || !strings.HasPrefix(path, "/api/") || strings.HasSuffix(path, "/logout") {
				continue
			}
			id := flow
			switch {
			case strings.Contains(path, "/workspaces"):
				id = w.id
			case strings.Contains(path, "/executions"):
				id = x
			}
			path = strings.NewReplacer("{id}", id, "{user_id}", w.viewer.id, "{token}", newID(), "{version}", "1").Replace(path)
			if a := s.do(method, path, w.owner.token, body); a.Status >= 500 {
				t.Errorf("%s to %s %s: status %d: %.300s", name, method, path, a.Status, a.Body)
			}
		}
		if a := s.do("POST", "/hooks/"+w.slug+"/open", "", body); a.Status != 202 && a.Status != 413 {
			t.Errorf("%s to a webhook: status %d: %.300s", name, a.Status, a.Body)
		}
	}
}

func TestNastyAddressesNeverMakeItOurFault(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	for _, path := range []string{
		"/workflows/%00", "/workflows/%ff", "/workflows/..%2f..%2fetc", "/workflows/" + strings.Repeat("a", 5000), "/workflows/00000000-0000-0000-0000-000000000000",
		"/workflows?query=%00", "/workflows?query=%ff", "/workflows?query=%25%5C%27", "/workflows?limit=1e9", "/workflows?limit=9223372036854775808", "/workflows?offset=9223372036854775807",
		"/workflows?tags=" + strings.Repeat("a&tags=", 50), "/workflows?%zz", "/workflows?;", "/workflows?query=" + strings.Repeat("%25", 80), "/workflows?sort=id;DROP",
		"/executions?from=9999-12-31T23:59:59Z&to=0000-01-01T00:00:00Z", "/executions?from=99999-01-01T00:00:00Z", "/executions?cursor=MTIzNCA", "/executions?cursor=MTIzNCBhYmM",
		"/executions?query=%5C", "/activity?cursor=czk5OTk5OTk5OTk5OTk5OTk5OTk5", "/activity?cursor=cy0x", "/activity?user_id=00000000-0000-0000-0000-000000000000",
		"/workflows/" + newID() + "/diff?from=-1&to=99999999999", "/workflows/" + newID() + "/versions/99999999999999999999", "/node-kinds/%2e%2e", "/invitations?workspace_id=x",
		"/ws?ticket=%00", "/ws?ticket=x&after_seq=x", "/ws/executions/x", "/ws/executions/" + newID(), "/hooks/%00/x", "/hooks/a/" + strings.Repeat("b/", 3000), "/hooks/a/%2e%2e/x",
	} {
		if a := s.do("GET", path, p.token, nil); a.Status >= 500 || a.Status < 200 {
			t.Errorf("%s: status %d: %s", path, a.Status, a.Body)
		}
	}
	for name, value := range map[string]string{"User-Agent": "\xff\xfe", "X-Request-Id": "\xff", "If-Match": "\xff", "Authorization": "Bearer \xff", "Cookie": "studio_refresh=\xff; x", "X-Forwarded-For": "\xff, ,",
		"Accept": "\xff;q=x", "Content-Type": "\xff", "Origin": "\xff", "Accept-Encoding": strings.Repeat("x", 10_000)} {
		if a := s.do("POST", "/workspaces", p.token, `{"name":"x"}`, name, value); a.Status >= 500 {
			t.Errorf("%s %q: status %d: %s", name, value, a.Status, a.Body)
		}
	}
	s.do("GET", "/auth/me", p.token, nil).expect(200)
}

func TestPanicsAreToldAsOurFaultAndLoggedOnce(t *testing.T) {
	log := &lines{}
	server := api.New(api.Services{}, api.Config{Log: slog.New(slog.NewTextHandler(log, nil))}) // without services every operation panics
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/auth/request-otp", strings.NewReader(`{"email":"a@example.com"}`))
	r.Header.Set("X-Request-Id", "quote-me")
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	a := (&answer{t: t, what: "a panic", Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()}).problem(500, "internal")
	if !strings.Contains(a.text("detail"), "quote-me") || strings.Contains(string(a.Body), "nil pointer") {
		t.Errorf("got %s", a.Body)
	}
	if text := log.String(); strings.Count(text, "request_id=quote-me") != 1 || strings.Count(text, "level=ERROR") != 1 || strings.Count(text, "nil pointer") != 1 || strings.Count(text, "msg=request ") != 1 {
		t.Errorf("the log says %s", text)
	}
}
