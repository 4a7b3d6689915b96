package store

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/account"
	"agentstudio/internal/fault"
)

// Accounts is the store of people, their devices and their keys. It is an
// account.Store.
type Accounts struct{ db *DB }

var _ account.Store = (*Accounts)(nil)

// NewAccounts returns the store in db.
func NewAccounts(db *DB) *Accounts { return &Accounts{db: db} }

const userColumns = `u.id, u.email, u.full_name, u.avatar_url, u.is_active, u.is_admin, u.email_verified_at, u.last_login_at, u.created_at, u.updated_at`

func scanUser(row scanner) (u account.User, err error) {
	var verified, login *int64
	var created, updated int64
	err = row.Scan(&u.ID, &u.Email, &u.FullName, &u.AvatarURL, &u.IsActive, &u.IsAdmin, &verified, &login, &created, &updated)
	u.EmailVerifiedAt, u.LastLoginAt, u.CreatedAt, u.UpdatedAt = atPtr(verified), atPtr(login), at(created), at(updated)
	return u, err
}

// User returns one account.
func (s *Accounts) User(ctx context.Context, id string) (account.User, error) {
	return current(ctx, s.db.recall, question{what: "user", id: id}, []subject{{"users", id}}, func() (account.User, int, error) {
		u, err := scanUser(s.db.Read().QueryRowContext(ctx, `SELECT `+userColumns+` FROM users u WHERE u.id = $1`, id))
		return u, 500, noRows(err, "user")
	})
}

// UpdateUser changes what is not nil.
func (s *Accounts) UpdateUser(ctx context.Context, id string, fullName *string, avatarURL **string, now time.Time) (u account.User, err error) {
	err = s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		if u, err = scanUser(tx.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users u WHERE u.id = $1`, id)); err != nil {
			return noRows(err, "user")
		}
		if fullName != nil {
			u.FullName = *fullName
		}
		if avatarURL != nil {
			u.AvatarURL = *avatarURL
		}
		u.UpdatedAt = now
		_, err := tx.ExecContext(ctx, `UPDATE users SET full_name = $2, avatar_url = $3, updated_at = $4 WHERE id = $1`,
			id, u.FullName, u.AvatarURL, ms(now))
		return err
	})
	return u, err
}

// SaveCode replaces the address's code.
func (s *Accounts) SaveCode(ctx context.Context, c account.Code) error {
	return s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO otps (email, code_hash, misses, expires_at, created_at) VALUES ($1, $2, 0, $3, $4)
			ON CONFLICT (email) DO UPDATE SET code_hash = excluded.code_hash, misses = 0, expires_at = excluded.expires_at, created_at = excluded.created_at`,
			c.Email, c.Hash, ms(c.ExpiresAt), ms(c.CreatedAt))
		return err
	})
}

// SpendCode first counts the attempt, which locks the row, so that guesses
// made at the same moment all count.
func (s *Accounts) SpendCode(ctx context.Context, email, hash string, maxMisses int, now time.Time) (ok bool, err error) {
	err = s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		var stored string
		err := tx.QueryRowContext(ctx, `UPDATE otps SET misses = misses + 1 WHERE email = $1 AND expires_at > $2 AND misses < $3 RETURNING code_hash`,
			email, ms(now), maxMisses).Scan(&stored)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil || subtle.ConstantTimeCompare([]byte(stored), []byte(hash)) != 1 {
			return err
		}
		ok = true
		_, err = tx.ExecContext(ctx, `DELETE FROM otps WHERE email = $1`, email)
		return err
	})
	return ok && err == nil, err
}

// MayEnter reports whether the address has an account, or may make one.
func (s *Accounts) MayEnter(ctx context.Context, email string, policy account.Signup, now time.Time) (bool, error) {
	var active bool
	err := s.db.Read().QueryRowContext(ctx, `SELECT is_active FROM users WHERE email = $1`, email).Scan(&active)
	if err == nil {
		return active, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return false, explain(err)
	}
	return mayJoin(ctx, s.db.Read(), email, policy, now)
}

func mayJoin(ctx context.Context, q querier, email string, policy account.Signup, now time.Time) (may bool, err error) {
	if policy == account.SignupOpen {
		return true, nil
	}
	err = q.QueryRowContext(ctx, `SELECT NOT EXISTS (SELECT 1 FROM users) OR ($1 = 'invite' AND
		EXISTS (SELECT 1 FROM invitations WHERE email = $2 AND status = 'pending' AND expires_at > $3))`,
		string(policy), email, ms(now)).Scan(&may)
	return may, explain(err)
}

// Enter finds or makes the account, and opens the session.
func (s *Accounts) Enter(ctx context.Context, e account.Entry) (u account.User, err error) {
	err = s.db.writeIdentity(ctx, func(tx *sql.Tx) error {
		if s.db.Dialect() == Postgres {
			// One newcomer at a time: only one account is the first.
			if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(7305441902)`); err != nil {
				return err
			}
		}
		u, err = scanUser(tx.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users u WHERE u.email = $1`, e.User.Email))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			if u, err = join(ctx, tx, e); err != nil {
				return err
			}
		case err != nil:
			return err
		case !u.IsActive:
			return fault.New(fault.Forbidden, "this account is switched off")
		default:
			u.LastLoginAt = e.User.LastLoginAt
			if _, err := tx.ExecContext(ctx, `UPDATE users SET last_login_at = $2, email_verified_at = COALESCE(email_verified_at, $2) WHERE id = $1`,
				u.ID, ms(e.Session.CreatedAt)); err != nil {
				return err
			}
		}
		v := e.Session
		if _, err := tx.ExecContext(ctx, `INSERT INTO sessions (id, user_id, ip, user_agent, created_at, last_used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			v.ID, u.ID, v.IP, v.UserAgent, ms(v.CreatedAt), ms(v.LastUsedAt), ms(v.ExpiresAt)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO refresh_tokens (token_hash, session_id, created_at) VALUES ($1, $2, $3)`, e.Token, v.ID, ms(v.CreatedAt))
		return err
	})
	return u, err
}

// join makes a new account with its personal workspace.
func join(ctx context.Context, tx *sql.Tx, e account.Entry) (account.User, error) {
	u := e.User
	may, err := mayJoin(ctx, tx, u.Email, e.Signup, u.CreatedAt)
	if err != nil {
		return u, err
	}
	if !may {
		return u, fault.New(fault.Forbidden, "new accounts need an invitation here")
	}
	if err := tx.QueryRowContext(ctx, `SELECT NOT EXISTS (SELECT 1 FROM users)`).Scan(&u.IsAdmin); err != nil {
		return u, err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO users (id, email, full_name, is_active, is_admin, email_verified_at, last_login_at, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $6, $6, $6)`, u.ID, u.Email, u.FullName, u.IsActive, u.IsAdmin, ms(u.CreatedAt)); err != nil {
		return u, err
	}
	slug, err := freeSlug(ctx, tx, e.Workspace.Slugs)
	if err != nil {
		return u, err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO workspaces (id, name, slug, is_personal, created_by, created_at, updated_at) VALUES ($1, $2, $3, TRUE, $4, $5, $5)`,
		e.Workspace.ID, e.Workspace.Name, slug, u.ID, ms(u.CreatedAt)); err != nil {
		return u, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO members (workspace_id, user_id, role, joined_at) VALUES ($1, $2, $3, $4)`,
		e.Workspace.ID, u.ID, string(access.Owner), ms(u.CreatedAt))
	return u, err
}

// freeSlug returns the first candidate nobody has.
func freeSlug(ctx context.Context, q querier, candidates []string) (string, error) {
	for _, slug := range candidates {
		var taken bool
		if err := q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM workspaces WHERE slug = $1)`, slug).Scan(&taken); err != nil {
			return "", err
		}
		if !taken {
			return slug, nil
		}
	}
	return "", fmt.Errorf("no free slug among %q", candidates)
}
