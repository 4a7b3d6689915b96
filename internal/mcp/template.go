package mcp

// Template is a server that is easy to set up.
type Template struct {
	ID          string
	Definition  Definition
	Credentials []Need
	Notes       string // what to fill in, and what it needs
}

// Need is a credential that a template refers to.
type Need struct {
	Name        string
	Description string
}

// Templates returns the servers that people ask for most, in the order they
// are shown.
func Templates() []Template {
	npx := func(name, title, category, pkg string, more ...string) Definition {
		return Definition{Name: name, Description: title, Category: category, Transport: Stdio, Command: "npx", Args: append([]string{"-y", pkg}, more...), Timeout: defaultTimeout, AutoReconnect: true}
	}
	remote := func(name, title, category, url string, headers map[string]string) Definition {
		return Definition{Name: name, Description: title, Category: category, Transport: HTTP, URL: url, Headers: headers, Timeout: defaultTimeout, AutoReconnect: true}
	}
	fetch := Definition{Name: "fetch", Description: "Reads pages on the web", Category: "web", Transport: Stdio, Command: "uvx", Args: []string{"mcp-server-fetch"}, Timeout: defaultTimeout, AutoReconnect: true}
	slack := npx("slack", "Reads and writes in Slack", "communication", "@modelcontextprotocol/server-slack")
	slack.Env = map[string]string{"SLACK_BOT_TOKEN": "credential:slack", "SLACK_TEAM_ID": ""}
	postgres := npx("postgres", "Reads a PostgreSQL database", "data", "@modelcontextprotocol/server-postgres", "postgresql://localhost/mydb")
	return []Template{
		{ID: "filesystem", Definition: npx("filesystem", "Reads and writes files of a directory", "files", "@modelcontextprotocol/server-filesystem", "/path/to/directory"),
			Notes: "Needs Node.js on the studio's machine. Replace the last argument by the directory; more may follow it."},
		{ID: "memory", Definition: npx("memory", "Remembers facts in a graph", "memory", "@modelcontextprotocol/server-memory"),
			Notes: "Needs Node.js. Set MEMORY_FILE_PATH to keep the graph in a file of your choice."},
		{ID: "fetch", Definition: fetch, Notes: "Needs uv (Python) on the studio's machine."},
		{ID: "github", Definition: remote("github", "Works with repositories, issues and pull requests", "development", "https://api.githubcopilot.com/mcp/", map[string]string{"Authorization": "Bearer credential:github"}),
			Credentials: []Need{{"github", "A personal access token of GitHub"}}},
		{ID: "postgres", Definition: postgres,
			Notes: "Needs Node.js. Replace the last argument by the address of the database, of a user who may only read; it is shown to everybody who may use this server, so give it no password: let the database trust the user, or set PGPASSWORD in env to credential:postgres."},
		{ID: "slack", Definition: slack, Credentials: []Need{{"slack", "The bot token of a Slack app (xoxb-…)"}}, Notes: "Needs Node.js. Fill in SLACK_TEAM_ID."},
		{ID: "browser", Definition: npx("browser", "Drives a browser", "web", "@playwright/mcp", "--headless"), Notes: "Needs Node.js, and a browser that Playwright finds."},
		{ID: "custom", Definition: Definition{Name: "", Transport: HTTP, Timeout: defaultTimeout, AutoReconnect: true, Category: "custom"}, Notes: "Any server that speaks MCP: an address, or with the transport stdio a program."},
	}
}
