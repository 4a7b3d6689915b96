package store

import (
	"context"
	"database/sql"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/workspace"
)

const invitationColumns = `i.id, i.workspace_id, w.name, i.email, i.role, i.message, i.status, i.invited_by, i.created_at, i.expires_at, i.answered_at`

func scanInvitation(row scanner) (i workspace.Invitation, err error) {
	var created, expires int64
	var answered *int64
	err = row.Scan(&i.ID, &i.WorkspaceID, &i.WorkspaceName, &i.Email, &i.Role, &i.Message, &i.Status, &i.InvitedBy, &created, &expires, &answered)
	i.CreatedAt, i.ExpiresAt, i.AnsweredAt = at(created), at(expires), atPtr(answered)
	return i, err
}

// Invite adds an invitation.
func (s *Workspaces) Invite(ctx context.Context, i workspace.Invitation, tokenHash string, most int, a workspace.Activity) error {
	return s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		if err := appendActivity(ctx, tx, a); err != nil {
			return err
		}
		var member bool
		var open int
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM members m JOIN users u ON u.id = m.user_id WHERE m.workspace_id = $1 AND u.email = $2),
			(SELECT COUNT(*) FROM invitations WHERE workspace_id = $1 AND status = 'pending')`, i.WorkspaceID, i.Email).Scan(&member, &open); err != nil {
			return err
		}
		if member {
			return fault.New(fault.Conflict, "%s is a member already", i.Email)
		}
		if open >= most {
			return fault.New(fault.Conflict, "the workspace has %d open invitations, which is the most", open)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM invitations WHERE workspace_id = $1 AND email = $2 AND status = 'pending' AND expires_at <= $3`,
			i.WorkspaceID, i.Email, ms(i.CreatedAt)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO invitations (id, workspace_id, email, role, message, token_hash, status, invited_by, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			i.ID, i.WorkspaceID, i.Email, string(i.Role), i.Message, tokenHash, string(i.Status), i.InvitedBy, ms(i.CreatedAt), ms(i.ExpiresAt))
		if duplicate(err) {
			return fault.New(fault.Conflict, "%s has an open invitation already: resend it", i.Email)
		}
		return err
	})
}

// Invitations lists a workspace's, or the open ones to an address.
func (s *Workspaces) Invitations(ctx context.Context, workspaceID, email string, now time.Time, limit, offset int) ([]workspace.Invitation, int, error) {
	const where = ` FROM invitations i JOIN workspaces w ON w.id = i.workspace_id
		WHERE ($1 <> '' AND i.workspace_id = $1) OR ($1 = '' AND i.email = $2 AND i.status = 'pending' AND i.expires_at > $3)`
	var total int
	if err := s.db.Read().QueryRowContext(ctx, `SELECT COUNT(*)`+where, workspaceID, email, ms(now)).Scan(&total); err != nil {
		return nil, 0, explain(err)
	}
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+invitationColumns+where+` ORDER BY i.created_at DESC, i.id DESC LIMIT $4 OFFSET $5`,
		workspaceID, email, ms(now), limit, offset)
	items, err := collect(rows, err, scanInvitation)
	for n := range items {
		if items[n].Status == workspace.Pending && !now.Before(items[n].ExpiresAt) {
			items[n].Status = workspace.Expired
		}
	}
	return items, total, err
}

// Invitation returns one by its id.
func (s *Workspaces) Invitation(ctx context.Context, id string) (workspace.Invitation, error) {
	return s.InvitationByToken(ctx, "", id)
}

// InvitationByToken returns one by the hash of its token or by its id.
func (s *Workspaces) InvitationByToken(ctx context.Context, tokenHash, id string) (workspace.Invitation, error) {
	i, err := scanInvitation(s.db.Read().QueryRowContext(ctx, `SELECT `+invitationColumns+` FROM invitations i JOIN workspaces w ON w.id = i.workspace_id
		WHERE i.token_hash = $1 OR i.id = $2`, tokenHash, id))
	return i, noRows(err, "invitation")
}

// Answer closes an open invitation and, when accepted, adds the member.
func (s *Workspaces) Answer(ctx context.Context, i workspace.Invitation, userID string, accept bool, a workspace.Activity) error {
	return s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		if err := appendActivity(ctx, tx, a); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `UPDATE invitations SET status = $2, answered_at = $3 WHERE id = $1 AND status = 'pending' AND expires_at > $3`, i.ID, string(i.Status), ms(a.At))
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return fault.Wrap(fault.Conflict, err, "this invitation is not open any more")
		}
		if !accept {
			return nil
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO members (workspace_id, user_id, role, invited_by, joined_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (workspace_id, user_id) DO NOTHING`, i.WorkspaceID, userID, string(i.Role), i.InvitedBy, ms(a.At))
		return err
	})
}

// Withdraw deletes an invitation.
func (s *Workspaces) Withdraw(ctx context.Context, i workspace.Invitation, a workspace.Activity) error {
	return s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM invitations WHERE id = $1`, i.ID)
		if err := mustAffect(r, err, "invitation"); err != nil {
			return err
		}
		return appendActivity(ctx, tx, a)
	})
}

// Resend gives an open invitation a new token and a new time.
func (s *Workspaces) Resend(ctx context.Context, i workspace.Invitation, tokenHash string, a workspace.Activity) error {
	return s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE invitations SET token_hash = $2, expires_at = $3 WHERE id = $1 AND status = 'pending'`, i.ID, tokenHash, ms(i.ExpiresAt))
		if err := mustAffect(r, err, "invitation"); err != nil {
			return err
		}
		return appendActivity(ctx, tx, a)
	})
}
