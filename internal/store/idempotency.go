package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"agentstudio/internal/fault"
)

// sweptKeys bounds the expired keys that one Begin clears away.
const sweptKeys = 20

// Idempotency keeps the first answers to requests that carried a key. It is
// safe for concurrent use.
type Idempotency struct{ db *DB }

// NewIdempotency returns the store on a database.
func NewIdempotency(db *DB) *Idempotency { return &Idempotency{db: db} }

// Begin claims an actor's key until lease and returns status 0, or returns the
// answer that is kept for it. Conflict: a request with the key is in progress.
// Invalid: the key was used for another request.
func (s *Idempotency) Begin(ctx context.Context, actor, key, requestHash string, now, lease time.Time) (status int, headers string, body []byte, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := sweepKeys(ctx, tx, now); err != nil {
			return err
		}
		var hash string
		var expires int64
		err := tx.QueryRowContext(ctx, `SELECT request_hash, status, headers, body, expires_at FROM idempotency_keys WHERE actor = $1 AND key = $2`, actor, key).
			Scan(&hash, &status, &headers, &body, &expires)
		switch {
		case errors.Is(err, sql.ErrNoRows) || err == nil && expires <= ms(now):
			status = 0
			return claimKey(ctx, tx, actor, key, requestHash, now, lease)
		case err != nil:
			return fmt.Errorf("find key: %w", err)
		case hash != requestHash:
			return fault.InvalidInput(fault.Detail{Location: "header.Idempotency-Key", Code: "key_reused", Message: "this key was used for another request: take a new one"})
		case status == 0:
			return keyInProgress()
		}
		return nil
	})
	if err != nil {
		return 0, "", nil, err
	}
	return status, headers, body, nil
}

func keyInProgress() error {
	return fault.New(fault.Conflict, "a request with this idempotency key is in progress; try again in a moment").WithCode("in_progress").WithRetryAfter(time.Second)
}

// claimKey takes the key unless another process has taken it meanwhile.
func claimKey(ctx context.Context, tx querier, actor, key, requestHash string, now, lease time.Time) error {
	r, err := tx.ExecContext(ctx, `INSERT INTO idempotency_keys (actor, key, request_hash, expires_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (actor, key) DO UPDATE SET request_hash = excluded.request_hash, status = 0, headers = '', body = '', expires_at = excluded.expires_at
		WHERE idempotency_keys.expires_at <= $5`, actor, key, requestHash, ms(lease), ms(now))
	if err != nil {
		return fmt.Errorf("claim key: %w", err)
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		return keyInProgress()
	}
	return err
}

func sweepKeys(ctx context.Context, tx querier, now time.Time) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM idempotency_keys WHERE (actor, key) IN
		(SELECT actor, key FROM idempotency_keys WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`, ms(now), sweptKeys)
	if err != nil {
		return fmt.Errorf("sweep keys: %w", err)
	}
	return nil
}

// Finish keeps the answer of a claimed key until the time given.
func (s *Idempotency) Finish(ctx context.Context, actor, key string, status int, headers string, body []byte, until time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE idempotency_keys SET status = $3, headers = $4, body = $5, expires_at = $6 WHERE actor = $1 AND key = $2`,
			actor, key, status, headers, string(body), ms(until))
		return mustAffect(r, err, "idempotency key")
	})
}

// Forget gives a claimed key back.
func (s *Idempotency) Forget(ctx context.Context, actor, key string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM idempotency_keys WHERE actor = $1 AND key = $2 AND status = 0`, actor, key)
		return err
	})
}

// Keep puts a text down under an actor's key until the time given, in place of
// what was there. The keys of Keep and Begin are the same: their makers keep
// them apart.
func (s *Idempotency) Keep(ctx context.Context, actor, key string, text []byte, until time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO idempotency_keys (actor, key, request_hash, status, body, expires_at) VALUES ($1, $2, '', 200, $3, $4)
			ON CONFLICT (actor, key) DO UPDATE SET status = 200, body = excluded.body, expires_at = excluded.expires_at`, actor, key, string(text), ms(until))
		if err != nil {
			return fmt.Errorf("keep under key: %w", err)
		}
		return nil
	})
}

// Kept returns what Keep put down. NotFound: nothing, or its time is over.
func (s *Idempotency) Kept(ctx context.Context, actor, key string, now time.Time) ([]byte, error) {
	var text []byte
	err := s.db.Read().QueryRowContext(ctx, `SELECT body FROM idempotency_keys WHERE actor = $1 AND key = $2 AND status = 200 AND expires_at > $3`, actor, key, ms(now)).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "nothing is kept under this key")
	}
	if err != nil {
		return nil, fmt.Errorf("find what is kept: %w", err)
	}
	return text, nil
}
