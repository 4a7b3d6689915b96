package tool

import (
	"context"
	"strings"
)

// Source has tools that are not built in: those of a workspace, which come and
// go. Their names hold a slash, such as mcp/github/create_issue. It is safe for
// concurrent use.
type Source interface {
	// Tools returns what the workspace has, as far as that is known now.
	Tools(ctx context.Context, workspaceID string) ([]Tool, error)
	// Find returns a tool, and may have to reach outside for it. NotFound names
	// the nearest one there is; Upstream: where it comes from does not answer.
	Find(ctx context.Context, workspaceID, name string) (Tool, error)
	// Check reports whether a name may be meant, without reaching outside.
	// NotFound: where it would come from is not there.
	Check(ctx context.Context, workspaceID, name string) error
}

// Sourced reports whether a name is one of a Source's.
func Sourced(name string) bool { return strings.Contains(name, "/") }
