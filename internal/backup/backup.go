// Package backup saves a data directory while the studio runs, and puts it
// back. A backup is one gzipped tar file: a consistent copy of the database,
// the keys and the files.
package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"agentstudio/internal/fault"

	_ "modernc.org/sqlite" // the driver named "sqlite"
)

// database is the name of the database in the data directory. Its companions
// and the lock are left out: the copy needs none.
const database = "studio.db"

func leftOut(name string) bool {
	return name == database || name == database+"-wal" || name == database+"-shm" || name == "studio.lock"
}

// Save writes the data directory to the file, which may not be there yet; it
// is readable by its owner alone, since it holds the keys. The database is
// copied as it is at one moment, while others go on writing; files written
// meanwhile may or may not be in. NotFound: there is no database.
func Save(ctx context.Context, dir, file string) (err error) {
	if _, err := os.Stat(filepath.Join(dir, database)); errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "there is no database in %s", dir)
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, "%s is there already: choose another name", file)
	}
	if err != nil {
		return fmt.Errorf("make the backup: %w", err)
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			err = errors.Join(err, os.Remove(file))
		}
	}()
	scratch, err := os.MkdirTemp(filepath.Dir(file), ".backup-")
	if err != nil {
		return fmt.Errorf("make the backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	snapshot := filepath.Join(scratch, database)
	if err := copyDatabase(ctx, filepath.Join(dir, database), snapshot); err != nil {
		return err
	}
	zipped := gzip.NewWriter(out)
	archive := tar.NewWriter(zipped)
	if err := add(archive, snapshot, database); err != nil {
		return err
	}
	if err := addAll(archive, dir); err != nil {
		return err
	}
	return errors.Join(archive.Close(), zipped.Close(), out.Sync())
}

// copyDatabase has SQLite write a copy of the database as it is at one moment.
func copyDatabase(ctx context.Context, from, to string) (err error) {
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: from, RawQuery: url.Values{"_pragma": {"busy_timeout(10000)"}}.Encode()}).String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, to); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	return nil
}

func addAll(archive *tar.Writer, dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
			return nil
		case err != nil:
			return err
		case leftOut(name) || !d.Type().IsRegular():
			return nil
		}
		err = add(archive, path, filepath.ToSlash(name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func add(archive *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: info.ModTime(), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err = io.CopyN(archive, f, info.Size())
	if err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	return nil
}

// Restore unpacks a backup into a data directory that is empty or not there.
// Conflict: it holds something. Invalid: the file is no backup; what was
// unpacked by then is removed again.
func Restore(file, dir string) (err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restore: %w", err)
	}
	if len(entries) > 0 {
		return fault.New(fault.Conflict, "%s is not empty: move it away first, or restore into another --data-dir", dir)
	}
	in, err := os.Open(file)
	if err != nil {
		return fault.Wrap(fault.NotFound, err, "the backup %s cannot be read", file)
	}
	defer in.Close()
	// Beside the target, so that it appears at once and whole.
	scratch := strings.TrimRight(dir, string(filepath.Separator)) + ".restoring"
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(scratch))
		}
	}()
	if err := unpack(in, scratch); err != nil {
		return fault.Wrap(fault.Invalid, err, "%s is no backup of this program, or is damaged", file)
	}
	if _, err := os.Stat(filepath.Join(scratch, database)); err != nil {
		return fault.New(fault.Invalid, "%s holds no database", file)
	}
	if err := os.RemoveAll(dir); err != nil { // empty, as was seen above
		return fmt.Errorf("restore: %w", err)
	}
	if err := os.Rename(scratch, dir); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

func unpack(in io.Reader, dir string) (err error) {
	zipped, err := gzip.NewReader(in)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // no name leads out of it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for archive := tar.NewReader(zipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return zipped.Close()
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			return fmt.Errorf("%s is no plain file", header.Name)
		}
		if err := put(root, header.Name, archive); err != nil {
			return err
		}
	}
}

func put(root *os.Root, name string, from io.Reader) (err error) {
	if parent := filepath.Dir(filepath.FromSlash(name)); parent != "." {
		if err := root.MkdirAll(parent, 0o700); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(f, from) //nolint:gosec // the owner's own backup: as large as it was
	return err
}
