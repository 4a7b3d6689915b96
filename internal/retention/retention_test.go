package retention_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/retention"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

var today = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func exec(t *testing.T, db *store.DB, text string, args ...any) {
	t.Helper()
	if err := db.Write(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(text, args...); return err }); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, db *store.DB, text string, args ...any) (n int) {
	t.Helper()
	if err := db.Read().QueryRowContext(t.Context(), text, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// room is a workspace with two workflows, of which one keeps executions for
// three days.
func room(t *testing.T, db *store.DB) {
	exec(t, db, `INSERT INTO users (id, email, created_at, updated_at) VALUES ('u', 'u@x.test', 1, 1)`)
	exec(t, db, `INSERT INTO workspaces (id, name, slug, created_by, created_at, updated_at) VALUES ('w', 'W', 'w', 'u', 1, 1)`)
	for id, days := range map[string]int{"plain": 0, "short": 3} {
		exec(t, db, `INSERT INTO workflows (id, workspace_id, user_id, name, description, search, status, tags, node_count, trigger_kinds, version, parent_workflow_id, created_at, updated_at, retention_days)
			VALUES ($1, 'w', 'u', $1, '', '', 'draft', '[]', 0, '[]', 1, NULL, 1, 1, $2)`, id, days)
	}
}

// execute stores an execution of one node that ended so many days ago, with a
// large output when hash is set; days of -1 are still running.
func execute(t *testing.T, db *store.DB, id, workflow string, days int, hash string) {
	status, ended := "completed", today.AddDate(0, 0, -days).UnixMilli()
	if days < 0 {
		status, ended = "running", 0
	}
	exec(t, db, `INSERT INTO executions (id, workspace_id, workflow_id, workflow_name, workflow_version, user_id, status, trigger_type, start_node, trigger_data, created_at, completed_at)
		VALUES ($1, 'w', $2, '', 1, 'u', $3, 'manual', '', '{}', $4, $5)`, id, workflow, status, today.AddDate(0, 0, -100).UnixMilli(), ended)
	exec(t, db, `INSERT INTO node_executions (execution_id, iteration, node_id, id, kind, title, attempt, status, handles, output, output_ref, error, usage, wait, started_at, completed_at)
		VALUES ($1, '', 'n', $1, 'set', '', 1, 'completed', '', '', $2, '', '', '', 1, 1)`, id, hash)
	exec(t, db, `INSERT INTO execution_events (execution_id, last_seq, events) VALUES ($1, 1, '[]')`, id)
}

func payload(t *testing.T, db *store.DB, hash string, written time.Time) {
	exec(t, db, `INSERT INTO payloads (workspace_id, hash, size, data, created_at) VALUES ('w', $1, 1, '1', $2)`, hash, written.UnixMilli())
}

func keeper(db *store.DB, days int) *retention.Keeper {
	return retention.New(store.NewRetention(db), retention.Config{Days: days, Step: 2, Pause: time.Microsecond, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return today }})
}

func TestFinishedExecutionsGoWhenTheirTimeIsUp(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		room(t, db)
		long := today.AddDate(0, 0, -60)
		for _, hash := range []string{"shared", "lonely"} {
			payload(t, db, hash, long)
		}
		payload(t, db, "fresh", today)
		for i := range 5 {
			execute(t, db, fmt.Sprintf("old-%d", i), "plain", 31, "lonely")
		}
		execute(t, db, "old-shared", "plain", 40, "shared")
		execute(t, db, "young", "plain", 29, "shared")
		execute(t, db, "running", "plain", -1, "")
		execute(t, db, "short-old", "short", 4, "")
		execute(t, db, "short-young", "short", 2, "")
		execute(t, db, "orphan", "deleted workflow", 35, "")
		execute(t, db, "followed", "plain", 50, "")
		exec(t, db, `INSERT INTO follow_ups (id, workspace_id, source_id, workflow_id, version, node_id, due_at) VALUES ('f', 'w', 'followed', 'plain', 1, '', 1)`)

		removed, err := keeper(db, 30).Round(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if removed.Executions != 8 || removed.Payloads != 1 {
			t.Errorf("removed %+v, want 8 executions and 1 payload", removed)
		}
		for _, id := range []string{"young", "running", "short-young", "followed"} {
			if count(t, db, `SELECT count(*) FROM executions WHERE id = $1`, id) != 1 || count(t, db, `SELECT count(*) FROM node_executions WHERE execution_id = $1`, id) != 1 {
				t.Errorf("%s is gone", id)
			}
		}
		if n := count(t, db, `SELECT count(*) FROM executions`); n != 4 {
			t.Errorf("%d executions are left", n)
		}
		for _, table := range []string{"node_executions", "execution_events"} {
			if n := count(t, db, `SELECT count(*) FROM `+table); n != 4 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
		if n := count(t, db, `SELECT count(*) FROM payloads WHERE hash IN ('shared', 'fresh')`); n != 2 {
			t.Error("a payload that is in use, or was just written, is gone")
		}
	})
}

func TestNothingGoesWhenExecutionsAreKeptForEver(t *testing.T) {
	db := storetest.SQLite(t)
	room(t, db)
	execute(t, db, "ancient", "plain", 90, "")
	execute(t, db, "short-old", "short", 4, "")
	if removed, err := keeper(db, 0).Round(t.Context()); err != nil || removed.Executions != 1 {
		t.Errorf("removed %+v (%v), want the one whose workflow says so", removed, err)
	}
}

func TestOneProcessCleansUpAtATime(t *testing.T) {
	db := storetest.Postgres(t)
	s := store.NewRetention(db)
	ran, err := s.Alone(t.Context(), func(ctx context.Context) error {
		second, err := s.Alone(ctx, func(context.Context) error { return nil })
		if second {
			t.Error("two cleaned up at once")
		}
		return err
	})
	if err != nil || !ran {
		t.Fatal(ran, err)
	}
	if ran, err := s.Alone(t.Context(), func(context.Context) error { return nil }); err != nil || !ran {
		t.Error("the lock was not given back", err)
	}
}

// A large value that is written again while nothing refers to it any more must
// not be collected before the commit that refers to it.
func TestAPayloadWrittenAgainCountsAsNew(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		payload(t, db, "again", today.AddDate(0, 0, -60))
		s := store.NewExecutions(db, nil, func() time.Time { return today })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()
		x := execution.Execution{ID: "x", WorkspaceID: "w", WorkflowID: "plain", Status: execution.Pending, TriggerType: "manual", TriggerData: []byte("{}"), CreatedAt: today, Epoch: 1, Worker: "local"}
		if _, _, err := s.Create(ctx, execution.New{Execution: x}); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(ctx, execution.Commit{WorkspaceID: "w", ExecutionID: "x", Epoch: 1, Head: &execution.Head{Status: execution.Running},
			Payloads: []execution.Payload{{Hash: "again", Data: []byte("1")}, {Hash: "again", Data: []byte("1")}}}); err != nil {
			t.Fatal(err)
		}
		if removed, err := keeper(db, 30).Round(t.Context()); err != nil || removed.Payloads != 0 {
			t.Errorf("removed %+v (%v)", removed, err)
		}
	})
}
