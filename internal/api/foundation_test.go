package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/api"
	"agentstudio/internal/fault"
	"agentstudio/internal/limit"
)

func TestOpenAPINeedsNoServices(t *testing.T) {
	text, err := api.New(api.Services{}, api.Config{Version: "1.2.3"}).OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OpenAPI    string
		Info       struct{ Version string }
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || doc.Info.Version != "1.2.3" {
		t.Fatalf("got %+v", doc.Info)
	}
	for _, name := range []string{"Problem", "WorkflowDefinition", "DefinitionNode"} {
		if doc.Components.Schemas[name] == nil {
			t.Errorf("no schema %s", name)
		}
	}
	for ref := range strings.SplitSeq(string(text), `"$ref": "#/components/schemas/`) {
		name, _, found := strings.Cut(ref, `"`)
		if found && !strings.ContainsAny(name, "{ \n") && doc.Components.Schemas[name] == nil {
			t.Errorf("reference to %s, which is not there", name)
		}
	}
}

func TestPagesWorkWithoutTheInternet(t *testing.T) {
	s := open(t, options{})
	for path, want := range map[string]string{"/": "Agent Studio", "/docs": "openapi.json", "/docs/problems": "not_found", "/docs/style.css": "font",
		"/openapi.json": `"openapi": "3.1.0"`, "/openapi.yaml": "openapi: 3.1.0", "/schemas/workflow.json": "Agent Studio workflow", "/healthz": "ok"} {
		a := s.do("GET", path, "", nil).expect(200)
		if !strings.Contains(string(a.Body), want) {
			t.Errorf("%s lacks %q", path, want)
		}
		if strings.Contains(string(a.Body), "<script") || strings.Contains(string(a.Body), "unsafe-inline") {
			t.Errorf("%s holds a script", path)
		}
		if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s has the policy %q", path, csp)
		}
	}
}

func TestReadinessTellsTheReason(t *testing.T) {
	s := open(t, options{})
	s.do("GET", "/readyz", "", nil).expect(200).expectAt("status", "ready")
	s.ready = func(context.Context) error { return fault.New(fault.Unavailable, "the database does not answer") }
	s.do("GET", "/readyz", "", nil).expect(503).expectAt("reason", "the database does not answer")
	if page := s.do("GET", "/", "", nil).expect(200); !strings.Contains(string(page.Body), "Not ready: the database does not answer") {
		t.Errorf("home says %s", page.Body)
	}
}

func TestUnknownAddressesAndMethodsAreProblems(t *testing.T) {
	s := open(t, options{})
	s.do("GET", "/nowhere", "", nil).problem(404, "not_found")
	a := s.do("DELETE", "/healthz", "", nil).problem(405, "method_not_allowed")
	if a.Header.Get("Allow") != "GET" {
		t.Errorf("Allow is %q", a.Header.Get("Allow"))
	}
	s.do("GET", "/nowhere?x=%00", "", nil).problem(422, "invalid")
	s.do("GET", "/now%00here", "", nil).problem(422, "invalid")
	s.do("GET", "/now%ffhere", "", nil).problem(422, "invalid")
}

func TestEveryAnswerCarriesItsHeaders(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) { c.SecureCookies = true }})
	a := s.do("GET", "/healthz", "", nil, "X-Request-Id", "abc-123")
	if a.Header.Get("X-Request-Id") != "abc-123" {
		t.Errorf("request id is %q", a.Header.Get("X-Request-Id"))
	}
	if !strings.HasPrefix(a.Header.Get("Server-Timing"), "app;dur=") {
		t.Errorf("Server-Timing is %q", a.Header.Get("Server-Timing"))
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000"} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, bad := range []string{"a b", strings.Repeat("x", 129), "<script>"} {
		if got := s.do("GET", "/healthz", "", nil, "X-Request-Id", bad).Header.Get("X-Request-Id"); got == bad {
			t.Errorf("request id %q was taken over", bad)
		}
	}
}

func TestOnlyAllowedOriginsMayCall(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) { c.AllowedOrigins = []string{"https://friend.example"} }})
	pre := s.do("OPTIONS", "/auth/request-otp", "", nil, "Origin", "https://friend.example", "Access-Control-Request-Method", "POST").expect(204)
	if pre.Header.Get("Access-Control-Allow-Origin") != "https://friend.example" || !strings.Contains(pre.Header.Get("Access-Control-Allow-Headers"), "If-Match") {
		t.Errorf("preflight answered %v", pre.Header)
	}
	models := s.do("OPTIONS", "/workflows", "", nil, "Origin", "https://friend.example", "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "authorization, x-stainless-os,anthropic-version, x-evil, X-Stainless-<b>").expect(204)
	if got := models.Header.Get("Access-Control-Allow-Headers"); !strings.HasSuffix(got, "X-Api-Key, x-stainless-os, anthropic-version") {
		t.Errorf("an official client of models in a browser may send %q", got)
	}
	if got := s.do("GET", "/healthz", "", nil, "Origin", "https://stranger.example").Header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("a stranger is allowed: %q", got)
	}
	s.do("POST", "/nowhere", "", "{}", "Origin", "https://stranger.example", "Sec-Fetch-Site", "cross-site").problem(403, "forbidden")
	s.do("POST", "/nowhere", "", "{}", "Origin", "https://friend.example", "Sec-Fetch-Site", "cross-site").problem(404, "not_found")
	s.do("POST", "/nowhere", "", "{}", "Sec-Fetch-Site", "same-origin").problem(404, "not_found")
}

func TestForwardedAddressesAreBelievedFromProxiesOnly(t *testing.T) {
	for _, c := range []struct {
		proxies string
		want    int
	}{{"127.0.0.1/32", 200}, {"10.0.0.0/8", 429}} {
		s := open(t, options{config: func(cfg *api.Config) {
			cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(c.proxies)}
			cfg.Limits.CodeIP = limit.Rate{Requests: 1, Per: time.Hour}
		}})
		body := map[string]any{"email": "a@example.com"}
		s.do("POST", "/auth/request-otp", "", body, "X-Forwarded-For", "203.0.113.1").expect(200)
		s.do("POST", "/auth/request-otp", "", body, "X-Forwarded-For", "9.9.9.9, 203.0.113.2").expect(c.want)
		s.do("POST", "/auth/request-otp", "", body, "X-Forwarded-For", "203.0.113.2").expect(http.StatusTooManyRequests)
	}
}

func TestHeadIsAnsweredAsGetIs(t *testing.T) {
	s := open(t, options{})
	for path, want := range map[string]int{"/healthz": 200, "/openapi.json": 200, "/nowhere": 404, "/auth/me": 401} {
		if a := s.do("HEAD", path, "", nil).expect(want); len(a.Body) > 0 {
			t.Errorf("%s: a body came: %s", path, a.Body)
		}
	}
}
