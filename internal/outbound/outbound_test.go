package outbound_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/outbound"
)

func client(t *testing.T, cfg outbound.Config) *outbound.Client {
	t.Helper()
	c, err := outbound.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func server(t *testing.T, handler http.HandlerFunc) (url, host string) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL, strings.TrimPrefix(s.URL, "http://")
}

func wantFault(t *testing.T, err error, kind fault.Kind, words string) {
	t.Helper()
	if !fault.Is(err, kind) || !strings.Contains(err.Error(), words) {
		t.Fatalf("got %v (%s), want %s with %q", err, fault.KindOf(err), kind, words)
	}
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	url, _ := server(t, func(http.ResponseWriter, *http.Request) { t.Error("the request arrived") })
	c := client(t, outbound.Config{})
	for _, address := range []string{url, strings.Replace(url, "127.0.0.1", "localhost", 1), "http://169.254.169.254/latest", "http://10.1.2.3/", "http://[::1]:80/", "http://[::ffff:127.0.0.1]:80/", "http://0.0.0.0:1/", "http://224.0.0.1/", "http://2130706433/"} {
		_, err := c.Do(t.Context(), outbound.Request{URL: address})
		if err == nil {
			t.Fatalf("%s was reached", address)
		}
		if f := fault.As(err); f == nil || f.Kind != fault.Invalid && f.Kind != fault.Upstream {
			t.Errorf("%s: %v", address, err)
		}
	}
	_, err := c.Do(t.Context(), outbound.Request{URL: url})
	wantFault(t, err, fault.Invalid, "STUDIO_ALLOW_PRIVATE_NETWORKS")
}

func TestAllowedPlacesAreReached(t *testing.T) {
	url, host := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Agent", r.UserAgent())
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("short and stout"))
	})
	for _, allow := range []string{host, "127.0.0.1", "127.0.0.0/8"} {
		got, err := client(t, outbound.Config{Allow: []string{allow}}).Do(t.Context(), outbound.Request{URL: url})
		if err != nil {
			t.Fatalf("%s: %v", allow, err)
		}
		if got.Status != http.StatusTeapot || string(got.Body) != "short and stout" || !strings.Contains(got.Header.Get("X-Agent"), "AgentStudio") {
			t.Errorf("%s: got %+v", allow, got)
		}
	}
	if _, err := outbound.New(outbound.Config{Allow: []string{"nonsense"}}); err == nil {
		t.Error("nonsense was allowed")
	}
}

func TestRedirectIntoThePrivateNetworkIsRefused(t *testing.T) {
	inside, _ := server(t, func(http.ResponseWriter, *http.Request) { t.Error("the request arrived") })
	url, host := server(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inside, http.StatusFound) })
	c := client(t, outbound.Config{Allow: []string{host}})
	_, err := c.Do(t.Context(), outbound.Request{URL: url})
	wantFault(t, err, fault.Invalid, "private network")
	got, err := c.Do(t.Context(), outbound.Request{URL: url, NoRedirects: true})
	if err != nil || got.Status != http.StatusFound {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestEndlessRedirectsAreCut(t *testing.T) {
	url, host := server(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) })
	_, err := client(t, outbound.Config{Allow: []string{host}}).Do(t.Context(), outbound.Request{URL: url})
	wantFault(t, err, fault.Invalid, "redirects more than 5 times")
}

func TestLargeAndSlowAnswersAreCut(t *testing.T) {
	url, host := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			return
		}
		_, _ = w.Write(make([]byte, 2000))
	})
	c := client(t, outbound.Config{Allow: []string{host}, MaxBody: 1000})
	_, err := c.Do(t.Context(), outbound.Request{URL: url})
	wantFault(t, err, fault.TooLarge, "1000 bytes")
	_, err = c.Do(t.Context(), outbound.Request{URL: url + "/slow", Timeout: 20 * time.Millisecond})
	wantFault(t, err, fault.Timeout, "did not answer within 20ms")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Do(ctx, outbound.Request{URL: url + "/slow"})
	wantFault(t, err, fault.Cancelled, "cut off")
}

func TestAddressesThatAreNoneAreRefused(t *testing.T) {
	c := client(t, outbound.Config{})
	for _, address := range []string{"", "ftp://x.test/", "file:///etc/passwd", "//x.test", "http://", "http://%zz"} {
		_, err := c.Do(t.Context(), outbound.Request{URL: address})
		wantFault(t, err, fault.Invalid, "http")
	}
}

func TestClosedPortIsAConnectionFault(t *testing.T) {
	url, host := server(t, func(http.ResponseWriter, *http.Request) {})
	c := client(t, outbound.Config{Allow: []string{"127.0.0.1"}})
	_, err := c.Do(t.Context(), outbound.Request{URL: strings.Replace(url, host, "127.0.0.1:1", 1) + "/path?token=secret"})
	wantFault(t, err, fault.Upstream, "refused")
	if strings.Contains(fault.Message(err), "secret") {
		t.Errorf("the message shows the query: %s", fault.Message(err))
	}
}
