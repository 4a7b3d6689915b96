package outbound_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/outbound"
)

// ssrf reads the corpus.
func ssrf(t *testing.T) (addresses []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/ssrf.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			addresses = append(addresses, line)
		}
	}
	return addresses
}

// refused reports whether nothing was connected to: the address was refused,
// is none, or its name is not known. A connection that failed was tried.
func refused(err error) bool {
	f := fault.As(err)
	return f != nil && (f.Kind == fault.Invalid || f.Kind == fault.Upstream && strings.Contains(f.Message, "the name is not known"))
}

func TestNoAddressOfTheCorpusIsReached(t *testing.T) {
	c := client(t, outbound.Config{Timeout: 5 * time.Second})
	for _, address := range ssrf(t) {
		if _, err := c.Do(t.Context(), outbound.Request{URL: address}); !refused(err) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestNoRedirectLeadsIntoTheCorpus(t *testing.T) {
	to := ""
	url, host := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	c := client(t, outbound.Config{Allow: []string{host}, Timeout: 5 * time.Second})
	for _, to = range ssrf(t) {
		if strings.HasPrefix(to, "//") || strings.Contains(to, ":") && !strings.Contains(to, "//") || to == "http://" {
			continue // relative to where it stands
		}
		if _, err := c.Do(t.Context(), outbound.Request{URL: url}); !refused(err) {
			t.Errorf("to %s: %v", to, err)
		}
	}
}
