package store

import (
	"context"
	"database/sql"
	"time"

	"agentstudio/internal/execution"
)

// Asked hears that something was asked here that letters are to be written for.
func (s *Executions) Asked() <-chan struct{} { return s.asked }

// lettersAtOnce bounds the letters of one ask.
const lettersAtOnce = 200

// Address turns asks whose approvers are to be written to into letters, one for
// each approver who is a member and may execute, at most limit asks at a time.
// It reports whether there may be more.
func (s *Executions) Address(ctx context.Context, now time.Time, limit int) (more bool, err error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT id FROM asks WHERE mail_at > 0 AND mail_at <= $1 ORDER BY mail_at LIMIT $2`, ms(now), limit)
	ids, err := collect(rows, err, func(row scanner) (id string, err error) { err = row.Scan(&id); return id, err })
	for _, id := range ids {
		if err := s.address(ctx, id, now); err != nil {
			return false, err
		}
	}
	return len(ids) == limit, err
}

func (s *Executions) address(ctx context.Context, id string, now time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE asks SET mail_at = 0 WHERE id = $1 AND mail_at > 0`, id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err // another process was faster
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO letters (ask_id, address, due_at)
			SELECT a.id, u.email, $2 FROM asks a JOIN members m ON m.workspace_id = a.workspace_id JOIN users u ON u.id = m.user_id
			WHERE a.id = $1 AND a.status = 'open' AND u.is_active AND m.role IN ('owner', 'admin', 'editor') AND EXISTS (SELECT 1 FROM ask_approvers p WHERE p.ask_id = a.id
				AND (p.who = u.id OR p.who = u.email OR p.who = m.role OR p.who = 'admin' AND m.role = 'owner' OR p.who = 'editor' AND m.role IN ('owner', 'admin')))
			ORDER BY m.joined_at LIMIT $3 ON CONFLICT DO NOTHING`, id, ms(now), lettersAtOnce)
		return err
	})
}

// Letters takes letters that are due, at most limit, and when the next one
// will be (zero: none). Nobody else gets them until held has passed: who takes
// them sends and then removes them.
func (s *Executions) Letters(ctx context.Context, now time.Time, held time.Duration, limit int) (out []execution.Letter, next time.Time, err error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT ask_id, address, due_at, attempts FROM letters WHERE due_at <= $1 ORDER BY due_at LIMIT $2`, ms(now), limit)
	due, err := collect(rows, err, func(row scanner) (l execution.Letter, err error) {
		var at int64
		err = row.Scan(&l.AskID, &l.Address, &at, &l.Attempts)
		l.DueAt = fromMillis(at)
		return l, err
	})
	if err != nil {
		return nil, next, err
	}
	for _, l := range due {
		taken, err := s.moved(ctx, `UPDATE letters SET due_at = $1, attempts = attempts + 1 WHERE ask_id = $2 AND address = $3 AND due_at = $4`, ms(now.Add(held)), l.AskID, l.Address, millis(l.DueAt))
		if err != nil {
			return out, next, err
		}
		if taken {
			out = append(out, l)
		}
	}
	var at sql.NullInt64
	err = s.db.Read().QueryRowContext(ctx, `SELECT min(due_at) FROM letters`).Scan(&at)
	return out, fromMillis(at.Int64), explain(err)
}

// Sent removes a letter.
func (s *Executions) Sent(ctx context.Context, l execution.Letter) error {
	_, err := s.moved(ctx, `DELETE FROM letters WHERE ask_id = $1 AND address = $2`, l.AskID, l.Address)
	return err
}

// AskOf returns the ask that a letter is about.
func (s *Executions) AskOf(ctx context.Context, l execution.Letter) (*execution.Ask, error) {
	a, err := scanAsk(s.db.Read().QueryRowContext(ctx, askSelect+` WHERE a.id = $1`, l.AskID))
	return &a, noRows(err, "question")
}
