// Package filetest gives tests the files of a workspace, in a real database
// and a real content store.
package filetest

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"testing"

	"agentstudio/internal/blob"
	"agentstudio/internal/file"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

// Paths returns files of a workspace as runs use them, of at most max bytes
// each.
func Paths(t testing.TB, workspaceID string, max int64) *file.Paths {
	t.Helper()
	db := storetest.SQLite(t)
	Workspace(t, db, workspaceID)
	return file.NewService(store.NewFiles(db), blob.NewDisk(t.TempDir()), file.Config{NewID: IDs(), MaxWhole: max}).Paths()
}

// IDs returns ids that count.
func IDs() func() string {
	var n atomic.Int64
	return func() string { return fmt.Sprintf("id-%d", n.Add(1)) }
}

// Workspace makes a workspace and the person it belongs to, who has its id.
func Workspace(t testing.TB, db *store.DB, id string) {
	t.Helper()
	err := db.Write(context.Background(), func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(context.Background(), `INSERT INTO users (id, email, created_at, updated_at) VALUES ($1, $2, 1, 1)`, id, id+"@x.test"); err != nil {
			return err
		}
		_, err := tx.ExecContext(context.Background(), `INSERT INTO workspaces (id, name, slug, created_by, created_at, updated_at) VALUES ($1, $1, $1, $1, 1, 1)`, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
