package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"agentstudio/internal/workspace"
)

// appendActivity adds an entry to its workspace's chain inside tx. Taking the
// next number locks the workspace's row, so entries are in one order.
func appendActivity(ctx context.Context, tx querier, a workspace.Activity) error {
	var seq int64
	var prev string
	if err := tx.QueryRowContext(ctx, `UPDATE workspaces SET activity_seq = activity_seq + 1 WHERE id = $1 RETURNING activity_seq, activity_hash`,
		a.WorkspaceID).Scan(&seq, &prev); err != nil {
		return noRows(err, "workspace")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make id: %w", err)
	}
	a.ID, a.Seq = id.String(), seq
	hash, err := activityHash(a, prev)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO activity (id, workspace_id, seq, user_id, user_email, action, resource_type, resource_id, before_json, after_json, ip, user_agent, at, prev_hash, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		a.ID, a.WorkspaceID, a.Seq, a.UserID, a.UserEmail, a.Action, a.ResourceType, a.ResourceID, textOrNull(a.Before), textOrNull(a.After),
		a.IP, a.UserAgent, ms(a.At), prev, hash); err != nil {
		return fmt.Errorf("append activity: %w", err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE workspaces SET activity_hash = $2 WHERE id = $1`, a.WorkspaceID, hash)
	return err
}

// activityHash covers every field and the entry before.
func activityHash(a workspace.Activity, prev string) (string, error) {
	b, err := json.Marshal([]any{prev, a.ID, a.WorkspaceID, a.Seq, a.UserID, a.UserEmail, a.Action, a.ResourceType, a.ResourceID,
		string(a.Before), string(a.After), a.IP, a.UserAgent, ms(a.At)})
	if err != nil {
		return "", fmt.Errorf("encode activity: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

func textOrNull(b json.RawMessage) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

const activityColumns = `id, workspace_id, seq, user_id, user_email, action, resource_type, resource_id, before_json, after_json, ip, user_agent, at, prev_hash, hash`

type link struct {
	workspace.Activity
	prev, hash string
}

func scanActivity(row scanner) (a link, err error) {
	var before, after sql.NullString
	var when int64
	err = row.Scan(&a.ID, &a.WorkspaceID, &a.Seq, &a.UserID, &a.UserEmail, &a.Action, &a.ResourceType, &a.ResourceID,
		&before, &after, &a.IP, &a.UserAgent, &when, &a.prev, &a.hash)
	a.At = at(when)
	if before.Valid {
		a.Before = json.RawMessage(before.String)
	}
	if after.Valid {
		a.After = json.RawMessage(after.String)
	}
	return a, err
}

// Activity lists entries, newest first, and counts all that match.
func (s *Workspaces) Activity(ctx context.Context, workspaceID string, f workspace.ActivityFilter) ([]workspace.Activity, int, error) {
	const where = ` FROM activity WHERE workspace_id = $1 AND ($2 = '' OR user_id = $2) AND ($3 = '' OR action = $3)`
	var total int
	if err := s.db.Read().QueryRowContext(ctx, `SELECT COUNT(*)`+where, workspaceID, f.UserID, f.Action).Scan(&total); err != nil {
		return nil, 0, explain(err)
	}
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+activityColumns+where+` AND ($4 = 0 OR seq < $4) ORDER BY seq DESC LIMIT $5 OFFSET $6`,
		workspaceID, f.UserID, f.Action, f.Before, f.Limit, f.Offset)
	items, err := collect(rows, err, func(row scanner) (workspace.Activity, error) {
		a, err := scanActivity(row)
		return a.Activity, err
	})
	return items, total, err
}

// VerifyActivity walks a workspace's chain from its first entry and returns
// the number of the first entry that was changed, removed or added behind the
// studio's back; 0 when there is none.
func (s *Workspaces) VerifyActivity(ctx context.Context, workspaceID string) (broken int64, err error) {
	var prev string
	var seq int64
	for {
		rows, err := s.db.Read().QueryContext(ctx, `SELECT `+activityColumns+` FROM activity WHERE workspace_id = $1 AND seq > $2 ORDER BY seq LIMIT 500`, workspaceID, seq)
		links, err := collect(rows, err, scanActivity)
		if err != nil {
			return 0, err
		}
		for _, l := range links {
			want, err := activityHash(l.Activity, prev)
			if err != nil {
				return 0, err
			}
			if seq++; l.Seq != seq || l.prev != prev || l.hash != want {
				return seq, nil
			}
			prev = l.hash
		}
		if len(links) == 0 {
			return s.headDiffers(ctx, workspaceID, seq, prev)
		}
	}
}

func (s *Workspaces) headDiffers(ctx context.Context, workspaceID string, seq int64, hash string) (int64, error) {
	var headSeq int64
	var headHash string
	err := s.db.Read().QueryRowContext(ctx, `SELECT activity_seq, activity_hash FROM workspaces WHERE id = $1`, workspaceID).Scan(&headSeq, &headHash)
	if err != nil {
		return 0, noRows(err, "workspace")
	}
	if headSeq != seq || headHash != hash {
		return seq + 1, nil
	}
	return 0, nil
}
