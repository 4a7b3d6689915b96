package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/account"
	"agentstudio/internal/fault"
)

// Rotate marks the token as used and adds its successor. The mark and the
// check are one statement, so that of two uses at the same moment one is seen
// as a second use.
func (s *Accounts) Rotate(ctx context.Context, oldHash, newHash string, now, expires time.Time) (r account.Rotation, err error) {
	err = s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		var marked int64
		res, err := tx.ExecContext(ctx, `UPDATE refresh_tokens SET rotated_at = $2 WHERE token_hash = $1 AND rotated_at IS NULL`, oldHash, ms(now))
		if err == nil {
			marked, err = res.RowsAffected()
		}
		if err != nil {
			return err
		}
		var id, userID string
		if err := tx.QueryRowContext(ctx, `SELECT s.id, s.user_id FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id
			JOIN users u ON u.id = s.user_id
			WHERE t.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 AND u.is_active`, oldHash, ms(now)).Scan(&id, &userID); err != nil {
			return noRows(err, "refresh token")
		}
		if marked == 0 {
			r.Reused = true
			_, err := tx.ExecContext(ctx, `UPDATE sessions SET revoked_at = $2 WHERE id = $1`, id, ms(now))
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO refresh_tokens (token_hash, session_id, created_at) VALUES ($1, $2, $3)`, newHash, id, ms(now)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE sessions SET last_used_at = $2, expires_at = $3 WHERE id = $1`, id, ms(now), ms(expires)); err != nil {
			return err
		}
		r.Session = account.Session{ID: id, UserID: userID}
		r.User, err = scanUser(tx.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users u WHERE u.id = $1`, userID))
		return err
	})
	return r, err
}

// Sessions lists the live sessions of a user, last used first, at most 100.
func (s *Accounts) Sessions(ctx context.Context, userID string, now time.Time) ([]account.Session, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT id, user_id, ip, user_agent, created_at, last_used_at, expires_at FROM sessions
		WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 ORDER BY last_used_at DESC, id DESC LIMIT 100`, userID, ms(now))
	return collect(rows, err, func(row scanner) (v account.Session, err error) {
		var created, used, expires int64
		err = row.Scan(&v.ID, &v.UserID, &v.IP, &v.UserAgent, &created, &used, &expires)
		v.CreatedAt, v.LastUsedAt, v.ExpiresAt = at(created), at(used), at(expires)
		return v, err
	})
}

// RevokeSession ends a live session of the user.
func (s *Accounts) RevokeSession(ctx context.Context, userID, id string, now time.Time) error {
	return s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE sessions SET revoked_at = $3 WHERE id = $2 AND user_id = $1 AND revoked_at IS NULL`, userID, id, ms(now))
		return mustAffect(r, err, "session")
	})
}

// RevokeFamily ends the session a refresh token belongs to, if there is one.
func (s *Accounts) RevokeFamily(ctx context.Context, hash string, now time.Time) error {
	return s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE sessions SET revoked_at = $2 WHERE revoked_at IS NULL AND id IN (SELECT session_id FROM refresh_tokens WHERE token_hash = $1)`, hash, ms(now))
		return err
	})
}

// SessionActor returns who a live session belongs to, with every membership.
func (s *Accounts) SessionActor(ctx context.Context, id string, now time.Time) (access.Actor, error) {
	state, certain := s.db.identities.state(ctx)
	if known, ok := s.db.identities.find("session:"+id, state, now); ok && certain {
		return known.by, nil
	}
	rows, err := s.db.Read().QueryContext(ctx, `SELECT s.expires_at, u.id, u.email, u.is_admin, m.workspace_id, m.role, w.is_personal AND w.created_by = u.id
		FROM sessions s JOIN users u ON u.id = s.user_id
		LEFT JOIN members m ON m.user_id = u.id LEFT JOIN workspaces w ON w.id = m.workspace_id
		WHERE s.id = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 AND u.is_active`, id, ms(now))
	by := access.Actor{SessionID: id, Roles: map[string]access.Role{}}
	var expires int64
	_, err = collect(rows, err, func(row scanner) (_ struct{}, err error) {
		var workspaceID, role sql.NullString
		var personal sql.NullBool
		if err = row.Scan(&expires, &by.UserID, &by.Email, &by.Admin, &workspaceID, &role, &personal); err == nil && workspaceID.Valid {
			by.Roles[workspaceID.String] = access.Role(role.String)
			if personal.Bool {
				by.Personal = workspaceID.String
			}
		}
		return
	})
	if err == nil && by.UserID == "" {
		err = fault.New(fault.NotFound, "there is no such session")
	}
	if err == nil && certain {
		s.db.identities.remember("session:"+id, state, identity{by: by, expires: at(expires)})
	}
	return by, err
}

// SaveTicket keeps a ticket, and sweeps those that nobody used.
func (s *Accounts) SaveTicket(ctx context.Context, hash string, by access.Actor, expires time.Time) error {
	return s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM tickets WHERE expires_at < $1`, ms(expires.Add(-2*account.TicketTTL))); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO tickets (token_hash, session_id, api_key_id, expires_at) VALUES ($1, $2, $3, $4)`,
			hash, by.SessionID, by.APIKeyID, ms(expires))
		return err
	})
}

// SpendTicket deletes a live ticket and returns what it stands for.
func (s *Accounts) SpendTicket(ctx context.Context, hash string, now time.Time) (sessionID, keyID string, err error) {
	err = s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `DELETE FROM tickets WHERE token_hash = $1 AND expires_at > $2 RETURNING session_id, api_key_id`, hash, ms(now)).Scan(&sessionID, &keyID)
		return noRows(err, "ticket")
	})
	return sessionID, keyID, err
}

const keyColumns = `k.id, k.workspace_id, k.user_id, k.name, k.prefix, k.scopes, k.created_at, k.expires_at, k.last_used_at`

func scanKey(row scanner) (k account.APIKey, err error) {
	var created int64
	var expires, used *int64
	var scopes string
	if err = row.Scan(&k.ID, &k.WorkspaceID, &k.UserID, &k.Name, &k.Prefix, &scopes, &created, &expires, &used); err != nil {
		return k, err
	}
	k.CreatedAt, k.ExpiresAt, k.LastUsedAt = at(created), atPtr(expires), atPtr(used)
	return k, json.Unmarshal([]byte(scopes), &k.Scopes)
}

// SaveAPIKey adds a key; Conflict when the user has the most already.
func (s *Accounts) SaveAPIKey(ctx context.Context, k account.APIKey, hash string, most int) error {
	scopes, err := json.Marshal(k.Scopes)
	if err != nil {
		return fmt.Errorf("encode scopes: %w", err)
	}
	return s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM api_keys WHERE user_id = $1`, k.UserID).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return fault.New(fault.Conflict, "you have %d API keys, which is the most: delete one first", n)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO api_keys (id, workspace_id, user_id, name, prefix, key_hash, scopes, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, k.ID, k.WorkspaceID, k.UserID, k.Name, k.Prefix, hash, string(scopes), ms(k.CreatedAt), msPtr(k.ExpiresAt))
		return err
	})
}

// APIKeys lists the keys of a user, newest first.
func (s *Accounts) APIKeys(ctx context.Context, userID string) ([]account.APIKey, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+keyColumns+` FROM api_keys k WHERE k.user_id = $1 ORDER BY k.created_at DESC, k.id DESC LIMIT 100`, userID)
	return collect(rows, err, scanKey)
}

// APIKey returns one key.
func (s *Accounts) APIKey(ctx context.Context, id string) (account.APIKey, error) {
	k, err := scanKey(s.db.Read().QueryRowContext(ctx, `SELECT `+keyColumns+` FROM api_keys k WHERE k.id = $1`, id))
	return k, noRows(err, "API key")
}

// DeleteAPIKey deletes a key.
func (s *Accounts) DeleteAPIKey(ctx context.Context, id string) error {
	return s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM api_keys WHERE id = $1`, id)
		return mustAffect(r, err, "API key")
	})
}

// KeyActor returns who an unexpired key acts for; a user who left the
// workspace has no role there any more.
func (s *Accounts) KeyActor(ctx context.Context, hash, id string, now time.Time) (access.Actor, error) {
	column, value := "k.key_hash", hash
	if hash == "" {
		column, value = "k.id", id
	}
	credential := column + ":" + value
	state, certain := s.db.identities.state(ctx)
	known, ok := s.db.identities.find(credential, state, now)
	if certain && ok && now.Sub(known.used) < time.Minute {
		return known.by, nil
	}
	known, err := s.readKey(ctx, column, value, now)
	if err != nil {
		return access.Actor{}, err
	}
	if now.Sub(known.used) >= time.Minute {
		if err := s.db.writeQuietly(ctx, func(tx *sql.Tx) error { // it changes nobody's identity
			_, err := tx.ExecContext(ctx, `UPDATE api_keys SET last_used_at = $2 WHERE id = $1`, known.by.APIKeyID, ms(now))
			return err
		}); err != nil {
			return known.by, err
		}
		known.used = now
	}
	if certain {
		s.db.identities.remember(credential, state, known)
	}
	return known.by, nil
}

func (s *Accounts) readKey(ctx context.Context, column, value string, now time.Time) (found identity, err error) {
	var workspaceID, scopes string
	var role sql.NullString
	var expires, used *int64
	by := &found.by
	if err := s.db.Read().QueryRowContext(ctx, `SELECT k.id, k.workspace_id, k.scopes, k.expires_at, k.last_used_at, u.id, u.email, m.role
		FROM api_keys k JOIN users u ON u.id = k.user_id LEFT JOIN members m ON m.workspace_id = k.workspace_id AND m.user_id = k.user_id
		WHERE `+column+` = $1 AND (k.expires_at IS NULL OR k.expires_at > $2) AND u.is_active`, value, ms(now)).
		Scan(&by.APIKeyID, &workspaceID, &scopes, &expires, &used, &by.UserID, &by.Email, &role); err != nil {
		return found, noRows(err, "API key")
	}
	if err := json.Unmarshal([]byte(scopes), &by.Scopes); err != nil {
		return found, fmt.Errorf("decode scopes: %w", err)
	}
	by.Roles, by.Personal = map[string]access.Role{}, workspaceID
	if role.Valid {
		by.Roles[workspaceID] = access.Role(role.String)
	}
	if expires != nil {
		found.expires = at(*expires)
	}
	if used != nil {
		found.used = at(*used)
	}
	return found, nil
}
