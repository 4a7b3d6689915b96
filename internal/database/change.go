package database

import (
	"context"
	"database/sql"
	"errors"
	"regexp"
	"strings"

	"agentstudio/internal/fault"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// unknownOutcome is the code of a change that may have been made.
const unknownOutcome = "unknown_outcome"

func isUnknown(err error) bool {
	f := fault.As(err)
	return f != nil && f.Code == unknownOutcome
}

// change runs one statement in a transaction and keeps it.
func change(ctx context.Context, conn *sql.Conn, q Query) (*Answer, error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return nil, unreached(err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit there is nothing left of it
	answer, err := run(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	return answer, kept(tx.Commit())
}

func run(ctx context.Context, tx *sql.Tx, q Query) (*Answer, error) {
	if answersRows(q.SQL) {
		rows, err := tx.QueryContext(ctx, q.SQL, numbers(q.Params)...)
		if err != nil {
			return nil, err
		}
		answer, err := read(rows, q.MaxRows)
		return answer, errors.Join(err, rows.Close())
	}
	done, err := tx.ExecContext(ctx, q.SQL, numbers(q.Params)...)
	if err != nil {
		return nil, err
	}
	answer := &Answer{Columns: []string{}, Rows: []map[string]any{}}
	if n, err := done.RowsAffected(); err == nil {
		answer.Affected = &n
	}
	return answer, nil
}

// kept judges the end of a transaction: what the database itself says is sure,
// and so is that it was given up before.
func kept(err error) error {
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	var lite *sqlite.Error
	if err == nil || errors.Is(err, sql.ErrTxDone) || errors.As(err, &pg) || errors.As(err, &my) || errors.As(err, &lite) {
		return err
	}
	return fault.Wrap(fault.Conflict, err, "the connection to the database broke while the change was kept: whether it was made is not known; look there before it is made again").WithCode(unknownOutcome)
}

var (
	// returning is how a change asks for its rows.
	returning = regexp.MustCompile(`(?i)\breturning\b`)
	reading   = regexp.MustCompile(`(?i)^(select|with|values|show|explain|table)\b`)
	// steering are statements that end the transaction, or reach out of it.
	steering = regexp.MustCompile(`(?i)^(begin|start|commit|end|rollback|abort|savepoint|release|prepare|set|attach|detach|vacuum|pragma|load|copy)\b`)
)

func answersRows(statement string) bool {
	plain := bare(statement)
	return reading.MatchString(plain) || returning.MatchString(plain)
}

// check says why a change is none: it is one statement, which the transaction
// around it can hold. The database judges all others.
func (q Query) check() error {
	if !q.Write {
		return nil
	}
	plain := strings.TrimSpace(bare(q.SQL))
	if before, _, more := strings.Cut(strings.TrimRight(plain, "; \t\r\n"), ";"); more {
		return fault.New(fault.Invalid, "a change is one statement, and this is %q and more", clipped(before)).WithCode("statement_refused")
	}
	if steering.MatchString(plain) {
		return fault.New(fault.Invalid, "%q is no change that a transaction can hold", clipped(plain)).WithCode("statement_refused")
	}
	return nil
}

func clipped(s string) string {
	const longest = 60
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}

// bare is a statement without its comments, and with its texts emptied.
func bare(statement string) string {
	var out strings.Builder
	for s := statement; s != ""; {
		end := 0
		switch {
		case strings.HasPrefix(s, "--"), s[0] == '#' && !strings.HasPrefix(s, "#>") && !strings.HasPrefix(s, "#-"):
			end = after(s, 1, "\n")
		case strings.HasPrefix(s, "/*") && !strings.HasPrefix(s, "/*!"): // that one is no comment to MySQL
			end = after(s, 2, "*/")
		case s[0] == '\'', s[0] == '"', s[0] == '`':
			end = after(s, 1, s[:1])
			out.WriteString("''")
		}
		if end > 0 {
			out.WriteByte(' ')
			s = s[end:]
			continue
		}
		out.WriteByte(s[0])
		s = s[1:]
	}
	return strings.TrimSpace(out.String())
}

// after is where what follows a closing mark begins.
func after(s string, from int, closing string) int {
	if i := strings.Index(s[from:], closing); i >= 0 {
		return from + i + len(closing)
	}
	return len(s)
}
