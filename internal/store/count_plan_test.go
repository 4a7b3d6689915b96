package store

import (
	"strings"
	"testing"
)

func TestCountingExecutionsReadsTheirIndexAlone(t *testing.T) {
	db, err := Open(t.Context(), Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	rows, err := db.Read().QueryContext(t.Context(), `EXPLAIN QUERY PLAN SELECT count(*) FROM executions WHERE workspace_id = $1 AND trigger_type <> 'split'`, "w")
	plan, err := collect(rows, err, func(row scanner) (text string, err error) {
		var id, parent, unused int
		err = row.Scan(&id, &parent, &unused, &text)
		return text, err
	})
	if err != nil || !strings.Contains(strings.Join(plan, "; "), "COVERING INDEX executions_list") {
		t.Errorf("plan %q, %v", plan, err)
	}
}
