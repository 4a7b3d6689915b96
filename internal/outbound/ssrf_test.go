package outbound_test

import (
	"context"
	"net/http"
	"testing"

	"agentstudio/internal/fault"
	"agentstudio/internal/outbound"
	"agentstudio/internal/outbound/outboundtest"
)

func TestTheClientReachesNothingInside(t *testing.T) {
	outboundtest.Guards(t, func(c *outbound.Client) outboundtest.Try {
		return func(ctx context.Context, address string) error {
			_, err := c.Do(ctx, outbound.Request{URL: address})
			return err
		}
	})
}

func TestStreamsReachNothingInside(t *testing.T) {
	outboundtest.Guards(t, func(c *outbound.Client) outboundtest.Try {
		return func(ctx context.Context, address string) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
			if err != nil {
				return err
			}
			answer, err := c.Streaming().Do(req)
			if err != nil {
				return err
			}
			return answer.Body.Close()
		}
	})
}

func TestANumberIsRefusedAsOne(t *testing.T) {
	c := client(t, outbound.Config{Allow: []string{"127.0.0.1"}})
	for _, host := range []string{"0x7f.1", "2130706433", "0177.0.0.1", "127.1", "127.0.0.0x1", "0x7F000001", "127.0.0.1.5", "a.b.9"} {
		_, err := c.Do(t.Context(), outbound.Request{URL: "http://" + host + ":1/"})
		wantFault(t, err, fault.Invalid, "is a number, not a name")
	}
	for _, host := range []string{"nothing.invalid", "x1.invalid", "0xz.invalid", "7.invalid"} {
		_, err := client(t, outbound.Config{Resolver: outboundtest.NewNames(nil).Resolver()}).Do(t.Context(), outbound.Request{URL: "http://" + host + ":1/"})
		wantFault(t, err, fault.Upstream, "the name is not known")
	}
}
