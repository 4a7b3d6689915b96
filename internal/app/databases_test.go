package app_test

import (
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"agentstudio/internal/fault"
)

func TestWorkspacesReadTheDatabasesTheyAreGiven(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.db")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE goods (name TEXT); INSERT INTO goods VALUES ('tea')`); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SHOP", "OTHERS", "SECRET", "LEDGER"} {
		t.Setenv("STUDIO_CREDENTIAL_"+name, "sqlite://"+file)
	}
	cfg := settings(t.TempDir())
	cfg.Databases = []string{"shop", "others@another-workspace", "ledger:write"}
	studio, by, _ := open(t, cfg)
	ask := func(credential, statement string) (string, error) {
		args, err := json.Marshal(map[string]any{"credential": credential, "sql": statement, "params": []any{"tea"}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := studio.Toolbox.Use(t.Context(), by, by.Personal, "database_query", args)
		if err != nil {
			return "", err
		}
		return r.Text, nil
	}
	if text, err := ask("shop", `SELECT name FROM goods WHERE name = ?`); err != nil || text != `1 rows: [{"name":"tea"}]` {
		t.Errorf("got %s, %v", text, err)
	}
	if _, err := ask("shop", `DELETE FROM goods WHERE name = ?`); !fault.Is(err, fault.Invalid) {
		t.Errorf("deleted: %v", err)
	}
	for _, name := range []string{"others", "secret", "missing"} {
		if _, err := ask(name, `SELECT name FROM goods WHERE name = ?`); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "STUDIO_DATABASES") {
			t.Errorf("%s: %v", name, err)
		}
	}
	change := func(credential, statement string) error {
		args, err := json.Marshal(map[string]any{"credential": credential, "sql": statement, "params": []any{"rum"}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = studio.Toolbox.Use(t.Context(), by, by.Personal, "database_write", args)
		return err
	}
	if err := change("shop", `INSERT INTO goods VALUES (?)`); !fault.Is(err, fault.Forbidden) || !strings.Contains(err.Error(), "shop:write") {
		t.Errorf("changed what may be read only: %v", err)
	}
	if err := change("ledger", `INSERT INTO goods VALUES (?)`); err != nil {
		t.Error(err)
	}
	if _, err := ask("ledger", `DELETE FROM goods WHERE name = ?`); !fault.Is(err, fault.Invalid) {
		t.Errorf("a query has changed something: %v", err)
	}
	x := ends(t, studio, by, `
name: Stock
nodes: [{id: start, kind: manual-trigger}, {id: take, kind: database-query, config: {credential: ledger, write: true, sql: "DELETE FROM goods WHERE name = ?", params: ["{{ trigger.what }}"]}}]
connections: [{source: start, target: take}]
`, `{"what":"rum"}`)
	if !strings.Contains(string(x.Output), `"affected":1`) {
		t.Errorf("%s %+v: %s", x.Status, x.Error, x.Output)
	}
	var left int
	if err := db.QueryRow(`SELECT count(*) FROM goods`).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d rows are left, %v", left, err)
	}
}
