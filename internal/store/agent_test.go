package store_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/agent"
	"agentstudio/internal/fault"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/workspace"
)

func team(t *testing.T, db *store.DB) {
	t.Helper()
	err := db.Write(context.Background(), func(tx *sql.Tx) error {
		if err := insertUser(tx, "u"); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO workspaces (id, name, slug, created_by, created_at, updated_at) VALUES ('w', 'W', 'w', 'u', 1, 1)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func allow(agent.Graph) error { return nil }

func TestChangesOfAgentsSeeEachOther(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		team(t, db)
		ctx, s := context.Background(), store.NewAgents(db)
		act := workspace.Activity{WorkspaceID: "w", UserID: "u", Action: "agent.created", At: time.Now()}
		insert := func(id string) *agent.Agent {
			a := &agent.Agent{ID: id, WorkspaceID: "w", UserID: "u", Version: 1, Definition: agent.Definition{Name: id, Tags: []string{"t"}}}
			if err := s.Insert(ctx, a, 3, allow, act); err != nil {
				t.Fatal(err)
			}
			return a
		}
		a, b := insert("a"), insert("b")
		// Each names the other at the same moment: whoever is second sees the first.
		var both sync.WaitGroup
		refused := make([]error, 2)
		for i, pair := range [][2]*agent.Agent{{a, b}, {b, a}} {
			both.Go(func() {
				from, to := *pair[0], pair[1].ID
				from.SubAgents, from.Version = []string{to}, 2
				refused[i] = s.Save(ctx, &from, func(g agent.Graph) error {
					if len(g[to].SubAgents) > 0 {
						return fault.New(fault.Invalid, "a circle")
					}
					return nil
				}, act)
			})
		}
		both.Wait()
		if (refused[0] == nil) == (refused[1] == nil) {
			t.Fatalf("both were treated alike: %v", refused)
		}
		if err := s.Save(ctx, a, allow, act); !fault.Is(err, fault.Stale) {
			t.Errorf("an old version was taken: %v", err)
		}
		if err := s.Delete(ctx, "w", "a", 7, allow, act); !fault.Is(err, fault.Stale) {
			t.Errorf("another version was deleted: %v", err)
		}
		insert("c")
		if err := s.Insert(ctx, &agent.Agent{ID: "d", WorkspaceID: "w", Version: 1}, 3, allow, act); !fault.Is(err, fault.Conflict) {
			t.Errorf("more than the most were kept: %v", err)
		}
		missing, err := s.Missing(ctx, "w", []string{"a", "d"})
		if err != nil || len(missing) != 1 || missing[0] != "d" {
			t.Errorf("missing %v (%v)", missing, err)
		}
		if _, err := s.Find(ctx, "other", "a"); !fault.Is(err, fault.NotFound) {
			t.Errorf("another workspace finds it: %v", err)
		}
		if err := s.Delete(ctx, "w", "c", 1, allow, act); err != nil {
			t.Error(err)
		}
		if _, total, err := s.List(ctx, "w", agent.Filter{Tags: []string{"t"}, Limit: 1}); err != nil || total != 2 {
			t.Errorf("%d are left (%v)", total, err)
		}
	})
}
