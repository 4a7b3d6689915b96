package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"agentstudio/internal/fault"
)

// partSuffix marks a content that is being written.
const partSuffix = ".part"

// Disk keeps contents in a directory, a folder for each workspace. It is safe
// for concurrent use.
type Disk struct{ dir string }

// NewDisk returns the contents of a directory, which is made when first
// written to.
func NewDisk(dir string) *Disk { return &Disk{dir: dir} }

// Put keeps everything r gives under a new key, whole or not at all: it is on
// the disk when Put returns.
func (d *Disk) Put(ctx context.Context, key string, r io.Reader) (err error) {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of contents: %w", err)
	}
	root, err := os.OpenRoot(d.dir)
	if err != nil {
		return fmt.Errorf("open the folder of contents: %w", err)
	}
	defer func() { _ = root.Close() }() // nothing was written through it itself
	if err := root.MkdirAll(path.Dir(key), 0o700); err != nil {
		return full(err)
	}
	part := key + partSuffix
	out, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return full(err)
	}
	_, err = io.Copy(out, &contextReader{ctx, r})
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err == nil {
		err = root.Rename(part, key)
	}
	if err != nil {
		return errors.Join(full(err), root.Remove(part))
	}
	return syncFolder(root, path.Dir(key))
}

// syncFolder makes a name in a folder survive a loss of power.
func syncFolder(root *os.Root, name string) error {
	folder, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// full tells a disk without room from other failures.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault.Wrap(fault.Unavailable, err, "the disk with the files is full, so nothing can be stored")
	}
	return err
}

// contextReader ends with the context.
type contextReader struct {
	ctx context.Context //nolint:containedctx // as long as one Put
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

// Open returns the content for reading. NotFound: there is none.
func (d *Disk) Open(_ context.Context, key string) (io.ReadSeekCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	f, err := os.OpenInRoot(d.dir, filepath.FromSlash(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing(err)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Delete removes a content and what was left of a Put that was cut off.
func (d *Disk) Delete(_ context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	root, err := os.OpenRoot(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // nothing was written through it itself
	for _, name := range []string{key, key + partSuffix} {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	_ = root.Remove(path.Dir(key)) // works for an empty folder only
	return nil
}
