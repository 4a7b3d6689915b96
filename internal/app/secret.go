package app

import (
	"context"
	"os"
	"strings"

	"agentstudio/internal/fault"
)

// webhookSecret reads a webhook's secret from the environment of the server:
// the credential "shop-key" stands in STUDIO_CREDENTIAL_SHOP_KEY. Credentials
// that people manage themselves come with the credentials room.
func webhookSecret(_ context.Context, _, credential string) ([]byte, error) {
	name := "STUDIO_CREDENTIAL_" + strings.ToUpper(strings.ReplaceAll(credential, "-", "_"))
	value := os.Getenv(name)
	if value == "" {
		return nil, fault.New(fault.NotFound, "there is no credential %q here: the operator sets it with %s", credential, name)
	}
	return []byte(value), nil
}
