package outbound

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"agentstudio/internal/fault"

	"code.dny.dev/ssrf"
)

// guard decides which addresses may be dialled.
type guard struct {
	hosts  map[string]bool // host:port, lower case
	dialer net.Dialer      // for those hosts
	strict net.Dialer
}

func newGuard(allow []string, names *net.Resolver) (*guard, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second, Resolver: names}
	g := &guard{hosts: map[string]bool{}, dialer: dialer, strict: dialer}
	var ranges []netip.Prefix
	for _, entry := range allow {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		if prefix, err := netip.ParsePrefix(entry); err == nil {
			ranges = append(ranges, prefix.Masked())
		} else if addr, err := netip.ParseAddr(entry); err == nil {
			ranges = append(ranges, netip.PrefixFrom(addr, addr.BitLen()))
		} else if host, port, err := net.SplitHostPort(entry); err == nil && host != "" && port != "" {
			g.hosts[strings.ToLower(entry)] = true
		} else {
			return nil, fmt.Errorf("STUDIO_ALLOW_PRIVATE_NETWORKS: %q is neither host:port, an address nor a CIDR range", entry)
		}
	}
	safe := ssrf.New(ssrf.WithAnyPort())
	g.strict.Control = func(network, address string, conn syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(address); err == nil {
			for _, r := range ranges {
				if r.Contains(to.Addr().Unmap()) {
					return nil
				}
			}
		}
		if err := safe.Safe(network, address, conn); err != nil {
			return fault.Wrap(fault.Invalid, err, "%s is an address inside a private network; the operator can allow it with STUDIO_ALLOW_PRIVATE_NETWORKS", address).WithCode("address_refused")
		}
		return nil
	}
	return g, nil
}

func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if g.hosts[strings.ToLower(address)] {
		return g.dialer.DialContext(ctx, network, address)
	}
	if host, _, err := net.SplitHostPort(address); err == nil && looksLikeNumber(host) {
		return nil, fault.New(fault.Invalid, "%q is a number, not a name: an address is written as four decimal numbers without zeroes before them, such as 192.0.2.1, or as IPv6 in brackets", host).WithCode("address_refused")
	}
	return g.strict.DialContext(ctx, network, address)
}

// looksLikeNumber reports whether a host is one of the ways to write an address
// that other programs understand and this one does not: 127.1, 0x7f.1, 017700000001.
// No name ends in a number.
func looksLikeNumber(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	host = strings.TrimSuffix(host, ".")
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	digits, hex := last, false
	if rest, ok := strings.CutPrefix(last, "0x"); ok {
		digits, hex = rest, true
	}
	for _, c := range digits {
		if (c < '0' || c > '9') && (!hex || c < 'a' || c > 'f') {
			return false
		}
	}
	return last != ""
}
