// Package file is the files of workspaces: what is known of each, and the use
// cases of keeping them, finding them and giving them away. Their bytes are in
// a content store.
package file

import (
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"agentstudio/internal/fault"
)

// File is what is known of a file.
type File struct {
	ID          string
	WorkspaceID string
	UserID      string // who uploaded it or started the run that made it; empty for triggers
	Path        string // unique in its workspace; slashes, without a leading one
	ContentType string // found from the content
	Size        int64
	SHA256      string // in hexadecimal digits
	ContentKey  string // where its bytes are in the content store
	ExecutionID string // of the run that made it; empty for uploads
	NodeID      string
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Name returns the last part of the path.
func (f *File) Name() string { return path.Base(f.Path) }

// maxPath bounds a path, in bytes.
const maxPath = 512

// CleanPath returns the path in its one form. Invalid: it is none inside a
// workspace's files.
func CleanPath(name string) (string, error) {
	clean := path.Clean(strings.TrimLeft(name, "/"))
	bad := len(name) > maxPath || !utf8.ValidString(name) || clean == "." || !filepath.IsLocal(clean) || strings.Contains(name, `\`) ||
		strings.HasSuffix(name, "/") || strings.ContainsFunc(name, unicode.IsControl)
	for part := range strings.SplitSeq(clean, "/") {
		bad = bad || len(part) > 255
	}
	if bad {
		return "", fault.New(fault.Invalid, "%q is no path inside the workspace's files: write folder/name, with at most %d bytes", shown(name), maxPath).WithCode("bad_path")
	}
	return clean, nil
}

func shown(name string) string {
	if len(name) > 100 {
		return strings.ToValidUTF8(name[:100], "") + "…"
	}
	return name
}

// Maker is for whom a run makes a file.
type Maker struct {
	WorkspaceID string
	UserID      string
	ExecutionID string
	NodeID      string
}

// Entry is a file as runs see it.
type Entry struct {
	ID          string    `json:"id"`
	Path        string    `json:"path"`
	Size        int64     `json:"size"`
	ContentType string    `json:"content_type"`
	ModifiedAt  time.Time `json:"modified_at"`
}

// Entry returns the file as runs see it.
func (f *File) Entry() Entry {
	return Entry{ID: f.ID, Path: f.Path, Size: f.Size, ContentType: f.ContentType, ModifiedAt: f.UpdatedAt}
}

// Filter chooses files of a workspace.
type Filter struct {
	Query         string // in the path, in any case
	Folder        string // only those below it
	Type          string // content type, or what one begins with: image/
	ExecutionID   string
	Sort          string // created_at, updated_at, path, size; with a minus for the other way round
	Limit, Offset int
}
