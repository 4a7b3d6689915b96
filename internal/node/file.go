package node

import (
	"path"
	"strings"
)

// FileArrival is a file that has come to be, or has changed, in a workspace.
type FileArrival struct {
	WorkspaceID string
	Path        string // slashes, without a leading one
	// Key, when set, is what this arrival is known by: telling of it again is
	// heard once.
	Key string
	// The execution that wrote it, with its workflow and depth; empty when a
	// person did.
	WorkflowID  string
	ExecutionID string
	Depth       int
}

// MatchPath reports whether a path fits a pattern: * and ? stand for anything
// within one folder, [a-z] for one of its characters, ** as a whole part for
// any number of folders. A pattern that cannot be read fits nothing.
func MatchPath(pattern, name string) bool {
	return matchParts(strings.Split(pattern, "/"), strings.Split(name, "/"))
}

// ValidPattern reports whether MatchPath can read the pattern.
func ValidPattern(pattern string) bool {
	for part := range strings.SplitSeq(pattern, "/") {
		if _, err := path.Match(part, ""); err != nil || part == "" || part == "." || part == ".." {
			return false
		}
	}
	return strings.Count(pattern, "**") <= 4 && len(pattern) <= 512
}

func matchParts(pattern, name []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for skip := range len(name) + 1 {
				if matchParts(pattern[1:], name[skip:]) {
					return true
				}
			}
			return false
		}
		if len(name) == 0 {
			return false
		}
		if ok, err := path.Match(pattern[0], name[0]); err != nil || !ok {
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	return len(name) == 0
}
