package store_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"

	"agentstudio/internal/fault"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

func insertUser(tx *sql.Tx, id string) error {
	_, err := tx.Exec(`INSERT INTO users (id, email, created_at, updated_at) VALUES ($1, $2, $3, $3)`, id, id+"@x.test", int64(1))
	return err
}

func countUsers(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	if err := db.Read().QueryRow(`SELECT COUNT(*) FROM users WHERE is_active = $1`, true).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWriteCommitsOrRollsBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		if err := db.Write(ctx, func(tx *sql.Tx) error { return insertUser(tx, "a") }); err != nil {
			t.Fatal(err)
		}
		boom := errors.New("boom")
		err := db.Write(ctx, func(tx *sql.Tx) error {
			return errors.Join(insertUser(tx, "b"), boom)
		})
		if !errors.Is(err, boom) {
			t.Fatalf("error = %v, want the callback's", err)
		}
		func() {
			defer func() { _ = recover() }()
			_ = db.Write(ctx, func(tx *sql.Tx) error {
				_ = insertUser(tx, "c")
				panic("in the middle")
			})
		}()
		if n := countUsers(t, db); n != 1 {
			t.Fatalf("users = %d, want the committed one only", n)
		}
		if err := db.Ping(ctx); err != nil {
			t.Fatalf("ping: %v", err)
		}
	})
}

func TestConcurrentWritesAllArrive(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const n = 20
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				errs[i] = db.Write(context.Background(), func(tx *sql.Tx) error { return insertUser(tx, string(rune('a'+i))) })
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if got := countUsers(t, db); got != n {
			t.Fatalf("users = %d, want %d", got, n)
		}
	})
}

func TestForeignKeysAreEnforced(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		err := db.Write(context.Background(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT INTO members (workspace_id, user_id, role, joined_at) VALUES ('w', 'u', 'owner', 1)`)
			return err
		})
		if err == nil {
			t.Fatal("a member of no workspace was accepted")
		}
	})
}

func TestReadPoolOfSQLiteRefusesToWrite(t *testing.T) {
	db := storetest.SQLite(t)
	if _, err := db.Read().Exec(`DELETE FROM users`); err == nil {
		t.Fatal("the read pool wrote")
	}
}

func TestSecondProcessIsRefusedWithASentence(t *testing.T) {
	dir := t.TempDir()
	first := storetest.Open(t, store.Config{DataDir: dir})
	_, err := store.Open(context.Background(), store.Config{DataDir: dir})
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "another Agent Studio") {
		t.Fatalf("error = %v, want a conflict that says who holds the directory", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	storetest.Open(t, store.Config{DataDir: dir})
}

func TestReopeningKeepsDataAndMigratesNothing(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Write(ctx, func(tx *sql.Tx) error { return insertUser(tx, "a") }); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if n := countUsers(t, storetest.Open(t, store.Config{DataDir: dir})); n != 1 {
		t.Fatalf("users = %d, want 1", n)
	}
}

func TestReplicasMigrateOneAtATime(t *testing.T) {
	url := storetest.PostgresURL(t)
	if err := dropEverything(url); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			db, err := store.Open(context.Background(), store.Config{URL: url, MaxConns: 3})
			if err == nil {
				err = db.Close()
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func dropEverything(url string) error {
	raw, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer raw.Close()
	_, err = raw.Exec(`DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	return err
}

func TestDatabaseThatIsNotThereIsUnavailable(t *testing.T) {
	_, err := store.Open(context.Background(), store.Config{URL: "postgres://nobody@127.0.0.1:1/none?connect_timeout=1"})
	if !fault.Is(err, fault.Unavailable) {
		t.Fatalf("error = %v, want unavailable", err)
	}
}

func TestBadConfigurationNeverRepeatsThePassword(t *testing.T) {
	for _, url := range []string{"mysql://u:hunter2@h/d", "postgres://u:hunter2@h:notaport/d"} {
		_, err := store.Open(context.Background(), store.Config{URL: url})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error = %v", url, err)
		}
	}
	if _, err := store.Open(context.Background(), store.Config{}); err == nil {
		t.Error("no data directory was accepted")
	}
}
