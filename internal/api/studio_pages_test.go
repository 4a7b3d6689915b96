package api_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"agentstudio/internal/api"
)

// pages serves a small studio without anything behind it.
func pages(t *testing.T, publicURL string) http.Handler {
	t.Helper()
	files := fstest.MapFS{
		"index.html":          {Data: []byte("<html><head><title>x</title></head></html>")},
		"theme.js":            {Data: []byte("theme()")},
		"assets/main-abc.js":  {Data: []byte(strings.Repeat("let something = 1;\n", 400))},
		"assets/face-1.woff2": {Data: make([]byte, 4000)},
		".keep":               {},
	}
	return api.New(api.Services{Studio: api.Studio{Files: files, NoMail: true}}, api.Config{Version: "1.2.3", PublicURL: publicURL})
}

// shown is what a browser gets.
type shown struct {
	Status int
	Header http.Header
	Text   string
}

func get(h http.Handler, method, path string, header ...string) shown {
	r := httptest.NewRequest(method, path, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return shown{w.Code, w.Header(), w.Body.String()}
}

func TestStudioAnswersEveryPageWithItsFirst(t *testing.T) {
	h := pages(t, "")
	for _, path := range []string{"/", "/workflows", "/workflows/0190a0c0-0000-7000-8000-000000000000", "/executions?status=failed", "/settings/"} {
		r := get(h, "GET", path, "Accept", "text/html,*/*;q=0.8")
		text := r.Text
		if r.Status != http.StatusOK || !strings.Contains(text, `<base href="/">`) || !strings.Contains(text, `&#34;mail&#34;:false`) || !strings.Contains(text, `1.2.3`) {
			t.Errorf("%s answers %d %s", path, r.Status, text)
		}
		if r.Header.Get("Cache-Control") != "no-cache" || !strings.Contains(r.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s has the headers %v", path, r.Header)
		}
		csp := r.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "script-src 'self'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s has the policy %q", path, csp)
		}
	}
}

func TestStudioHidesNoMistakesOfPrograms(t *testing.T) {
	h := pages(t, "")
	for _, c := range [][2]string{{"GET", "/api/v1/nothing"}, {"GET", "/api"}, {"GET", "/hooks/nobody"}, {"GET", "/docs/nothing"},
		{"POST", "/workflows"}, {"GET", "/assets/gone-1.js"}, {"GET", "/.keep"}, {"GET", "/../go.mod"}} {
		r := get(h, c[0], c[1], "Accept", "text/html")
		if r.Status != http.StatusNotFound || r.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s answers %d %s", c[0], c[1], r.Status, r.Header.Get("Content-Type"))
		}
	}
	if r := get(h, "GET", "/v1/nothing", "Accept", "text/html"); r.Status != http.StatusNotFound || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("a client of models gets %d %s", r.Status, r.Header.Get("Content-Type"))
	}
	if r := get(h, "GET", "/workflows", "Accept", "application/json"); r.Status != http.StatusNotFound {
		t.Errorf("a program that asks for JSON gets %d", r.Status)
	}
}

func TestStudioAssetsAreKeptAndPacked(t *testing.T) {
	h := pages(t, "")
	plain := get(h, "GET", "/assets/main-abc.js")
	if plain.Status != http.StatusOK || !strings.Contains(plain.Header.Get("Cache-Control"), "immutable") || plain.Header.Get("Content-Encoding") != "" ||
		!strings.HasPrefix(plain.Header.Get("Content-Type"), "text/javascript") {
		t.Fatalf("got %d %v", plain.Status, plain.Header)
	}
	packed := get(h, "GET", "/assets/main-abc.js", "Accept-Encoding", "br, gzip;q=0.8")
	if packed.Header.Get("Content-Encoding") != "gzip" || packed.Header.Get("Vary") != "Accept-Encoding" || packed.Header.Get("ETag") == plain.Header.Get("ETag") {
		t.Fatalf("got %v", packed.Header)
	}
	reader, err := gzip.NewReader(strings.NewReader(packed.Text))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err != nil || string(text) != plain.Text {
		t.Errorf("unpacked it is something else: %v", err)
	}
	again := get(h, "GET", "/assets/main-abc.js", "If-None-Match", `"other", W/`+plain.Header.Get("ETag"))
	if again.Status != http.StatusNotModified || again.Text != "" {
		t.Errorf("known already, it answers %d", again.Status)
	}
	for path, header := range map[string]string{"/assets/main-abc.js": "gzip;q=0", "/assets/face-1.woff2": "gzip", "/theme.js": "gzip"} {
		if r := get(h, "GET", path, "Accept-Encoding", header); r.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s with %s is packed", path, header)
		}
	}
	head := get(h, "HEAD", "/assets/main-abc.js")
	if head.Status != http.StatusOK || head.Header.Get("Content-Length") != plain.Header.Get("Content-Length") || head.Text != "" {
		t.Errorf("HEAD answers %d %v", head.Status, head.Header)
	}
}

func TestStudioStandsUnderAPath(t *testing.T) {
	h := pages(t, "https://example.org/tools/studio/")
	if text := get(h, "GET", "/").Text; !strings.Contains(text, `<base href="/tools/studio/">`) {
		t.Errorf("got %s", text)
	}
	s := open(t, options{config: func(c *api.Config) { c.PublicURL = "https://example.org/tools/studio/" }})
	p := s.signIn("ann@example.com")
	a := s.do("POST", "/auth/logout", p.token, nil).expect(204)
	if cookie := a.Header.Get("Set-Cookie"); !strings.Contains(cookie, "Path=/tools/studio/api/v1/auth;") {
		t.Errorf("the cookie is %q", cookie)
	}
}

func TestWithoutStudioThePageSaysHowToBuildIt(t *testing.T) {
	s := open(t, options{})
	if page := s.do("GET", "/", "", nil).expect(200); !strings.Contains(string(page.Body), "make build") {
		t.Errorf("it says %s", page.Body)
	}
}
