package metrics

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Readers says who may read the metrics.
type Readers struct {
	// Token is what a reader shows as a bearer token. With one nobody else may
	// read; without one only callers on this machine may.
	Token string
	// Proxies are addresses of proxies: what comes through one comes from
	// elsewhere.
	Proxies []netip.Prefix
}

// Handler serves the metrics to those who may read them. Others get 401 when
// there is a token, else 404.
func (m *Metrics) Handler(readers Readers) http.Handler {
	// One look at a time is enough, and two let nobody wait for a slow one.
	serve := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2, Timeout: 10 * time.Second})
	want := sha256.Sum256([]byte(readers.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case readers.Token != "":
			scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			got := sha256.Sum256([]byte(strings.TrimSpace(token)))
			if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				w.Header().Set("WWW-Authenticate", `Bearer realm="metrics"`)
				http.Error(w, "send Authorization: Bearer with the value of STUDIO_METRICS_TOKEN", http.StatusUnauthorized)
				return
			}
		case !readers.onThisMachine(r):
			http.NotFound(w, r)
			return
		}
		serve.ServeHTTP(w, r)
	})
}

// onThisMachine reports whether the caller is a program on this machine that
// wanted this address: neither a proxy that passes on what comes from
// elsewhere, nor a browser that was led here by a name of somebody else's.
func (readers Readers) onThisMachine(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() || slices.ContainsFunc(readers.Proxies, func(p netip.Prefix) bool { return p.Contains(peer.Addr().Unmap()) }) {
		return false
	}
	for _, passedOn := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if r.Header.Get(passedOn) != "" {
			return false
		}
	}
	host := r.Host
	if at := strings.LastIndex(host, ":"); at > strings.LastIndex(host, "]") {
		host = host[:at]
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}
