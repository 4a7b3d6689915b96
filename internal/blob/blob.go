// Package blob keeps the files of workspaces in a directory: one folder per
// workspace, which no path can leave.
package blob

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"agentstudio/internal/fault"
)

// File describes a file.
type File struct {
	Path       string    `json:"path"` // slashes, without a leading one
	Size       int64     `json:"size"`
	ModifiedAt time.Time `json:"modified_at"`
}

// Store keeps files. It is safe for concurrent use.
type Store struct {
	dir string
	max int64
}

// New returns a store in the directory, which is made when first written to.
// No file may be larger than max bytes.
func New(dir string, max int64) *Store { return &Store{dir: dir, max: max} }

// root opens a workspace's folder.
func (s *Store) root(workspaceID string) (*os.Root, error) {
	if workspaceID == "" || strings.ContainsAny(workspaceID, `/\`) || workspaceID == ".." || workspaceID == "." {
		return nil, fault.New(fault.Invalid, "%q is no workspace", workspaceID)
	}
	dir := filepath.Join(s.dir, workspaceID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}

// within opens the folder, checks the path and calls do with it.
func (s *Store) within(ctx context.Context, workspaceID, name string, do func(root *os.Root, name string) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	clean := path.Clean(strings.TrimPrefix(name, "/"))
	if !filepath.IsLocal(clean) || strings.ContainsRune(name, 0) || strings.Contains(name, `\`) || len(name) > 512 {
		return fault.New(fault.Invalid, "%q is no path inside the workspace's files", name)
	}
	root, err := s.root(workspaceID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(explain(name, err), root.Close()) }()
	return do(root, clean)
}

func explain(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(fault.NotFound, err, "there is no file %q", name)
	case fault.As(err) != nil:
		return err
	case strings.Contains(err.Error(), "escapes from parent"):
		return fault.Wrap(fault.Invalid, err, "%q is no path inside the workspace's files", name)
	}
	return err
}

// Read returns a file's content. NotFound: there is none; TooLarge.
func (s *Store) Read(ctx context.Context, workspaceID, name string) (content []byte, err error) {
	err = s.within(ctx, workspaceID, name, func(root *os.Root, name string) error {
		info, err := root.Stat(name)
		if err != nil {
			return err
		}
		if info.IsDir() {
			return fault.New(fault.Invalid, "%q is a folder", name)
		}
		if info.Size() > s.max {
			return fault.New(fault.TooLarge, "%q is over %d MiB", name, s.max>>20)
		}
		content, err = root.ReadFile(name)
		return err
	})
	return content, err
}

// Write makes a file or replaces it, whole or not at all.
func (s *Store) Write(ctx context.Context, workspaceID, name string, content []byte) error {
	if int64(len(content)) > s.max {
		return fault.New(fault.TooLarge, "a file has at most %d MiB", s.max>>20)
	}
	return s.within(ctx, workspaceID, name, func(root *os.Root, name string) error {
		if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return err
		}
		fresh := name + ".writing"
		if err := root.WriteFile(fresh, content, 0o600); err != nil {
			return err
		}
		return root.Rename(fresh, name)
	})
}

// Delete removes a file. NotFound: there is none.
func (s *Store) Delete(ctx context.Context, workspaceID, name string) error {
	return s.within(ctx, workspaceID, name, func(root *os.Root, name string) error { return root.Remove(name) })
}

// maxList bounds a listing.
const maxList = 1_000

// List returns the files below a folder ("" is all), by path, at most 1,000.
func (s *Store) List(ctx context.Context, workspaceID, folder string) (files []File, err error) {
	if folder == "" {
		folder = "."
	}
	err = s.within(ctx, workspaceID, folder, func(root *os.Root, folder string) error {
		return fs.WalkDir(root.FS(), folder, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(name, ".writing") {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if len(files) == maxList {
				return fs.SkipAll
			}
			files = append(files, File{Path: name, Size: info.Size(), ModifiedAt: info.ModTime().UTC()})
			return nil
		})
	})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, err
}
