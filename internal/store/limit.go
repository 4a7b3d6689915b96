package store

import (
	"context"
	"time"

	"agentstudio/internal/limit"
)

// Rates counts requests that all processes on a PostgreSQL database make
// together, where there is no Redis to count in. It is for what goes out to
// others, not for every request that comes in: each one writes a row.
type Rates struct{ db *DB }

// NewRates returns the counts of a PostgreSQL database.
func NewRates(db *DB) *Rates { return &Rates{db: db} }

// rateWithin bounds what a count may take: whoever holds a key's row holds it
// for one statement.
const rateWithin = 2 * time.Second

// microseconds is the clock that rates go by.
const microseconds = `(SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now)`

// takeSQL does what limit.Local does. $1 the key, $2 the step, $3 the whole
// time, $4 the patience. The clock is read once the row is locked: whoever
// waited for it must not be counted by the time before the wait.
const takeSQL = `INSERT INTO rates AS r (key, arrival, excess)
	SELECT $1, now + $2::bigint, $2::bigint - $3::bigint FROM ` + microseconds + ` AS clock
	ON CONFLICT (key) DO UPDATE SET (arrival, excess) = (
		SELECT CASE WHEN after - now - $3 <= $4::bigint THEN after ELSE r.arrival END, after - now - $3
		FROM (SELECT now, greatest(r.arrival, now) + $2 AS after FROM ` + microseconds + ` AS clock) AS next)
	RETURNING excess`

// Take counts one request of the key, which must be limited.
func (s *Rates) Take(ctx context.Context, key string, r limit.Rate) (limit.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, rateWithin)
	defer cancel()
	r = r.Truncate(time.Microsecond)
	var over int64
	err := s.db.write.QueryRowContext(ctx, takeSQL, key, r.Step().Microseconds(), r.Per.Microseconds(), r.Patience.Microseconds()).Scan(&over)
	if err != nil {
		return limit.Verdict{}, explain(err)
	}
	return r.Verdict(time.Duration(over) * time.Microsecond), nil
}
