package builtin_test

import (
	"context"
	"encoding/json"
	"testing"

	"agentstudio/internal/outbound"
	"agentstudio/internal/outbound/outboundtest"
	"agentstudio/internal/tool"
	"agentstudio/internal/tool/builtin"
	"agentstudio/internal/webread"
)

func TestToolsReachNothingInside(t *testing.T) {
	for _, name := range []string{"http_request", "web_read"} {
		t.Run(name, func(t *testing.T) {
			outboundtest.Guards(t, func(c *outbound.Client) outboundtest.Try {
				tools := tool.NewCatalogue(builtin.Tools(builtin.Deps{HTTP: c, Read: webread.New(c, "", "")})...)
				return func(ctx context.Context, address string) error {
					used, err := tools.Find(name)
					if err != nil {
						t.Fatal(err)
					}
					args, err := json.Marshal(map[string]string{"url": address})
					if err != nil {
						t.Fatal(err)
					}
					_, err = used.Run(ctx, tool.Call{WorkspaceID: "w", Args: args})
					return err
				}
			})
		})
	}
}
