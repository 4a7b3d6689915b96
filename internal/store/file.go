package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/file"
	"agentstudio/internal/workspace"
)

// Files keeps what is known of files.
type Files struct{ db *DB }

// NewFiles returns the store of files.
func NewFiles(db *DB) *Files { return &Files{db: db} }

var _ file.Store = (*Files)(nil)

const fileColumns = `id, workspace_id, user_id, path, content_type, size, sha256, content_key, execution_id, node_id, created_at, updated_at`

func scanFile(row scanner) (f file.File, err error) {
	var created, updated int64
	err = row.Scan(&f.ID, &f.WorkspaceID, &f.UserID, &f.Path, &f.ContentType, &f.Size, &f.SHA256, &f.ContentKey, &f.ExecutionID, &f.NodeID, &created, &updated)
	f.CreatedAt, f.UpdatedAt = at(created), at(updated)
	return f, err
}

// takeRoom changes what a workspace's files take, and returns what they take
// then. It holds the workspace's row of room to the end of the transaction.
func takeRoom(ctx context.Context, tx *sql.Tx, workspaceID string, more int64) (used int64, err error) {
	if _, err := tx.ExecContext(ctx, `INSERT INTO file_usage (workspace_id, bytes) VALUES ($1, 0) ON CONFLICT (workspace_id) DO NOTHING`, workspaceID); err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, `UPDATE file_usage SET bytes = bytes + $2 WHERE workspace_id = $1 RETURNING bytes`, workspaceID, more).Scan(&used)
	return used, err
}

// Begin implements file.Store.
func (s *Files) Begin(ctx context.Context, c file.Loose, quota int64) (left int64, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		used, err := takeRoom(ctx, tx, c.WorkspaceID, c.Reserved)
		if err != nil {
			return err
		}
		if left = quota - used + c.Reserved; quota > 0 && (used > quota || left <= 0) {
			return file.Full(quota)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO loose_contents (content_key, workspace_id, reserved, expires_at) VALUES ($1, $2, $3, $4)`, c.Key, c.WorkspaceID, c.Reserved, ms(c.Expires))
		return err
	})
	return left, err
}

// Keep implements file.Store.
func (s *Files) Keep(ctx context.Context, f file.File, replace bool, quota int64, act *workspace.Activity) (kept file.File, replaced string, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if act != nil {
			if err := appendActivity(ctx, tx, *act); err != nil {
				return err
			}
		}
		var reserved int64
		err := tx.QueryRowContext(ctx, `DELETE FROM loose_contents WHERE content_key = $1 RETURNING reserved`, f.ContentKey).Scan(&reserved)
		if err != nil {
			return noRows(err, "content")
		}
		if _, err = takeRoom(ctx, tx, f.WorkspaceID, 0); err != nil { // from here on alone in this workspace
			return err
		}
		before, err := scanFile(tx.QueryRowContext(ctx, `SELECT `+fileColumns+` FROM files WHERE workspace_id = $1 AND path = $2`, f.WorkspaceID, f.Path))
		found := err == nil
		if err = noRows(err, "file"); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if found && !replace {
			return file.Taken(f.Path)
		}
		used, err := takeRoom(ctx, tx, f.WorkspaceID, f.Size-reserved-before.Size)
		if err != nil {
			return err
		}
		if quota > 0 && used > quota && f.Size > before.Size {
			return file.Full(quota)
		}
		kept, replaced = f, before.ContentKey
		if !found {
			return insertFile(ctx, tx, &f)
		}
		kept.ID, kept.CreatedAt = before.ID, before.CreatedAt
		if _, err := tx.ExecContext(ctx, `UPDATE files SET user_id = $2, content_type = $3, size = $4, sha256 = $5, content_key = $6, execution_id = $7, node_id = $8, updated_at = $9 WHERE id = $1`,
			kept.ID, f.UserID, f.ContentType, f.Size, f.SHA256, f.ContentKey, f.ExecutionID, f.NodeID, ms(f.UpdatedAt)); err != nil {
			return err
		}
		return loosen(ctx, tx, f.WorkspaceID, replaced, f.UpdatedAt)
	})
	return kept, replaced, err
}

func insertFile(ctx context.Context, tx *sql.Tx, f *file.File) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO files (id, workspace_id, user_id, path, search, content_type, size, sha256, content_key, execution_id, node_id, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`, f.ID, f.WorkspaceID, f.UserID, f.Path, strings.ToLower(f.Path), f.ContentType, f.Size, f.SHA256,
		f.ContentKey, f.ExecutionID, f.NodeID, ms(f.CreatedAt), ms(f.UpdatedAt))
	return err
}

// loosen notes a content that has no file any more. Its room is given back.
func loosen(ctx context.Context, tx *sql.Tx, workspaceID, key string, now time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO loose_contents (content_key, workspace_id, reserved, expires_at) VALUES ($1, $2, 0, $3)`, key, workspaceID, ms(now))
	return err
}

// Doom implements file.Store.
func (s *Files) Doom(ctx context.Context, key string) (loose bool, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE loose_contents SET expires_at = 0 WHERE content_key = $1`, key)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		loose = n > 0
		return err
	})
	return loose, err
}

// Forget implements file.Store.
func (s *Files) Forget(ctx context.Context, key string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		var ws string
		var reserved int64
		err := tx.QueryRowContext(ctx, `DELETE FROM loose_contents WHERE content_key = $1 RETURNING workspace_id, reserved`, key).Scan(&ws, &reserved)
		if err = noRows(err, "content"); fault.Is(err, fault.NotFound) {
			return nil // another process was faster
		}
		if err != nil || reserved == 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE file_usage SET bytes = bytes - $2 WHERE workspace_id = $1`, ws, reserved) // none when the workspace is gone
		return err
	})
}

// Loose implements file.Store.
func (s *Files) Loose(ctx context.Context, now time.Time, limit int) ([]string, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT content_key FROM loose_contents WHERE expires_at <= $1 ORDER BY expires_at, content_key LIMIT $2`, ms(now), limit)
	return collect(rows, err, func(row scanner) (key string, err error) { return key, row.Scan(&key) })
}

// Workspace implements file.Store.
func (s *Files) Workspace(ctx context.Context, id string) (ws string, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT workspace_id FROM files WHERE id = $1`, id).Scan(&ws)
	return ws, noRows(err, "file")
}

// Find implements file.Store.
func (s *Files) Find(ctx context.Context, workspaceID, id string) (file.File, error) {
	f, err := scanFile(s.db.Read().QueryRowContext(ctx, `SELECT `+fileColumns+` FROM files WHERE id = $1 AND workspace_id = $2`, id, workspaceID))
	return f, noRows(err, "file")
}

// At implements file.Store.
func (s *Files) At(ctx context.Context, workspaceID, path string) (file.File, error) {
	f, err := scanFile(s.db.Read().QueryRowContext(ctx, `SELECT `+fileColumns+` FROM files WHERE workspace_id = $1 AND path = $2`, workspaceID, path))
	return f, noRows(err, "file")
}

// List implements file.Store.
func (s *Files) List(ctx context.Context, workspaceID string, f file.Filter) ([]file.File, int, error) {
	escape := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
	var wanted conditions
	wanted.add(`workspace_id = ?`, workspaceID)
	if f.Query != "" {
		wanted.add(`search LIKE ? ESCAPE '\'`, "%"+literal(f.Query)+"%")
	}
	if f.Folder != "" {
		wanted.add(`search LIKE ? ESCAPE '\'`, literal(f.Folder)+"/%") // LIKE of SQLite looks past case
		wanted.add(`substr(path, 1, ?) = ?`, len([]rune(f.Folder))+1, f.Folder+"/")
	}
	if f.Type != "" {
		wanted.add(`content_type LIKE ? ESCAPE '\'`, escape.Replace(strings.ToLower(f.Type))+"%")
	}
	if f.ExecutionID != "" {
		wanted.add(`execution_id = ?`, f.ExecutionID)
	}
	order, known := map[string]string{"": "created_at DESC, id DESC", "-created_at": "created_at DESC, id DESC", "created_at": "created_at, id", "-updated_at": "updated_at DESC, id DESC",
		"updated_at": "updated_at, id", "path": "path, id", "-path": "path DESC, id DESC", "size": "size, id", "-size": "size DESC, id DESC"}[f.Sort]
	if !known {
		return nil, 0, fault.InvalidInput(fault.Detail{Location: "query.sort", Code: "unknown", Message: "sort is created_at, updated_at, path or size, with a minus for the other way round", Value: f.Sort})
	}
	page, args := wanted.page(f.Limit, f.Offset, ` ORDER BY `+order)
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+fileColumns+` FROM files`+page, args...)
	items, err := collect(rows, err, scanFile)
	if err != nil {
		return nil, 0, err
	}
	total, err := s.db.total(ctx, len(items), f.Limit, f.Offset, `SELECT count(*) FROM files`+wanted.where(), wanted.args...)
	return items, total, err
}

// Delete implements file.Store.
func (s *Files) Delete(ctx context.Context, workspaceID, id string, act *workspace.Activity) (key string, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if act != nil {
			if err := appendActivity(ctx, tx, *act); err != nil {
				return err
			}
		}
		var size int64
		if _, err := takeRoom(ctx, tx, workspaceID, 0); err != nil { // the same order of rows as in Keep
			return err
		}
		err := tx.QueryRowContext(ctx, `DELETE FROM files WHERE id = $1 AND workspace_id = $2 RETURNING content_key, size`, id, workspaceID).Scan(&key, &size)
		if err != nil {
			return noRows(err, "file")
		}
		if _, err := takeRoom(ctx, tx, workspaceID, -size); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO loose_contents (content_key, workspace_id, reserved, expires_at) VALUES ($1, $2, 0, 0)`, key, workspaceID)
		return err
	})
	return key, err
}

// Note implements file.Store.
func (s *Files) Note(ctx context.Context, act workspace.Activity) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error { return appendActivity(ctx, tx, act) })
}

// Used implements file.Store.
func (s *Files) Used(ctx context.Context, workspaceID string) (used int64, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM file_usage WHERE workspace_id = $1`, workspaceID).Scan(&used)
	return used, explain(err)
}
