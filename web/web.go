// Package web is the studio that people see: the pages built from the sources
// beside it, carried inside the binary.
package web

import "io/fs"

// Files returns the built studio, index.html at its root, or nil when this
// binary was built without it (make build makes it, where Node is installed).
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil
	}
	if _, err := fs.Stat(files, "index.html"); err != nil {
		return nil
	}
	return files
}
