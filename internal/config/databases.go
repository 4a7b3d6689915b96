package config

import (
	"fmt"
	"strings"
)

// Database is one that workspaces may reach.
type Database struct {
	Credential  string
	WorkspaceID string // the only one that may; empty: every workspace
	Write       bool   // it may be changed too
}

// OpenDatabases returns the databases that workspaces may reach.
func (c *Config) OpenDatabases() ([]Database, error) {
	var out []Database
	for _, text := range c.Databases {
		plain, write := strings.CutSuffix(strings.TrimSpace(text), ":write")
		name, workspace, narrowed := strings.Cut(plain, "@")
		if name == "" || strings.Contains(workspace, ":") || narrowed && workspace == "" || strings.ContainsAny(name, " =/:") {
			return nil, fmt.Errorf("STUDIO_DATABASES: %q is neither a credential's name nor name@workspace-id; :write after either lets it be changed", text)
		}
		out = append(out, Database{Credential: name, WorkspaceID: workspace, Write: write})
	}
	return out, nil
}
