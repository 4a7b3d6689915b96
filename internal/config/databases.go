package config

import (
	"fmt"
	"strings"
)

// Database is one that workspaces may read from.
type Database struct {
	Credential  string
	WorkspaceID string // the only one that may; empty: every workspace
}

// ReadableDatabases returns the databases that workspaces may read from.
func (c *Config) ReadableDatabases() ([]Database, error) {
	var out []Database
	for _, text := range c.Databases {
		name, workspace, narrowed := strings.Cut(strings.TrimSpace(text), "@")
		if name == "" || narrowed && workspace == "" || strings.ContainsAny(name, " =/:") {
			return nil, fmt.Errorf("STUDIO_DATABASES: %q is neither a credential's name nor name@workspace-id", text)
		}
		out = append(out, Database{Credential: name, WorkspaceID: workspace})
	}
	return out, nil
}
