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
	for _, name := range []string{"SHOP", "OTHERS", "SECRET"} {
		t.Setenv("STUDIO_CREDENTIAL_"+name, "sqlite://"+file)
	}
	cfg := settings(t.TempDir())
	cfg.Databases = []string{"shop", "others@another-workspace"}
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
}
