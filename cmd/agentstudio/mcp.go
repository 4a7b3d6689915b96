package main

import (
	"context"
	"net/url"
	"os"
	"strings"

	"agentstudio/internal/config"
	"agentstudio/internal/fault"
	"agentstudio/internal/mcp/bridge"
)

type mcpCmd struct {
	Server    string        `env:"STUDIO_SERVER" help:"Address of the running studio. Default: STUDIO_PUBLIC_URL, or the listen address."`
	APIKey    config.Secret `name:"api-key" env:"STUDIO_API_KEY" help:"API key of the workspace whose workflows are offered. Better set in the environment."`
	Workspace string        `help:"Id of the workspace, with an access token in place of a key."`
}

// Run offers the workflows of a running studio to the MCP client that has
// started this program.
func (c *mcpCmd) Run(ctx context.Context, cfg *config.Config) error {
	if c.APIKey == "" {
		return fault.New(fault.Invalid, "set STUDIO_API_KEY to an API key of the workspace: the settings of the studio make one")
	}
	server := c.Server
	if server == "" {
		server = cfg.PublicURL
	}
	u, err := url.Parse(strings.TrimRight(server, "/") + "/mcp")
	if err != nil || u.Host == "" {
		return fault.New(fault.Invalid, "%q is not an address such as https://studio.example.org", server)
	}
	if c.Workspace != "" {
		u.RawQuery = url.Values{"workspace_id": {c.Workspace}}.Encode()
	}
	return bridge.Run(ctx, bridge.Config{URL: u.String(), Key: c.APIKey.Reveal()}, os.Stdin, os.Stdout)
}
