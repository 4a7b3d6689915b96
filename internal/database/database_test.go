package database_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver named "sqlite"

	"agentstudio/internal/database"
	"agentstudio/internal/fault"
	"agentstudio/internal/outbound"
	"agentstudio/internal/store/storetest"
)

// anywhere connects to whatever it is asked to.
type anywhere struct{ net.Dialer }

func (a *anywhere) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return a.DialContext(ctx, network, address)
}

// shop is a database with some rows, as three sorts of servers have it.
type shop struct {
	name, url string
	own       *sql.DB // as its owner sees it
	mark      func(n int) string
	sleep     string // takes longer than any test waits
	tricks    []string
}

func shops(t *testing.T, test func(t *testing.T, s shop)) {
	dollar := func(n int) string { return fmt.Sprintf("$%d", n) }
	question := func(int) string { return "?" }
	writes := []string{`INSERT INTO goods VALUES (9, 'x', 1)`, `UPDATE goods SET price = 0`, `DELETE FROM goods`, `DROP TABLE goods`, `CREATE TABLE other (a INT)`}
	t.Run("postgres", func(t *testing.T) {
		address := storetest.PostgresURL(t)
		test(t, shop{"postgres", address, seeded(t, "pgx", address), dollar, `SELECT pg_sleep(30)`, append(writes,
			`SELECT 1; DELETE FROM goods`, `COMMIT; DELETE FROM goods`, `WITH gone AS (DELETE FROM goods RETURNING 1) SELECT * FROM gone`, `SELECT nextval('counter')`, `TRUNCATE goods`)})
	})
	t.Run("mariadb", func(t *testing.T) {
		at := mariaDB(t)
		test(t, shop{"mariadb", "mysql://reader:hunter2@" + at + "/shop", seeded(t, "mysql", "reader:hunter2@tcp("+at+")/shop"), question, `SELECT SLEEP(30)`, append(writes,
			`SELECT 1; DELETE FROM goods`, `TRUNCATE goods`, `ALTER TABLE goods ADD COLUMN b INT`, `LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE goods`)})
	})
	t.Run("sqlite", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "shop.db")
		other := filepath.Join(t.TempDir(), "other.db")
		own := seeded(t, "sqlite", other)
		_ = own.Close()
		test(t, shop{"sqlite", "sqlite://" + file, seeded(t, "sqlite", file), question, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n`, append(writes,
			`PRAGMA query_only = 0; DELETE FROM goods`, `COMMIT; DELETE FROM goods`, `ATTACH DATABASE '`+other+`' AS o`, `VACUUM INTO '`+file+`.copy'`, `SELECT length(zeroblob(100000000))`)})
	})
}

func seeded(t *testing.T, driver, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	statements := []string{`CREATE TABLE goods (id INT, name VARCHAR(100), price NUMERIC(10,2))`}
	if driver == "pgx" {
		statements = append(statements, `CREATE SEQUENCE counter`)
	}
	for i, name := range []string{"tea", "O''Brien''s; DROP TABLE goods", "größe"} {
		statements = append(statements, fmt.Sprintf(`INSERT INTO goods VALUES (%d, '%s', %d.50)`, i+1, name, i))
	}
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return db
}

func (s shop) rows(t *testing.T) (n int) {
	t.Helper()
	if err := s.own.QueryRow(`SELECT count(*) FROM goods WHERE price > 0 OR id = 1`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRowsAreReadWithParameters(t *testing.T) {
	shops(t, func(t *testing.T, s shop) {
		c := database.New(&anywhere{})
		got, err := c.Query(t.Context(), database.Query{URL: s.url, SQL: `SELECT id, name, id AS id FROM goods WHERE name = ` + s.mark(1) + ` AND id < ` + s.mark(2) + ` ORDER BY id`,
			Params: []any{"O'Brien's; DROP TABLE goods", 10.0}})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(got)
		if want := `{"columns":["id","name","id_2"],"rows":[{"id":2,"id_2":2,"name":"O'Brien's; DROP TABLE goods"}],"truncated":false}`; err != nil || string(text) != want {
			t.Errorf("got %s, %v", text, err)
		}
		if got, err := c.Query(t.Context(), database.Query{URL: s.url, SQL: `SELECT id FROM goods WHERE name = ` + s.mark(1), Params: []any{"x' OR '1'='1"}}); err != nil || len(got.Rows) != 0 {
			t.Errorf("a parameter was read as a statement: %+v, %v", got, err)
		}
		if got, err := c.Query(t.Context(), database.Query{URL: s.url, SQL: `SELECT id FROM goods`, MaxRows: 2}); err != nil || len(got.Rows) != 2 || !got.Truncated {
			t.Errorf("of three rows two: %+v, %v", got, err)
		}
		if _, err := c.Query(t.Context(), database.Query{URL: s.url, SQL: `SELECT a FROM nowhere`}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("a wrong statement: %v", err)
		}
	})
}

func TestTheDatabaseKeepsAQueryFromWriting(t *testing.T) {
	shops(t, func(t *testing.T, s shop) {
		c := database.New(&anywhere{})
		for _, statement := range s.tricks {
			if got, err := c.Query(t.Context(), database.Query{URL: s.url, SQL: statement}); err == nil {
				t.Errorf("%s: answered %+v", statement, got)
			}
			if n := s.rows(t); n != 3 {
				t.Fatalf("%s: %d rows are left", statement, n)
			}
		}
		if s.name == "sqlite" {
			u, err := url.Parse(s.url)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(u.Path + ".copy"); err == nil {
				t.Error("a copy was written")
			}
		}
	})
}

func TestAQueryEndsInTime(t *testing.T) {
	shops(t, func(t *testing.T, s shop) {
		began := time.Now()
		_, err := database.New(&anywhere{}).Query(t.Context(), database.Query{URL: s.url, SQL: s.sleep, Timeout: 300 * time.Millisecond})
		// MariaDB answers a sleep that it ends as if it were over.
		if took := time.Since(began); took > 10*time.Second || s.name != "mariadb" && !fault.Is(err, fault.Timeout) && !fault.Is(err, fault.Invalid) {
			t.Errorf("it took %s: %v", took, err)
		}
	})
}

func TestPrivateDatabasesAreRefusedUnlessAllowed(t *testing.T) {
	at := mariaDB(t)
	for _, allowed := range []bool{false, true} {
		cfg := outbound.Config{}
		if allowed {
			cfg.Allow = []string{at}
		}
		web, err := outbound.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, err = database.New(web).Query(t.Context(), database.Query{URL: "mysql://reader:hunter2@" + at + "/shop", SQL: `SELECT 1`})
		if f := fault.As(err); allowed && err != nil || !allowed && (f == nil || f.Code != "address_refused") {
			t.Errorf("allowed %t: %v", allowed, err)
		}
		for _, address := range []string{"postgres://u:hunter2@127.0.0.1:1/x", "postgres://u:hunter2@/x?host=/tmp", "mysql://u:hunter2@localhost:1/x"} {
			if _, err := database.New(web).Query(t.Context(), database.Query{URL: address, SQL: `SELECT 1`}); err == nil || strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Errorf("%s: %v", address, err)
			}
		}
	}
}

func TestAddressesThatAreNoneAreRefused(t *testing.T) {
	for _, address := range []string{"", "oracle://x", "sqlite://relative.db", "sqlite:///a?mode=rw", "mysql://u:hunter2@h/x?allowAllFiles=true", "postgres://u:hunter2@h:port/x", "://hunter2"} {
		if _, err := database.New(&anywhere{}).Query(t.Context(), database.Query{URL: address, SQL: `SELECT 1`}); !fault.Is(err, fault.Invalid) || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%q: %v", address, err)
		}
	}
}
