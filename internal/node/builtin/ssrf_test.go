package builtin_test

import (
	"context"
	"testing"

	"agentstudio/internal/node"
	"agentstudio/internal/node/builtin"
	"agentstudio/internal/outbound"
	"agentstudio/internal/outbound/outboundtest"
	"agentstudio/internal/webread"
)

func TestNodesReachNothingInside(t *testing.T) {
	for _, name := range []string{"http-request", "web-read"} {
		t.Run(name, func(t *testing.T) {
			outboundtest.Guards(t, func(c *outbound.Client) outboundtest.Try {
				kind, found := node.NewKinds(builtin.Kinds(builtin.Deps{HTTP: c, Read: webread.New(c, "", "")})...).Find(name)
				if !found {
					t.Fatal("the kind is not there")
				}
				return func(ctx context.Context, address string) error {
					cfg, err := kind.Decode(map[string]any{"url": address})
					if err != nil {
						t.Fatal(err)
					}
					_, err = kind.Run(ctx, node.Call{WorkspaceID: "w", Key: "x/n/"}, cfg)
					return err
				}
			})
		})
	}
}
