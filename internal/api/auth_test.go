package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/account"
	"agentstudio/internal/api"
	"agentstudio/internal/limit"

	"github.com/golang-jwt/jwt/v5"
)

// person is somebody who is signed in.
type person struct {
	email, id, token, refresh string
}

// signIn makes an account when there is none, and signs it in on a new device.
func (s *studio) signIn(email string) person {
	s.t.Helper()
	s.do("POST", "/auth/request-otp", "", map[string]any{"email": email}).expect(200)
	code := s.mail.find(s.t, email, `Your code for Agent Studio is (\d{6})`)
	a := s.do("POST", "/auth/verify-otp", "", map[string]any{"email": email, "code": code}).expect(200)
	return person{email: email, id: a.text("user.id"), token: a.text("access_token"), refresh: a.text("refresh_token")}
}

// personal returns the id of somebody's personal workspace.
func (s *studio) personal(p person) string {
	s.t.Helper()
	var page api.Page[api.Workspace]
	s.do("GET", "/workspaces", p.token, nil).expect(200).into(&page)
	for _, w := range page.Items {
		if w.IsPersonal {
			return w.ID
		}
	}
	s.t.Fatalf("%s has no personal workspace", p.email)
	return ""
}

func TestSigningInByCode(t *testing.T) {
	s := open(t, options{})
	ask := func(email string) *answer {
		return s.do("POST", "/auth/request-otp", "", map[string]any{"email": email})
	}
	first := ask("  Ada@Example.com ").expect(200).expectAt("expires_in", 300).expectAt("success", true)
	if second := ask("nobody@example.com").expect(200); string(first.Body) != string(second.Body) {
		t.Errorf("the answers differ: %s, %s", first.Body, second.Body)
	}
	code := s.mail.find(t, "ada@example.com", `is (\d{6})`)
	wrong := "000000"
	if code == wrong {
		wrong = "000001"
	}
	verify := func(code string) *answer {
		return s.do("POST", "/auth/verify-otp", "", map[string]any{"email": "ADA@example.com", "code": code, "full_name": "Ada"})
	}
	if a := verify(wrong).problem(401, "unauthenticated"); a.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("WWW-Authenticate is %q", a.Header.Get("WWW-Authenticate"))
	}
	a := verify(code).expect(200).expectAt("token_type", "bearer").expectAt("expires_in", 900).expectAt("user.email", "ada@example.com").
		expectAt("user.is_admin", true).expectAt("user.is_verified", true).expectAt("user.full_name", "Ada")
	cookie := a.Header.Get("Set-Cookie")
	for _, want := range []string{"studio_refresh=asr_", "HttpOnly", "SameSite=Strict", "Path=/api/v1/auth", "Max-Age=604800"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q lacks %s", cookie, want)
		}
	}
	verify(code).problem(401, "unauthenticated") // used
	s.do("GET", "/auth/me", a.text("access_token"), nil).expect(200).expectAt("id", a.at("user.id"))
}

func TestCodesAreLockedAndExpire(t *testing.T) {
	s := open(t, options{})
	try := func(code string, want int) {
		t.Helper()
		s.do("POST", "/auth/verify-otp", "", map[string]any{"email": "a@example.com", "code": code}).expect(want)
	}
	ask := func() string {
		s.do("POST", "/auth/request-otp", "", map[string]any{"email": "a@example.com"}).expect(200)
		return s.mail.find(t, "a@example.com", `is (\d{6})`)
	}
	other := func(code string) string {
		if code == "123456" {
			return "654321"
		}
		return "123456"
	}
	code := ask()
	for range 5 {
		try(other(code), 401)
	}
	try(code, 401) // locked
	code = ask()
	s.clock.pass(account.CodeTTL + time.Second)
	try(code, 401) // expired
	old, code := ask(), ask()
	if old != code {
		try(old, 401) // replaced
	}
	try(code, 200)
}

func TestBadSignInInputNamesEveryFault(t *testing.T) {
	s := open(t, options{})
	for body, want := range map[string]string{
		`{"email":"x@example.com","code":"12","full_nam":"x"}`:                  "body.code body.full_nam",
		`{"email":5,"code":"12345a"}`:                                           "body.code body.email",
		`{"email":"nobody","code":"123456"}`:                                    "body.email",
		`{"code":"123456"}`:                                                     "body",
		`{"email":"a@example.com","code":"123456","full_name":"a\u0000b"}`:      "body",
		`{"email":"a@example.com","code":"123456","full_name":"a\\u0000b"}`:     "",
		`{"email":"a@example.com","code":"123456","full_name":"a\\\u0000b"}`:    "",
		`{"email":"a@example.com","purpose":"x","code":"123456","full_name":1}`: "body.full_name body.purpose",
	} {
		a := s.do("POST", "/auth/verify-otp", "", body)
		if want == "" {
			if a.Status == 422 || a.Status >= 500 {
				if !strings.Contains(body, `\\\u0000`) {
					t.Errorf("%s: status %d: %s", body, a.Status, a.Body)
				}
			}
			continue
		}
		a.problem(422, "invalid")
		got := a.locations()
		for w := range strings.FieldsSeq(want) {
			if !strings.Contains(strings.Join(got, " "), w) {
				t.Errorf("%s: faults at %v, want %s", body, got, want)
			}
		}
	}
	s.do("POST", "/auth/request-otp", "", `{"email":"a@example.com","purpose":"steal"}`).problem(422, "invalid")
	s.do("POST", "/auth/request-otp", "", `{"email"`).problem(400, "malformed")
	s.do("POST", "/auth/request-otp", "", ``).problem(400, "malformed")
	s.do("POST", "/auth/request-otp", "", "\"\xff\"").problem(400, "malformed")
	s.do("POST", "/auth/request-otp", "", `email=a`, "Content-Type", "application/x-www-form-urlencoded").problem(415, "unsupported_media_type")
	s.do("POST", "/auth/request-otp?x=1", "", `{"email":"a@example.com"}`).problem(422, "invalid")
}

func TestMailServerDownIsUpstream(t *testing.T) {
	s := open(t, options{})
	s.mail.down = true
	s.do("POST", "/auth/request-otp", "", `{"email":"a@example.com"}`).problem(502, "upstream")
}

func TestSignUpPolicyKeepsStrangersOut(t *testing.T) {
	s := open(t, options{signup: account.SignupInvite})
	owner := s.signIn("first@example.com")
	s.do("POST", "/auth/request-otp", "", `{"email":"stranger@example.com"}`).expect(200)
	if letter := s.mail.last(t, "stranger@example.com"); strings.Contains(letter, "code") && !strings.Contains(letter, "invitation") {
		t.Errorf("a stranger got %s", letter)
	}
	w := s.do("POST", "/workspaces", owner.token, `{"name":"Team"}`).expect(201).text("id")
	s.do("POST", "/workspaces/"+w+"/invite", owner.token, `{"email":"guest@example.com","role":"editor"}`).expect(201)
	s.signIn("guest@example.com")
}

func TestRefreshRotatesAndReuseEndsTheFamily(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	a := s.do("POST", "/auth/refresh", "", map[string]any{"refresh_token": p.refresh}).expect(200)
	b := s.do("POST", "/auth/refresh", "", nil, "Cookie", "studio_refresh="+a.text("refresh_token")).expect(200)
	s.do("GET", "/auth/me", b.text("access_token"), nil).expect(200)
	s.do("POST", "/auth/refresh", "", map[string]any{"refresh_token": p.refresh}).problem(401, "unauthenticated")
	s.do("POST", "/auth/refresh", "", map[string]any{"refresh_token": b.text("refresh_token")}).problem(401, "unauthenticated")
	s.do("GET", "/auth/me", b.text("access_token"), nil).problem(401, "unauthenticated")
	s.do("POST", "/auth/refresh", "", nil).problem(401, "unauthenticated")
	s.do("POST", "/auth/refresh", "", `{"refresh_token":"asr_nothing"}`).problem(401, "unauthenticated")
	s.do("POST", "/auth/refresh", "", nil, "Sec-Fetch-Site", "cross-site", "Cookie", "studio_refresh=x").problem(403, "forbidden")
}

func TestLoggingOutEndsBothTokens(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	out := s.do("POST", "/auth/logout", p.token, map[string]any{"refresh_token": p.refresh}).expect(204)
	if c := out.Header.Get("Set-Cookie"); !strings.Contains(c, "Max-Age=0") {
		t.Errorf("the cookie is not deleted: %q", c)
	}
	s.do("GET", "/auth/me", p.token, nil).problem(401, "unauthenticated")
	s.do("POST", "/auth/refresh", "", map[string]any{"refresh_token": p.refresh}).problem(401, "unauthenticated")
	s.do("POST", "/auth/logout", "", nil).problem(401, "unauthenticated")
	q := s.signIn("a@example.com")
	s.do("POST", "/auth/logout", "", nil, "Cookie", "studio_refresh="+q.refresh).expect(204)
	s.do("GET", "/auth/me", q.token, nil).problem(401, "unauthenticated")
	r := s.signIn("a@example.com")
	s.do("POST", "/auth/logout", r.token, nil).expect(204)
}

func TestDevicesCanBeListedAndEnded(t *testing.T) {
	s := open(t, options{})
	p, q := s.signIn("a@example.com"), s.signIn("a@example.com")
	stranger := s.signIn("b@example.com")
	var page api.Page[api.Session]
	s.do("GET", "/auth/sessions?limit=1", p.token, nil).expect(200).into(&page)
	if page.Total != 2 || len(page.Items) != 1 {
		t.Fatalf("got %+v", page)
	}
	s.do("GET", "/auth/sessions", q.token, nil).expect(200).into(&page)
	for _, v := range page.Items {
		if v.Current {
			s.do("DELETE", "/auth/sessions/"+v.ID, stranger.token, nil).problem(404, "not_found")
			continue
		}
		s.do("DELETE", "/auth/sessions/"+v.ID, q.token, nil).expect(204)
	}
	s.do("GET", "/auth/me", p.token, nil).expect(401)
	s.do("GET", "/auth/me", q.token, nil).expect(200)
	s.do("DELETE", "/auth/sessions/nonsense", q.token, nil).problem(422, "invalid")
}

func TestOneCanChangeOnesProfile(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	s.do("PATCH", "/auth/me", p.token, `{"full_name":"Ada L","avatar_url":"https://example.com/a.png"}`).expect(200).expectAt("avatar_url", "https://example.com/a.png")
	s.do("PATCH", "/auth/me", p.token, `{}`).expect(200).expectAt("full_name", "Ada L").expectAt("avatar_url", "https://example.com/a.png")
	s.do("PATCH", "/auth/me", p.token, `{"avatar_url":null}`).expect(200).expectAt("avatar_url", nil)
	for _, bad := range []string{`{"avatar_url":"javascript:alert(1)"}`, `{"avatar_url":5}`, `{"email":"x@example.com"}`,
		`{"full_name":"` + strings.Repeat("x", 256) + `"}`, `{"avatar_url":"https://x/` + strings.Repeat("x", 500) + `"}`} {
		s.do("PATCH", "/auth/me", p.token, bad).problem(422, "invalid")
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	var claims jwt.MapClaims
	parsed, _, err := jwt.NewParser().ParseUnverified(p.token, &claims)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(m jwt.SigningMethod, key any, kid any) string {
		tok := jwt.NewWithClaims(m, claims)
		tok.Header["kid"] = kid
		text, err := tok.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	kid := parsed.Header["kid"]
	for name, token := range map[string]string{
		"alg none":      sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid),
		"other key":     sign(jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), kid),
		"unknown kid":   sign(jwt.SigningMethodHS256, []byte(strings.Repeat("k", 32)), "nobody"),
		"refresh token": p.refresh,
		"nonsense":      "abc.def.ghi",
		"huge":          strings.Repeat("x", 8000),
		"unknown key":   "ask_nothing",
	} {
		if a := s.do("GET", "/auth/me", token, nil).problem(401, "unauthenticated"); a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
	}
	s.do("GET", "/auth/me", "", nil, "Authorization", "Basic abc").problem(401, "unauthenticated")
	s.clock.pass(account.AccessTTL + time.Second)
	s.do("GET", "/auth/me", p.token, nil).problem(401, "unauthenticated")
}

func TestAPIKeysActWithinTheirScopes(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	a := s.do("POST", "/auth/api-keys", p.token, `{"name":"ci","scopes":["read"]}`).expect(201)
	key := a.text("key")
	list := s.do("GET", "/auth/api-keys", p.token, nil).expect(200).expectAt("total", 1)
	if strings.Contains(string(list.Body), key) {
		t.Error("the list shows the secret")
	}
	s.do("GET", "/workspaces", key, nil).expect(200).expectAt("total", 1)
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/auth/api-keys", ""}, {"POST", "/auth/api-keys", `{"name":"x","scopes":["write"]}`}, {"GET", "/auth/sessions", ""}, {"PATCH", "/auth/me", `{}`},
		{"POST", "/workspaces", `{"name":"x"}`}, {"POST", "/auth/logout", ""}} {
		var body any
		if c.body != "" {
			body = c.body
		}
		s.do(c.method, c.path, key, body).problem(403, "forbidden")
	}
	s.do("POST", "/auth/api-keys", p.token, `{"name":" ","scopes":["fly"],"expires_at":"2001-01-01T00:00:00Z"}`).problem(422, "invalid")
	s.do("POST", "/auth/api-keys", p.token, `{"name":"x","scopes":["read"],"workspace_id":"`+newID()+`"}`).problem(404, "not_found")
	soon := s.clock.now().Add(time.Hour).UTC().Format(time.RFC3339)
	short := s.do("POST", "/auth/api-keys", p.token, map[string]any{"name": "short", "scopes": []string{"read"}, "expires_at": soon}).expect(201)
	s.clock.pass(14 * time.Minute)
	s.do("GET", "/auth/me", short.text("key"), nil).expect(200)
	s.do("DELETE", "/auth/api-keys/"+a.text("id"), s.signIn("b@example.com").token, nil).problem(404, "not_found")
	s.do("DELETE", "/auth/api-keys/"+a.text("id"), p.token, nil).expect(204)
	s.do("GET", "/workspaces", key, nil).problem(401, "unauthenticated")
	s.clock.pass(time.Hour)
	s.do("GET", "/auth/me", short.text("key"), nil).problem(401, "unauthenticated")
}

func TestLimitsAnswerTooMany(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) {
		c.Limits = api.Limits{User: limit.Rate{Requests: 3, Per: time.Hour}, Anonymous: limit.Rate{Requests: 8, Per: time.Minute},
			CodeAddress: limit.Rate{Requests: 2, Per: time.Hour}, Verify: limit.Rate{Requests: 2, Per: time.Hour}}
	}})
	p := s.signIn("a@example.com") // 2 anonymous requests
	a := s.do("GET", "/auth/me", p.token, nil).expect(200)
	if a.Header.Get("RateLimit-Limit") != "3" || a.Header.Get("RateLimit-Remaining") != "2" || a.Header.Get("RateLimit-Reset") == "" {
		t.Errorf("headers are %v", a.Header)
	}
	s.do("GET", "/auth/me", p.token, nil).expect(200)
	s.do("GET", "/auth/me", p.token, nil).expect(200)
	over := s.do("GET", "/auth/me", p.token, nil).problem(429, "too_many").expectAt("code", "user")
	if over.Header.Get("Retry-After") != "1200" {
		t.Errorf("Retry-After is %q", over.Header.Get("Retry-After"))
	}
	s.do("POST", "/auth/request-otp", "", `{"email":"a@example.com"}`).expect(200)
	s.do("POST", "/auth/request-otp", "", `{"email":" A@example.com"}`).problem(429, "too_many").expectAt("code", "code_address")
	s.do("POST", "/auth/verify-otp", "", `{"email":"a@example.com","code":"000000"}`).expect(401)
	s.do("POST", "/auth/verify-otp", "", `{"email":"a@example.com","code":"000000"}`).problem(429, "too_many").expectAt("code", "verify")
	s.do("GET", "/auth/me", "", nil).expect(401)
	s.do("GET", "/auth/me", "bad", nil).expect(401)
	s.do("GET", "/auth/me", "", nil).problem(429, "too_many").expectAt("code", "anonymous")
}

func TestTooLargeBodiesAreRefusedUnread(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) { c.MaxBody = 1000 }})
	body := `{"email":"` + strings.Repeat("x", 2000) + `"}`
	s.do("POST", "/auth/request-otp", "", body).problem(413, "too_large")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.http.URL+"/api/v1/auth/request-otp", struct{ *strings.Reader }{strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Client().Do(req) // chunked: no length is announced
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
	s.do("POST", "/auth/request-otp", "", strings.Repeat("[", 999)).problem(400, "malformed")
}

func TestTimesAreUTCWithMilliseconds(t *testing.T) {
	text, err := json.Marshal(api.Time(time.Date(2026, 1, 2, 3, 4, 5, 6_700_000, time.FixedZone("x", 3600))))
	if err != nil || string(text) != `"2026-01-02T02:04:05.006Z"` {
		t.Errorf("got %s, %v", text, err)
	}
}
