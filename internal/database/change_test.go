package database_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/database"
	"agentstudio/internal/fault"
)

func TestAChangeIsKeptWhole(t *testing.T) {
	shops(t, func(t *testing.T, s shop) {
		c := database.New(&anywhere{})
		got, err := c.Query(t.Context(), database.Query{URL: s.url, Write: true, SQL: `UPDATE goods SET price = price + ` + s.mark(1) + ` WHERE id > ` + s.mark(2), Params: []any{10.0, 1.0}})
		if err != nil || got.Affected == nil || *got.Affected != 2 || len(got.Rows) != 0 {
			t.Fatalf("got %+v, %v", got, err)
		}
		got, err = c.Query(t.Context(), database.Query{URL: s.url, Write: true, SQL: `INSERT INTO goods (id, name, price) VALUES (` + s.mark(1) + `, ` + s.mark(2) + `, 3) RETURNING id, name`, Params: []any{9.0, "x'); DROP TABLE goods; --"}})
		if err != nil || len(got.Rows) != 1 || got.Rows[0]["name"] != "x'); DROP TABLE goods; --" {
			t.Fatalf("got %+v, %v", got, err)
		}
		if n := s.rows(t); n != 4 {
			t.Errorf("%d rows", n)
		}
		var sum float64
		if err := s.own.QueryRow(`SELECT sum(price) FROM goods WHERE id < 4`).Scan(&sum); err != nil || sum != 24.5 {
			t.Errorf("the prices sum to %g, %v", sum, err)
		}
	})
}

func TestAChangeThatFailsIsNotMade(t *testing.T) {
	shops(t, func(t *testing.T, s shop) {
		c := database.New(&anywhere{})
		for _, statement := range []string{
			`INSERT INTO goods SELECT id, name, price FROM goods WHERE id / 0 > 1 UNION ALL SELECT missing, '', 0 FROM goods`, `DELETE FROM nowhere`,
			`DELETE FROM goods; SELECT 1`, `COMMIT; DELETE FROM goods`, `/* x */ COMMIT`, "-- x\nBEGIN", `ATTACH DATABASE 'x' AS y`, `PRAGMA journal_mode = OFF`, `SET autocommit = 1`,
		} {
			if got, err := c.Query(t.Context(), database.Query{URL: s.url, Write: true, SQL: statement}); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %+v, %v", statement, got, err)
			}
			if n := s.rows(t); n != 3 {
				t.Fatalf("%s: %d rows are left", statement, n)
			}
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("enough"))
		defer cancel()
		if s.name != "mariadb" { // which answers a sleep that it ends as if it were over
			if _, err := c.Query(ctx, database.Query{URL: s.url, Write: true, SQL: s.sleep}); err == nil {
				t.Error("it was not cut off")
			}
		}
		if got, err := c.Query(t.Context(), database.Query{URL: s.url, Write: true, SQL: `DELETE FROM goods WHERE name = ';' OR name = 'BEGIN; --'`}); err != nil || *got.Affected != 0 {
			t.Errorf("texts are no statements: %+v, %v", got, err)
		}
	})
}

// tearing is a dialer whose connections break when a commit is sent: the server
// may have it or not.
type tearing struct {
	anywhere
	torn atomic.Int64
}

func (d *tearing) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.anywhere.Dial(ctx, network, address)
	return &torn{Conn: conn, d: d}, err
}

type torn struct {
	net.Conn
	d *tearing
}

func (c *torn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if strings.Contains(strings.ToUpper(string(p)), "COMMIT") {
		c.d.torn.Add(1)
		_ = c.Close()
	}
	return n, err
}

func TestABrokenCommitIsAnUnknownOutcome(t *testing.T) {
	shops(t, func(t *testing.T, s shop) {
		if s.name == "sqlite" {
			return // there is no connection to break
		}
		d := &tearing{}
		_, err := database.New(d).Query(t.Context(), database.Query{URL: s.url, Write: true, SQL: `INSERT INTO goods VALUES (7, 'x', 1)`})
		if f := fault.As(err); f == nil || f.Code != "unknown_outcome" || f.Kind != fault.Conflict || d.torn.Load() == 0 {
			t.Errorf("got %+v after %d breaks", err, d.torn.Load())
		}
	})
}
