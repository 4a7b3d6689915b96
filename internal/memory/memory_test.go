package memory_test

import (
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/file/filetest"
	"agentstudio/internal/memory"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

// notes runs a test on both databases, with the workspaces w1 and w2.
func notes(t *testing.T, test func(t *testing.T, s *memory.Service, db *store.DB)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		filetest.Workspace(t, db, "w1")
		filetest.Workspace(t, db, "w2")
		now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
		var mu sync.Mutex
		tick := func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(time.Second)
			return now
		}
		test(t, memory.NewService(store.NewMemories(db), memory.Config{NewID: filetest.IDs(), Now: tick}), db)
	})
}

func keys(found []memory.Found) string {
	var out []string
	for _, f := range found {
		out = append(out, f.Key)
	}
	return strings.Join(out, " ")
}

func TestWhatWasSavedIsFoundByItsWords(t *testing.T) {
	notes(t, func(t *testing.T, s *memory.Service, _ *store.DB) {
		at := memory.Scope{WorkspaceID: "w1", AgentID: "a"}
		for key, text := range map[string]string{
			"billing":  "Ann wants invoices by e-mail, never on paper.",
			"meeting":  "The weekly meeting is on Tuesday at ten.",
			"coffee":   "Ann drinks her coffee black. Bob drinks tea, and tea again.",
			"größe":    "Der Kunde trägt Größe 42 und mag Überraschungen.",
			"tokyo":    "東京タワーは高さ333メートルです。",
			"passages": strings.Repeat("filler words that say nothing ", 30) + "coffee",
		} {
			if _, err := s.Save(t.Context(), at, key, text); err != nil {
				t.Fatal(err)
			}
		}
		for query, want := range map[string]string{
			"invoice":             "billing", // another form of the word
			"When is the MEETING": "meeting",
			"coffee":              "coffee passages", // the shorter one first
			"tea":                 "coffee",
			"ÜBERRASCHUNG":        "größe",
			"東京":                  "tokyo",
			"submarine":           "",
			"billing":             "billing", // the key counts too
			"%' OR 1=1 --":        "",
		} {
			found, err := s.Search(t.Context(), at, query, 2)
			if got := keys(found); err != nil || got != want && !strings.HasPrefix(got, want+" ") || want == "" && got != "" {
				t.Errorf("%q found %q, %v; want %q", query, got, err, want)
			}
		}
		if found, err := s.Search(t.Context(), at, " ?! ", 50); err != nil || len(found) != 6 {
			t.Errorf("without words %d are found, %v", len(found), err)
		}
	})
}

func TestAKeyHoldsOneNote(t *testing.T) {
	notes(t, func(t *testing.T, s *memory.Service, db *store.DB) {
		at := memory.Scope{WorkspaceID: "w1", AgentID: "a"}
		first, err := s.Save(t.Context(), at, "colour", "red")
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if _, err := s.Save(t.Context(), at, " colour ", fmt.Sprintf("blue number %d", i)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		m, err := s.Recall(t.Context(), at, "colour")
		if err != nil || m.ID != first.ID || !strings.HasPrefix(m.Text, "blue") || !m.UpdatedAt.After(m.CreatedAt) {
			t.Errorf("recalled %+v, %v", m, err)
		}
		if found, err := s.Search(t.Context(), at, "red", 5); err != nil || len(found) != 0 {
			t.Errorf("the old text is found: %v, %v", found, err)
		}
		if err := s.Forget(t.Context(), at, "colour"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recall(t.Context(), at, "colour"); !fault.Is(err, fault.NotFound) {
			t.Errorf("recalled what was forgotten: %v", err)
		}
		if err := s.Forget(t.Context(), at, "colour"); !fault.Is(err, fault.NotFound) {
			t.Errorf("forgot twice: %v", err)
		}
		var left int
		if err := db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM memory_terms`).Scan(&left); err != nil || left != 0 {
			t.Errorf("%d words are left, %v", left, err)
		}
	})
}

func TestNobodyRemembersWhatIsAnothers(t *testing.T) {
	notes(t, func(t *testing.T, s *memory.Service, _ *store.DB) {
		own, shared := memory.Scope{WorkspaceID: "w1", AgentID: "a"}, memory.Scope{WorkspaceID: "w1"}
		for at, text := range map[memory.Scope]string{own: "own secret", shared: "shared secret", {WorkspaceID: "w1", AgentID: "b"}: "secret of b", {WorkspaceID: "w2", AgentID: "a"}: "secret of w2", {WorkspaceID: "w2"}: "shared secret of w2"} {
			if _, err := s.Save(t.Context(), at, "k", text); err != nil {
				t.Fatal(err)
			}
		}
		found, err := s.Search(t.Context(), own, "secret", 10)
		if err != nil || len(found) != 2 {
			t.Fatalf("found %+v, %v", found, err)
		}
		for _, f := range found {
			if f.Text != "own secret" && f.Text != "shared secret" {
				t.Errorf("found %q", f.Text)
			}
		}
		if m, err := s.Recall(t.Context(), own, "k"); err != nil || m.Text != "own secret" {
			t.Errorf("recalled %+v, %v", m, err)
		}
		if _, total, err := s.List(t.Context(), shared, 10, 0); err != nil || total != 1 {
			t.Errorf("%d are shared, %v", total, err)
		}
		if err := s.Forget(t.Context(), own, "k"); err != nil {
			t.Fatal(err)
		}
		if m, err := s.Recall(t.Context(), own, "k"); err != nil || m.Text != "shared secret" {
			t.Errorf("recalled %+v, %v", m, err)
		}
		if err := s.Forget(t.Context(), own, "k"); !fault.Is(err, fault.NotFound) {
			t.Errorf("an agent forgot for all: %v", err)
		}
	})
}

func TestMemoriesAreBounded(t *testing.T) {
	notes(t, func(t *testing.T, s *memory.Service, db *store.DB) {
		at := memory.Scope{WorkspaceID: "w1"}
		for name, c := range map[string][2]string{"no key": {" ", "t"}, "no text": {"k", ""}, "a long key": {strings.Repeat("k", 201), "t"}, "a long text": {"k", strings.Repeat("t", 8001)},
			"two lines": {"a\nb", "t"}, "a NUL": {"k", "a\x00b"}, "no text at all": {"k", "\xff\xfe"}} {
			if _, err := s.Save(t.Context(), at, c[0], c[1]); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := s.Save(t.Context(), at, strings.Repeat("ü", 200), strings.Repeat("ü ", 4000)); err != nil {
			t.Errorf("the most there may be: %v", err)
		}
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			for i := range memory.MaxPerOne - 1 {
				if _, err := tx.Exec(`INSERT INTO memories (id, workspace_id, agent_id, key, text, words, created_at, updated_at) VALUES ($1, 'w1', '', $1, 'x', 1, 1, 1)`, fmt.Sprintf("n%d", i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Save(t.Context(), at, "one more", "x"); !fault.Is(err, fault.Conflict) || fault.As(err).Code != "memory_full" {
			t.Errorf("one too many: %v", err)
		}
		if _, err := s.Save(t.Context(), at, "n7", "x anew"); err != nil {
			t.Errorf("over one that is there: %v", err)
		}
	})
}
