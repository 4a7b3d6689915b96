package client_test

import (
	"context"
	"testing"

	"agentstudio/internal/mcp"
	"agentstudio/internal/mcp/client"
	"agentstudio/internal/outbound"
	"agentstudio/internal/outbound/outboundtest"
)

func TestServersInsideAreNotReached(t *testing.T) {
	for _, transport := range []mcp.Transport{mcp.HTTP, mcp.SSE} {
		t.Run(string(transport), func(t *testing.T) {
			outboundtest.Guards(t, func(c *outbound.Client) outboundtest.Try {
				dialer := client.New(client.Config{Version: "test", HTTP: c.Streaming()})
				return func(ctx context.Context, address string) error {
					session, err := dialer.Dial(ctx, mcp.Target{Transport: transport, URL: address}, func() {})
					if err != nil {
						return err
					}
					return session.Close()
				}
			})
		})
	}
}
