package outboundtest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Names is a name server in memory whose names may change their minds. What it
// does not know does not exist.
type Names struct {
	mu    sync.Mutex // guards asked
	known map[string][]string
	asked map[string]int
}

// NewNames returns a server of the names. Each question for one is answered
// with its next address, and with the last one ever after.
func NewNames(known map[string][]string) *Names {
	return &Names{known: known, asked: map[string]int{}}
}

// Resolver asks the server.
func (n *Names) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go n.serve(ours) // until the resolver hangs up, which it does after its time-out at the latest
		return theirs, nil
	}}
}

// Asked is how often a name was asked for.
func (n *Names) Asked(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[name]
}

// serve answers what comes over a connection, as DNS does over TCP.
func (n *Names) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		answer, err := n.answer(query)
		if err != nil {
			return
		}
		framed := binary.BigEndian.AppendUint16(nil, uint16(len(answer))) //nolint:gosec // a few addresses
		if _, err := conn.Write(append(framed, answer...)); err != nil {
			return
		}
	}
}

func (n *Names) answer(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	for _, q := range m.Questions {
		name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
		address, known := n.next(name, q.Type)
		if !known {
			m.RCode = dnsmessage.RCodeNameError
			continue
		}
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
		switch {
		case q.Type == dnsmessage.TypeA && address.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: address.As4()}})
		case q.Type == dnsmessage.TypeAAAA && address.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}})
		}
	}
	return m.Pack()
}

// next returns the name's address of now. A question for its other kind of
// address is none for this one.
func (n *Names) next(name string, kind dnsmessage.Type) (address netip.Addr, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.known[name]
	if len(all) == 0 {
		return netip.Addr{}, false
	}
	address = netip.MustParseAddr(all[min(n.asked[name], len(all)-1)])
	if kind == dnsmessage.TypeA {
		n.asked[name]++
	}
	return address, true
}
