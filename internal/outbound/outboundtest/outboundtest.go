// Package outboundtest proves of each user of the guarded client that nobody
// leads it to where it must not go.
package outboundtest

import (
	"context"
	_ "embed"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/outbound"
)

//go:embed ssrf.txt
var corpus string

// Addresses is the corpus: addresses by which a request has been led astray.
func Addresses() (all []string) {
	for line := range strings.Lines(corpus) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all
}

// Try makes a request to an address, the way one of the client's users does.
type Try func(ctx context.Context, address string) error

// names of the corpus' own, which change their minds and lead inside.
const (
	rebinding = "rebind.test"
	inside    = "inside.test"
)

func names() map[string][]string {
	return map[string][]string{
		rebinding:                  {"93.184.215.14", "127.0.0.1"},
		inside:                     {"127.0.0.1"},
		"localhost":                {"127.0.0.1"},
		"six.test":                 {"::1"},
		"mapped.test":              {"::ffff:127.0.0.1"},
		"metadata.google.internal": {"169.254.169.254"},
	}
}

// Guards proves that what use makes of a client reaches nothing inside: by no
// address of the corpus, no redirect and no name; and that it reaches what the
// operator allows.
func Guards(t *testing.T, use func(*outbound.Client) Try) {
	t.Helper()
	t.Run("no address of the corpus is reached", func(t *testing.T) { addresses(t, use) })
	t.Run("no redirect leads inside", func(t *testing.T) { redirects(t, use) })
	t.Run("no name that changes its mind leads inside", func(t *testing.T) { rebinds(t, use) })
	t.Run("what the operator allows is reached", func(t *testing.T) { exceptions(t, use) })
}

// within bounds one request. Nothing here waits for it.
const within = 20 * time.Second

func client(t *testing.T, n *Names, allow ...string) *outbound.Client {
	t.Helper()
	c, err := outbound.New(outbound.Config{Allow: allow, Resolver: n.Resolver(), Timeout: within})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func try(t *testing.T, do Try, address string) error {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	return do(ctx, address)
}

// trap is a server inside that nobody may reach.
func trap(t *testing.T) (address, port string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("a request arrived as %s", r.Host) }))
	t.Cleanup(s.Close)
	return s.URL, s.URL[strings.LastIndexByte(s.URL, ':')+1:]
}

// judge wants the guard's own refusal of whatever is an address on the web, and
// any failure of what is none.
func judge(t *testing.T, address string, err error) {
	t.Helper()
	u, broken := url.Parse(address)
	if broken != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		if err == nil {
			t.Errorf("%s was no failure", address)
		}
		return
	}
	if f := fault.As(err); f == nil || f.Code != "address_refused" {
		t.Errorf("%s: %v", address, err)
	}
}

func addresses(t *testing.T, use func(*outbound.Client) Try) {
	own, port := trap(t)
	all := append(Addresses(), own, "http://[::ffff:127.0.0.1]:"+port+"/", "http://2130706433:"+port+"/", "http://0x7f.1:"+port+"/")
	for name := range names() {
		if name != rebinding {
			all = append(all, "http://"+name+":"+port+"/")
		}
	}
	do := use(client(t, NewNames(names())))
	for _, address := range all {
		judge(t, address, try(t, do, address))
	}
}

func redirects(t *testing.T, use func(*outbound.Client) Try) {
	own, port := trap(t)
	var to string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	t.Cleanup(s.Close)
	do := use(client(t, NewNames(names()), strings.TrimPrefix(s.URL, "http://")))
	for _, to = range append(Addresses(), own, "http://"+inside+":"+port+"/") {
		if u, err := url.Parse(to); err == nil && u.Host != "" && u.Scheme != "" { // else it is relative to where it stands
			judge(t, to, try(t, do, s.URL))
		}
	}
}

func rebinds(t *testing.T, use func(*outbound.Client) Try) {
	_, port := trap(t)
	n := NewNames(names())
	do := use(client(t, n))
	// Whoever looks first sees an address that may be reached.
	if seen, err := n.Resolver().LookupHost(t.Context(), rebinding); err != nil || len(seen) != 1 || seen[0] != names()[rebinding][0] {
		t.Fatalf("the name is %v at first, %v", seen, err)
	}
	judge(t, "http://"+rebinding, try(t, do, "http://"+rebinding+":"+port+"/"))
	if n.Asked(rebinding) < 2 {
		t.Error("nobody asked for the name again")
	}
}

func exceptions(t *testing.T, use func(*outbound.Client) Try) {
	var came atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		came.Add(1)
		http.Error(w, "here I am", http.StatusGone)
	}))
	t.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	_, port, _ := strings.Cut(host, ":")
	for allow, address := range map[string]string{
		host: s.URL, "127.0.0.1": s.URL, "127.0.0.0/8": "http://[::ffff:127.0.0.1]:" + port, inside + ":" + port: "http://" + inside + ":" + port,
	} {
		before := came.Load()
		err := try(t, use(client(t, NewNames(names()), allow)), address)
		if f := fault.As(err); came.Load() == before || f != nil && f.Code == "address_refused" {
			t.Errorf("%s with the exception %s: %v", address, allow, err)
		}
	}
}
