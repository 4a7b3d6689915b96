package app

import (
	"agentstudio/internal/mcp"
	"agentstudio/internal/mcp/client"
	"agentstudio/internal/mcp/server"
	"agentstudio/internal/outbound"
	"agentstudio/internal/store"
)

// connectMCP makes the rooms of MCP servers, and returns their tools.
func (a *App) connectMCP(web *outbound.Client, limits toolLimits) *mcp.Source {
	servers := store.NewMCPServers(a.db)
	dialer := client.New(client.Config{Version: a.opts.Version, HTTP: web.Streaming(), Supervisor: a.opts.Supervisor})
	a.mcp = mcp.NewPool(dialer, servers, mcp.PoolConfig{Stdio: a.cfg.AllowStdioMCP, Secrets: webhookSecret, Log: a.opts.Log})
	a.MCPServers = mcp.NewService(servers, a.mcp, mcp.Config{NewID: NewID, Gate: a.gate, Limits: limits.mcp})
	return mcp.NewSource(servers, a.mcp, limits.mcp)
}

// mcpServer is the studio as an MCP server.
func (a *App) mcpServer() *server.Handler {
	return server.New(a.Workflows, a.Executions, a.Bus, store.NewIdempotency(a.db), server.Config{Version: a.opts.Version, NewID: NewID, MaxBody: int64(a.cfg.MaxBodyMiB) << 20, Log: a.opts.Log})
}
