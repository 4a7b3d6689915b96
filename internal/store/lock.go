//go:build unix

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"agentstudio/internal/fault"
)

// lockDir takes the data directory for this process until the returned
// function is called or the process ends, however it ends.
func lockDir(dir string) (unlock func() error, err error) {
	name := filepath.Join(dir, "studio.lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			held, _ := os.ReadFile(name)
			return nil, fault.New(fault.Conflict,
				"another Agent Studio (process %s) is using the data directory %s: stop it first, choose another --data-dir, or set DATABASE_URL to run several on PostgreSQL",
				strings.TrimSpace(string(held)), dir)
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if err := f.Truncate(0); err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("write %s: %w", name, err), f.Close())
		}
	}
	return f.Close, nil
}
