package webread_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"agentstudio/internal/fault"
	"agentstudio/internal/outbound"
	"agentstudio/internal/webread"
)

const article = `<!doctype html><html><head><title>On tides - The Site</title><meta name="description" content="Why the sea rises."></head><body>
<nav><a href="/">Home</a> <a href="/shop">Shop</a></nav>
<article><h1>On tides</h1><p>The moon pulls the near side of the earth more than its centre, and the centre more than the far side, which makes two bulges of water.</p>
<p>When sun and moon stand in line, their pulls add up to spring tides, which are <b>higher</b> than <a href="/other">others</a>, and last for some days of each month.</p>
<table><thead><tr><th>Place</th><th>Range</th></tr></thead><tbody><tr><td>Fundy</td><td>15 m</td></tr></tbody></table></article>
<footer>Cookies and more cookies</footer></body></html>`

func web(t *testing.T, handler http.HandlerFunc) (*outbound.Client, string) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	c, err := outbound.New(outbound.Config{Allow: []string{strings.TrimPrefix(s.URL, "http://")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, s.URL
}

func serve(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(body))
	}
}

func TestAnArticleBecomesMarkdown(t *testing.T) {
	c, url := web(t, serve("text/html; charset=utf-8", article))
	p, err := webread.New(c, "", "").Read(t.Context(), url+"/tides")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"two bulges of water", "**higher**", "[others](" + url + "/other)", "| Fundy | 15 m  |"} {
		if !strings.Contains(p.Content, want) {
			t.Errorf("content lacks %q:\n%s", want, p.Content)
		}
	}
	if strings.Contains(p.Content, "Shop") || !strings.Contains(p.Title, "On tides") || p.Description != "Why the sea rises." {
		t.Errorf("got %+v", p)
	}
}

func TestOtherKindsOfPages(t *testing.T) {
	for _, c := range []struct{ contentType, body, want string }{
		{"text/plain", "just text", "just text"},
		{"application/json", `{"a":1}`, `{"a":1}`},
		{"text/plain; charset=iso-8859-1", "caf\xe9", "café"},
		{"text/html", "<p>short</p>", "short"},
	} {
		client, url := web(t, serve(c.contentType, c.body))
		p, err := webread.New(client, "", "").Read(t.Context(), url)
		if err != nil || p.Content != c.want {
			t.Errorf("%s: got %q, %v", c.contentType, p.Content, err)
		}
	}
	client, url := web(t, serve("image/png", "\x89PNG"))
	if _, err := webread.New(client, "", "").Read(t.Context(), url); !fault.Is(err, fault.Invalid) {
		t.Errorf("an image: %v", err)
	}
	client, url = web(t, http.NotFound)
	if _, err := webread.New(client, "", "").Read(t.Context(), url); !fault.Is(err, fault.Invalid) {
		t.Errorf("a missing page: %v", err)
	}
}

func TestTheReaderServiceIsUsedWithAKeyAndReplacedWhenItFails(t *testing.T) {
	fail := false
	c, url := web(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/reader/") {
			serve("text/plain", "fetched directly")(w, r)
			return
		}
		if r.Header.Get("Authorization") != "Bearer k" || fail {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write([]byte(`{"data":{"title":"T","url":"u","content":"read by the service","publishedTime":"2026"}}`))
	})
	r := webread.New(c, url+"/reader", "k")
	p, err := r.Read(t.Context(), url+"/page")
	if err != nil || p.Content != "read by the service" || p.PublishedAt != "2026" {
		t.Errorf("got %+v, %v", p, err)
	}
	fail = true
	if p, err = r.Read(t.Context(), url+"/page"); err != nil || p.Content != "fetched directly" {
		t.Errorf("got %+v, %v", p, err)
	}
}
