package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/workflow"
)

// furnish makes one of everything that is remembered, with plain statements.
func furnish(t *testing.T, db *store.DB) {
	t.Helper()
	change(t, db, `INSERT INTO users (id, email, full_name, is_active, is_admin, created_at, updated_at) VALUES ('u', 'u@x.test', 'Ann', TRUE, FALSE, 1, 1)`,
		`INSERT INTO workspaces (id, name, slug, is_personal, created_by, created_at, updated_at) VALUES ('w', 'W', 'home', FALSE, 'u', 1, 1)`,
		`INSERT INTO workflows (id, workspace_id, user_id, name, search, status, version, created_at, updated_at) VALUES ('f', 'w', 'u', 'F', 'f', 'published', 1, 1, 1)`,
		`INSERT INTO workflow_versions (workflow_id, version, definition, user_id, created_at) VALUES ('f', 1, '{"name":"F","nodes":[{"id":"a","kind":"set"}],"connections":[]}', 'u', 1)`,
		`INSERT INTO webhooks (id, workspace_id, workflow_id, version, node_id, path, config, created_at) VALUES ('h', 'w', 'f', 1, 'a', 'in', '{"path":"in"}', 1)`,
		`INSERT INTO executions (id, workspace_id, workflow_id, workflow_name, workflow_version, user_id, status, trigger_type, start_node, trigger_data, created_at) VALUES ('x', 'w', 'f', 'F', 1, 'u', 'completed', 'manual', 'a', '{}', 1)`,
		`INSERT INTO node_executions (execution_id, iteration, node_id, id, kind, title, attempt, status, handles, output, output_ref, error, usage, wait, started_at, completed_at)
			VALUES ('x', '', 'a', 'n', 'set', 'A', 1, 'completed', '', '1', '', '', '', '', 1, 2)`)
}

func change(t *testing.T, db *store.DB, statements ...string) {
	t.Helper()
	if err := db.Write(t.Context(), func(tx *sql.Tx) error {
		for _, s := range statements {
			if _, err := tx.ExecContext(t.Context(), s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// readings are all that is remembered, each as text.
func readings(db *store.DB) map[string]func(context.Context) (string, error) {
	flows, runs, people := store.NewWorkflows(db, node.NewKinds()), store.NewExecutions(db, nil, time.Now), store.NewAccounts(db)
	return map[string]func(context.Context) (string, error){
		"execution": func(ctx context.Context) (string, error) {
			x, err := runs.Find(ctx, "w", "x")
			if err != nil {
				return "", err
			}
			return string(x.Status) + " " + x.WorkflowName, nil
		},
		"nodes": func(ctx context.Context) (string, error) {
			nodes, total, err := runs.AllNodeRuns(ctx, "w", "x", 10, 0)
			text := fmt.Sprint(total)
			for _, n := range nodes {
				text += " " + n.NodeID + "=" + string(n.Output)
			}
			return text, err
		},
		"executions": func(ctx context.Context) (string, error) {
			page, err := runs.List(ctx, "w", execution.Filter{Limit: 10})
			text := fmt.Sprint(page.Total)
			for _, x := range page.Items {
				text += " " + x.ID + "=" + string(x.Status)
			}
			return text, err
		},
		"workflow": func(ctx context.Context) (string, error) {
			w, err := flows.Find(ctx, "w", "f")
			if err != nil {
				return "", err
			}
			text := fmt.Sprint(w.Status, w.Version, w.Definition.Name)
			for _, h := range w.Webhooks {
				text += " " + h.WorkspaceSlug + "/" + h.Path
			}
			return text, nil
		},
		"workspace of workflow": func(ctx context.Context) (string, error) { return flows.Workspace(ctx, "f") },
		"workflows": func(ctx context.Context) (string, error) {
			items, total, err := flows.List(ctx, "w", workflow.Filter{Limit: 10})
			text := fmt.Sprint(total)
			for _, w := range items {
				text += " " + w.Name
				if w.LastExecution != nil {
					text += "=" + w.LastExecution.Status
				}
			}
			return text, err
		},
		"user": func(ctx context.Context) (string, error) {
			u, err := people.User(ctx, "u")
			return u.FullName, err
		},
	}
}

// Whatever statement changes it, whoever wrote that: what is read after the
// transaction is what it left, by direct changes as by cascades.
func TestWhatWasReadBeforeIsReadAnewAfterEachChange(t *testing.T) {
	gone := "not found"
	for name, step := range map[string]struct {
		statements []string
		want       map[string]string
	}{
		"an execution goes on": {[]string{`UPDATE executions SET status = 'failed' WHERE workflow_id = 'f'`},
			map[string]string{"execution": "failed F", "executions": "1 x=failed", "workflows": "1 F=failed"}},
		"an execution begins": {[]string{`INSERT INTO executions (id, workspace_id, workflow_id, workflow_name, workflow_version, user_id, status, trigger_type, start_node, trigger_data, created_at) VALUES ('y', 'w', 'f', 'F', 1, 'u', 'running', 'manual', 'a', '{}', 2)`},
			map[string]string{"executions": "2 y=running x=completed", "workflows": "1 F=running"}},
		"an execution is deleted": {[]string{`DELETE FROM executions`},
			map[string]string{"execution": gone, "nodes": "0", "executions": "0", "workflows": "1 F"}},
		"a node ends":    {[]string{`UPDATE node_executions SET output = '2'`}, map[string]string{"nodes": "1 a=2"}},
		"nodes are gone": {[]string{`DELETE FROM node_executions`}, map[string]string{"nodes": "0"}},
		"an id changes hands": {[]string{`UPDATE executions SET id = 'z' WHERE id = 'x'`, `UPDATE node_executions SET execution_id = 'z'`},
			map[string]string{"execution": gone, "nodes": "0", "executions": "1 z=completed"}},
		"an execution moves away": {[]string{`UPDATE executions SET workspace_id = 'other'`}, map[string]string{"execution": gone, "nodes": "0", "executions": "0", "workflows": "1 F=completed"}},
		"a workflow is saved": {[]string{`UPDATE workflows SET name = 'G', version = 2`, `INSERT INTO workflow_versions (workflow_id, version, definition, user_id, created_at) VALUES ('f', 2, '{"name":"G"}', 'u', 1)`},
			map[string]string{"workflow": "published2G home/in", "workflows": "1 G=completed"}},
		"a workflow is disarmed":          {[]string{`UPDATE workflows SET status = 'draft'`, `DELETE FROM webhooks`}, map[string]string{"workflow": "draft1F"}},
		"a webhook moves":                 {[]string{`UPDATE webhooks SET config = '{"path":"new"}'`}, map[string]string{"workflow": "published1F home/new"}},
		"a workflow is deleted":           {[]string{`DELETE FROM workflows`}, map[string]string{"workflow": gone, "workspace of workflow": gone, "workflows": "0"}},
		"a workspace is deleted":          {[]string{`DELETE FROM workspaces`}, map[string]string{"workflow": gone, "workspace of workflow": gone, "workflows": "0"}},
		"a workspace has another address": {[]string{`UPDATE workspaces SET slug = 'moved'`}, map[string]string{"workflow": "published1F moved/in"}},
		"a person has another name":       {[]string{`UPDATE users SET full_name = 'Bea'`}, map[string]string{"user": "Bea"}},
		"rows are replaced":               {[]string{`INSERT INTO users (id, email, full_name, is_active, is_admin, created_at, updated_at) VALUES ('u', 'u@x.test', 'Cleo', TRUE, FALSE, 1, 1) ON CONFLICT (id) DO UPDATE SET full_name = excluded.full_name`}, map[string]string{"user": "Cleo"}},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				furnish(t, db)
				all := readings(db)
				before := map[string]string{}
				for what, read := range all {
					for range 3 { // it is remembered by now
						text, err := read(t.Context())
						if err != nil {
							t.Fatalf("%s: %v", what, err)
						}
						before[what] = text
					}
				}
				change(t, db, step.statements...)
				for what, read := range all {
					want, changes := step.want[what]
					if !changes {
						want = before[what]
					}
					got, err := read(t.Context())
					if err != nil {
						got = gone
					}
					if got != want {
						t.Errorf("%s is %q (%v), want %q", what, got, err, want)
					}
				}
			})
		})
	}
}

// What a transaction did that came to nothing is never seen, and what was seen
// before stays.
func TestWhatWasRolledBackIsNotRemembered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		furnish(t, db)
		read := readings(db)["user"]
		for range 2 {
			err := db.Write(t.Context(), func(tx *sql.Tx) error {
				if _, err := tx.ExecContext(t.Context(), `UPDATE users SET full_name = 'Bea'`); err != nil {
					return err
				}
				if name, err := read(t.Context()); name != "Ann" {
					return fmt.Errorf("read %q, %w", name, err)
				}
				return errRefused
			})
			if !errors.Is(err, errRefused) {
				t.Fatal(err)
			}
			if name, err := read(t.Context()); name != "Ann" || err != nil {
				t.Errorf("read %q, %v", name, err)
			}
		}
	})
}

var errRefused = errors.New("refused")

// Many read while one changes: from the moment a change is answered, nobody
// reads what was there before.
func TestNobodyReadsTheOldOnceAChangeIsAnswered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		furnish(t, db)
		all := readings(db)
		var answered atomic.Int64
		var readers sync.WaitGroup
		done := make(chan struct{})
		for _, what := range []string{"user", "execution", "workflow"} {
			for range 3 {
				readers.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
						}
						least := answered.Load()
						text, err := all[what](t.Context())
						var n int64
						if _, scanned := fmt.Sscanf(text[strings.LastIndexByte(text, '#')+1:], "%d", &n); err != nil || scanned != nil && least > 0 || scanned == nil && n < least {
							t.Errorf("%s is %q (%v) after change %d", what, text, err, least)
							return
						}
					}
				})
			}
		}
		for n := range int64(50) {
			change(t, db, fmt.Sprintf(`UPDATE users SET full_name = '#%d'`, n), fmt.Sprintf(`UPDATE executions SET workflow_name = '#%d'`, n), fmt.Sprintf(`UPDATE webhooks SET config = '{"path":"#%d"}'`, n))
			answered.Store(n)
		}
		close(done)
		readers.Wait()
	})
}

// What is returned is the caller's own as far as callers change it.
func TestChangingWhatWasReadChangesNothingForOthers(t *testing.T) {
	db := storetest.SQLite(t)
	furnish(t, db)
	flows, runs := store.NewWorkflows(db, node.NewKinds()), store.NewExecutions(db, nil, time.Now)
	for range 2 {
		w, err := flows.Find(t.Context(), "w", "f")
		if err != nil || w.Definition.Name != "F" || w.Version != 1 {
			t.Fatalf("%+v, %v", w, err)
		}
		w.Definition, w.Version = workflow.Definition{Name: "mine"}, 7
		x, err := runs.Find(t.Context(), "w", "x")
		if err != nil || x.Status != execution.Completed {
			t.Fatalf("%+v, %v", x, err)
		}
		x.Status = execution.Failed
		nodes, _, err := runs.AllNodeRuns(t.Context(), "w", "x", 10, 0)
		if err != nil || nodes[0].Title != "A" {
			t.Fatalf("%+v, %v", nodes, err)
		}
		nodes[0].Title = "mine"
	}
}

// A transaction that calls itself quiet and is not would show people the old.
func TestOnlySignsOfLifeAreWrittenQuietly(t *testing.T) {
	use := regexp.MustCompile(`(?s)\.writeQuietly\(.*?(UPDATE|INSERT INTO|DELETE FROM) (\w+) SET (\w+)`)
	allowed := map[string]string{"worker.go": "workers.heartbeat_at", "session.go": "api_keys.last_used_at"}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") || name == "snapshots.go" || !bytes.Contains(text, []byte(".writeQuietly(")) {
			continue
		}
		found := use.FindAllSubmatch(text, -1)
		if len(found) != 1 || string(found[0][2])+"."+string(found[0][3]) != allowed[name] {
			t.Errorf("%s writes quietly what nobody has looked at: %q", name, found)
		}
	}
}

// Changes are counted in transactions of Write alone: another use of the
// writing connection would go unnoticed.
func TestNothingButWriteUsesTheWritingConnection(t *testing.T) {
	use := regexp.MustCompile(`db\.write\.\w+`)
	allowed := map[string]string{
		"store.go":     "db.write.BeginTx db.write.Stats db.write.Stats",
		"migrate.go":   "db.write.ExecContext db.write.ExecContext db.write.Conn", // before anything is read, and on PostgreSQL
		"retention.go": "db.write.Conn",                                           // on PostgreSQL
		"limit.go":     "db.write.QueryRowContext",                                // on PostgreSQL, where nothing is remembered
		"bulk.go":      "db.write.PrepareContext",                                 // runs nothing
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := string(bytes.Join(use.FindAll(text, -1), []byte(" "))); !strings.HasSuffix(name, "_test.go") && found != allowed[name] {
			t.Errorf("%s uses %q: change rows in a transaction of Write", name, found)
		}
	}
}
