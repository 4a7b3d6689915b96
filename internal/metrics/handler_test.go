package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"agentstudio/internal/metrics"
	"agentstudio/internal/usage"
)

func TestOnlyThisMachineOrTheTokenReads(t *testing.T) {
	m := metrics.New(metrics.Sources{})
	ask := func(readers metrics.Readers, from, host string, header ...string) int {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://"+host+"/metrics", nil)
		r.RemoteAddr = from
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		m.Handler(readers).ServeHTTP(w, r)
		if w.Code != http.StatusOK && strings.Contains(w.Body.String(), "go_goroutines") {
			t.Error("a refusal shows the metrics")
		}
		return w.Code
	}
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	for name, c := range map[string]struct{ got, want int }{
		"this machine":              {ask(metrics.Readers{}, "127.0.0.1:9", "localhost:8000"), 200},
		"this machine, version 6":   {ask(metrics.Readers{}, "[::1]:9", "[::1]:8000"), 200},
		"another machine":           {ask(metrics.Readers{}, "10.0.0.7:9", "localhost:8000"), 404},
		"through a proxy that says": {ask(metrics.Readers{}, "127.0.0.1:9", "localhost:8000", "X-Forwarded-For", "127.0.0.1"), 404},
		"through a known proxy":     {ask(metrics.Readers{Proxies: proxies}, "127.0.0.1:9", "127.0.0.1:8000"), 404},
		"a name that was rebound":   {ask(metrics.Readers{}, "127.0.0.1:9", "evil.test:8000"), 404},
		"no token":                  {ask(metrics.Readers{Token: "sesame"}, "127.0.0.1:9", "localhost"), 401},
		"a wrong token":             {ask(metrics.Readers{Token: "sesame"}, "10.0.0.7:9", "s.test", "Authorization", "Bearer sesamee"), 401},
		"another scheme":            {ask(metrics.Readers{Token: "sesame"}, "10.0.0.7:9", "s.test", "Authorization", "Basic sesame"), 401},
		"the token":                 {ask(metrics.Readers{Token: "sesame"}, "10.0.0.7:9", "s.test", "Authorization", "bearer sesame"), 200},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", name, c.got, c.want)
		}
	}
}

func TestNamesThatPeopleMakeUpAreBounded(t *testing.T) {
	m := metrics.New(metrics.Sources{})
	sink := m.Sink(usage.Discard{})
	for i := range 1000 {
		sink.Record(t.Context(), usage.Record{Provider: "p", Model: strings.Repeat("m", i%90) + string(rune('a'+i%26)), Input: 1, Outcome: usage.Failed})
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost/metrics", nil)
	r.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	m.Handler(metrics.Readers{}).ServeHTTP(w, r)
	lines := strings.Count(w.Body.String(), "\nai_api_calls_total{")
	if lines > 201 || !strings.Contains(w.Body.String(), `model="other"`) {
		t.Errorf("%d models", lines)
	}
}
