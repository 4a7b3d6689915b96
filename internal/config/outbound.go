package config

import (
	"fmt"
	"strings"
)

// OutboundLimit is how often a host may be called, or a credential used. One of
// Host and Credential is set.
type OutboundLimit struct {
	Host       string // a name, an address, "*.example.com" or "*"
	Credential string
	Rate       Rate
}

// Outbound returns the limits of what goes out.
func (c *Config) Outbound() ([]OutboundLimit, error) {
	var out []OutboundLimit
	seen := map[string]bool{}
	for _, text := range c.OutboundLimits {
		text = strings.TrimSpace(text)
		cut := strings.LastIndex(text, "=")
		if cut < 1 {
			return nil, fmt.Errorf("STUDIO_OUTBOUND_LIMITS: %q is not of the form host=10/s or credential:name=10/s", text)
		}
		what := strings.TrimSpace(text[:cut])
		var l OutboundLimit
		if err := l.Rate.UnmarshalText([]byte(text[cut+1:])); err != nil || strings.TrimSpace(text[cut+1:]) == "" {
			return nil, fmt.Errorf("STUDIO_OUTBOUND_LIMITS: %q: %q is not a rate such as 10/s, 100/1m, or off", what, text[cut+1:])
		}
		if name, ok := strings.CutPrefix(what, "credential:"); ok {
			if l.Credential = name; name == "" {
				return nil, fmt.Errorf("STUDIO_OUTBOUND_LIMITS: %q names no credential", text)
			}
		} else if l.Host = strings.Trim(what, "[]"); !isHostPattern(l.Host) {
			return nil, fmt.Errorf("STUDIO_OUTBOUND_LIMITS: %q is no host: write a name without scheme, port and path such as api.example.com, *.example.com for all below it, or * for all", what)
		}
		key := strings.ToLower(what)
		if seen[key] {
			return nil, fmt.Errorf("STUDIO_OUTBOUND_LIMITS: %q is limited twice", what)
		}
		seen[key] = true
		out = append(out, l)
	}
	return out, nil
}

func isHostPattern(host string) bool {
	if host == "*" {
		return true
	}
	name := strings.TrimPrefix(host, "*.")
	if strings.Count(name, ":") == 1 || strings.HasPrefix(name, ".") {
		return false // a port; two colons and more are an address of version 6
	}
	return name != "" && !strings.ContainsAny(name, "*/ @?#=")
}
