// Package blob keeps contents by key: on the local disk, or on a server that
// speaks S3. A key is workspace/id; its maker never uses it twice.
package blob

import (
	"path/filepath"
	"strings"

	"agentstudio/internal/fault"
)

// checkKey refuses what is no key: a programmer's error, caught before it can
// reach another folder.
func checkKey(key string) error {
	if folder, id, ok := strings.Cut(key, "/"); !ok || folder == "" || folder == "." || id == "" || strings.ContainsAny(id, `/\`) || strings.ContainsAny(key, "\\\x00") || !filepath.IsLocal(key) || strings.HasSuffix(id, partSuffix) {
		return fault.New(fault.Internal, "%q is no key of a content", key)
	}
	return nil
}

func missing(cause error) error {
	return fault.Wrap(fault.NotFound, cause, "the content of this file is not there any more")
}
