package store

import (
	"context"
	"database/sql"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/workspace"
)

// Workspaces is the store of workspaces, members, invitations and activity.
// It is a workspace.Store.
type Workspaces struct{ db *DB }

var _ workspace.Store = (*Workspaces)(nil)

// NewWorkspaces returns the store in db.
func NewWorkspaces(db *DB) *Workspaces { return &Workspaces{db: db} }

const workspaceColumns = `w.id, w.name, w.slug, w.description, w.is_personal, w.created_by, w.version, w.created_at, w.updated_at, m.role`

func scanWorkspace(row scanner) (w workspace.Workspace, err error) {
	var created, updated int64
	err = row.Scan(&w.ID, &w.Name, &w.Slug, &w.Description, &w.IsPersonal, &w.CreatedBy, &w.Version, &created, &updated, &w.Role)
	w.CreatedAt, w.UpdatedAt = at(created), at(updated)
	return w, err
}

func slugTaken(slug string) error {
	return fault.New(fault.Conflict, "the slug %q is taken: choose another", slug).WithCode("slug_taken")
}

// Create adds the workspace, under the first slug that is free, and its owner.
func (s *Workspaces) Create(ctx context.Context, w workspace.Workspace, slugs []string, most int, a workspace.Activity) (workspace.Workspace, error) {
	err := s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM workspaces WHERE created_by = $1`, w.CreatedBy).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return fault.New(fault.Conflict, "you have made %d workspaces, which is the most", n)
		}
		slug, err := freeSlug(ctx, tx, slugs)
		if err != nil {
			return slugTaken(slugs[0])
		}
		w.Slug = slug
		if _, err := tx.ExecContext(ctx, `INSERT INTO workspaces (id, name, slug, description, created_by, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6)`,
			w.ID, w.Name, w.Slug, w.Description, w.CreatedBy, ms(w.CreatedAt)); err != nil {
			if duplicate(err) {
				return slugTaken(w.Slug)
			}
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO members (workspace_id, user_id, role, joined_at) VALUES ($1, $2, $3, $4)`,
			w.ID, w.CreatedBy, string(access.Owner), ms(w.CreatedAt)); err != nil {
			return err
		}
		return appendActivity(ctx, tx, a)
	})
	return w, err
}

// Workspaces lists those the user is a member of, by name.
func (s *Workspaces) Workspaces(ctx context.Context, userID string, limit, offset int) ([]workspace.Workspace, int, error) {
	var total int
	if err := s.db.Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM members WHERE user_id = $1`, userID).Scan(&total); err != nil {
		return nil, 0, explain(err)
	}
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+workspaceColumns+` FROM workspaces w JOIN members m ON m.workspace_id = w.id
		WHERE m.user_id = $1 ORDER BY w.is_personal DESC, LOWER(w.name), w.id LIMIT $2 OFFSET $3`, userID, limit, offset)
	items, err := collect(rows, err, scanWorkspace)
	return items, total, err
}

// ByID returns a workspace the user is a member of.
func (s *Workspaces) ByID(ctx context.Context, id, userID string) (workspace.Workspace, error) {
	w, err := scanWorkspace(s.db.Read().QueryRowContext(ctx, `SELECT `+workspaceColumns+` FROM workspaces w JOIN members m ON m.workspace_id = w.id
		WHERE w.id = $1 AND m.user_id = $2`, id, userID))
	return w, noRows(err, "workspace")
}

// Update saves name, slug and description as the next version.
func (s *Workspaces) Update(ctx context.Context, w workspace.Workspace, ifVersion int64, a workspace.Activity) (workspace.Workspace, error) {
	err := s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		var current int64
		if err := tx.QueryRowContext(ctx, `UPDATE workspaces SET version = version + 1 WHERE id = $1 RETURNING version - 1`, w.ID).Scan(&current); err != nil {
			return noRows(err, "workspace")
		}
		if ifVersion != 0 && ifVersion != current {
			return fault.New(fault.Stale, "somebody else changed this workspace: the current version is %d", current)
		}
		w.Version = current + 1
		if _, err := tx.ExecContext(ctx, `UPDATE workspaces SET name = $2, slug = $3, description = $4, updated_at = $5 WHERE id = $1`,
			w.ID, w.Name, w.Slug, w.Description, ms(w.UpdatedAt)); err != nil {
			if duplicate(err) {
				return slugTaken(w.Slug)
			}
			return err
		}
		return appendActivity(ctx, tx, a)
	})
	return w, err
}

// Delete removes the workspace and what belongs to it; its activity stays.
func (s *Workspaces) Delete(ctx context.Context, id string) error {
	return s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		// The rows of its files go with it; their contents are swept after.
		if _, err := tx.ExecContext(ctx, `INSERT INTO loose_contents (content_key, workspace_id, reserved, expires_at)
			SELECT content_key, workspace_id, 0, 0 FROM files WHERE workspace_id = $1`, id); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `DELETE FROM workspaces WHERE id = $1`, id)
		return mustAffect(r, err, "workspace")
	})
}

const memberColumns = `m.workspace_id, m.user_id, u.email, u.full_name, u.avatar_url, m.role, m.joined_at`

func scanMember(row scanner) (m workspace.Member, err error) {
	var joined int64
	err = row.Scan(&m.WorkspaceID, &m.UserID, &m.Email, &m.FullName, &m.AvatarURL, &m.Role, &joined)
	m.JoinedAt = at(joined)
	return m, err
}

// Members lists who is in a workspace, oldest first.
func (s *Workspaces) Members(ctx context.Context, workspaceID string, limit, offset int) ([]workspace.Member, int, error) {
	var total int
	if err := s.db.Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM members WHERE workspace_id = $1`, workspaceID).Scan(&total); err != nil {
		return nil, 0, explain(err)
	}
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+memberColumns+` FROM members m JOIN users u ON u.id = m.user_id
		WHERE m.workspace_id = $1 ORDER BY m.joined_at, m.user_id LIMIT $2 OFFSET $3`, workspaceID, limit, offset)
	items, err := collect(rows, err, scanMember)
	return items, total, err
}

// Member returns one member.
func (s *Workspaces) Member(ctx context.Context, workspaceID, userID string) (workspace.Member, error) {
	m, err := scanMember(s.db.Read().QueryRowContext(ctx, `SELECT `+memberColumns+` FROM members m JOIN users u ON u.id = m.user_id
		WHERE m.workspace_id = $1 AND m.user_id = $2`, workspaceID, userID))
	return m, noRows(err, "member")
}

// SetRole changes a role; Conflict when no owner would be left.
func (s *Workspaces) SetRole(ctx context.Context, workspaceID, userID string, role access.Role, a workspace.Activity) error {
	return s.changeMembers(ctx, a, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE members SET role = $3 WHERE workspace_id = $1 AND user_id = $2`, workspaceID, userID, string(role))
		return mustAffect(r, err, "member")
	})
}

// RemoveMember takes a member out, and that member's keys to the workspace.
func (s *Workspaces) RemoveMember(ctx context.Context, workspaceID, userID string, a workspace.Activity) error {
	return s.changeMembers(ctx, a, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM api_keys WHERE workspace_id = $1 AND user_id = $2`, workspaceID, userID); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `DELETE FROM members WHERE workspace_id = $1 AND user_id = $2`, workspaceID, userID)
		return mustAffect(r, err, "member")
	})
}

// Transfer makes to an owner and from an admin.
func (s *Workspaces) Transfer(ctx context.Context, workspaceID, from, to string, a workspace.Activity) error {
	return s.changeMembers(ctx, a, func(tx *sql.Tx) error {
		for _, m := range []struct {
			user string
			role access.Role
		}{{to, access.Owner}, {from, access.Admin}} {
			r, err := tx.ExecContext(ctx, `UPDATE members SET role = $3 WHERE workspace_id = $1 AND user_id = $2`, workspaceID, m.user, string(m.role))
			if err := mustAffect(r, err, "member"); err != nil {
				return err
			}
		}
		return nil
	})
}

// changeMembers notes the activity first, which locks the workspace's row, so
// that two owners cannot both leave at the same moment.
func (s *Workspaces) changeMembers(ctx context.Context, a workspace.Activity, change func(tx *sql.Tx) error) error {
	return s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		if err := appendActivity(ctx, tx, a); err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return err
		}
		var owners int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM members WHERE workspace_id = $1 AND role = 'owner'`, a.WorkspaceID).Scan(&owners); err != nil {
			return err
		}
		if owners == 0 {
			return fault.New(fault.Conflict, "a workspace needs an owner: give it to another member first").WithCode("last_owner")
		}
		return nil
	})
}
