package websearch_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"agentstudio/internal/fault"
	"agentstudio/internal/outbound"
	"agentstudio/internal/websearch"
)

func searcher(t *testing.T, key string, handler http.HandlerFunc) *websearch.Searcher {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	c, err := outbound.New(outbound.Config{Allow: []string{strings.TrimPrefix(s.URL, "http://")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return websearch.New(c, s.URL+"/", key)
}

func TestSearchAsksAndReadsTheAnswer(t *testing.T) {
	s := searcher(t, "k", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("q") != "two words" || r.Header.Get("Authorization") != "Bearer k" {
			t.Errorf("asked %s with %q", r.URL, r.Header.Get("Authorization"))
		}
		_, _ = w.Write([]byte(`{"data":[{"title":"A","url":"https://a.test","description":"about a","date":"2026-01-01"},{"title":"B","url":"https://b.test"},{"title":"C"}]}`))
	})
	got, err := s.Search(t.Context(), "two words", 2)
	if err != nil || len(got) != 2 || got[0].Title != "A" || got[0].PublishedAt != "2026-01-01" || got[1].URL != "https://b.test" {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestSearchSaysWhatWentWrong(t *testing.T) {
	for answer, want := range map[int]fault.Kind{429: fault.TooMany, 503: fault.Upstream, 401: fault.Invalid, 200: fault.Upstream} {
		s := searcher(t, "k", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(answer)
			_, _ = w.Write([]byte("nonsense"))
		})
		if _, err := s.Search(t.Context(), "x", 1); !fault.Is(err, want) {
			t.Errorf("%d: got %v, want %s", answer, err, want)
		}
	}
	s := searcher(t, "", func(http.ResponseWriter, *http.Request) { t.Error("asked without a key") })
	if _, err := s.Search(t.Context(), "x", 1); !fault.Is(err, fault.NotConfigured) || s.Configured() {
		t.Errorf("without a key: %v", err)
	}
}
