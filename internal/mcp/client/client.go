// Package client speaks to MCP servers, over the official SDK: programs on this
// machine, and servers at an address.
package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"agentstudio/internal/fault"
	"agentstudio/internal/mcp"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Config adjusts a Dialer.
type Config struct {
	Version string // of the studio, as servers are told
	// HTTP makes the requests to servers at an address. It guards against
	// addresses nobody may reach, and sets no time for whole answers. nil: there
	// are none.
	HTTP *http.Client
	// Supervisor is the command that runs Supervise with its further arguments:
	// programs are started below it. nil: programs cannot be started.
	Supervisor []string
}

// Dialer opens connections to servers.
type Dialer struct{ cfg Config }

// New returns a dialer.
func New(cfg Config) *Dialer { return &Dialer{cfg: cfg} }

var _ mcp.Dialer = (*Dialer)(nil)

// maxMessage bounds a message of a server, in bytes.
const maxMessage = 16 << 20

// Dial implements mcp.Dialer.
func (d *Dialer) Dial(ctx context.Context, t mcp.Target, toolsChanged func()) (mcp.Session, error) {
	s := &session{done: make(chan struct{}), hears: map[string]func(mcp.Progress){}}
	transport, err := d.transport(t, s)
	if err != nil {
		return nil, err
	}
	client := sdk.NewClient(&sdk.Implementation{Name: "agentstudio", Title: "Agent Studio", Version: d.cfg.Version}, &sdk.ClientOptions{
		Capabilities:                &sdk.ClientCapabilities{}, // no roots, nothing to sample or to ask
		ToolListChangedHandler:      func(context.Context, *sdk.ToolListChangedRequest) { toolsChanged() },
		ProgressNotificationHandler: s.progressed,
	})
	// The connection outlives ctx, which only bounds the way to it.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, end)
	conn, err := client.Connect(life, transport, nil)
	if err != nil || !forget() {
		end()
		if conn != nil {
			err = errors.Join(err, conn.Close())
		}
		if cause := context.Cause(ctx); cause != nil && fault.As(err) == nil {
			err = cause
		}
		return nil, s.failed(err)
	}
	s.conn, s.end = conn, end
	go s.watch()
	return s, nil
}

func (d *Dialer) transport(t mcp.Target, s *session) (sdk.Transport, error) {
	switch t.Transport {
	case mcp.Stdio:
		if d.cfg.Supervisor == nil {
			return nil, fault.New(fault.NotConfigured, "this process starts no programs")
		}
		c, err := start(d.cfg.Supervisor, t)
		if err != nil {
			return nil, err
		}
		s.child = c
		return &sdk.IOTransport{Reader: c.stdout, Writer: c.stdin, MaxLineLength: maxMessage}, nil
	case mcp.HTTP, mcp.SSE:
		if d.cfg.HTTP == nil {
			return nil, fault.New(fault.NotConfigured, "this process reaches no addresses")
		}
		s.sender = newSender(d.cfg.HTTP, t)
		if t.Transport == mcp.SSE {
			return &sdk.SSEClientTransport{Endpoint: t.URL, HTTPClient: s.sender.client(), MaxEventSize: maxMessage}, nil
		}
		return &sdk.StreamableClientTransport{Endpoint: t.URL, HTTPClient: s.sender.client(), MaxEventSize: maxMessage}, nil
	}
	return nil, fmt.Errorf("unknown transport %q", t.Transport)
}
