// Package storetest gives tests a database of their own, on SQLite and on a
// real PostgreSQL.
package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver named "pgx"

	"agentstudio/internal/store"
)

// Each runs the test twice, as subtests named for the engine, each time with
// an empty, migrated database that is closed and dropped afterwards.
func Each(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// SQLite opens an empty, migrated database in a directory of the test's own.
func SQLite(t testing.TB) *store.DB {
	t.Helper()
	return Open(t, store.Config{DataDir: t.TempDir()})
}

// Postgres opens an empty, migrated PostgreSQL database that is dropped when
// the test ends.
func Postgres(t testing.TB) *store.DB {
	t.Helper()
	return Open(t, store.Config{URL: PostgresURL(t), MaxConns: 8})
}

// Open opens the database of the Config and closes it when the test ends.
func Open(t testing.TB, cfg store.Config) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), cfg)
	if err != nil {
		t.Fatalf("open database: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return db
}

// PostgresURL returns the address of an empty, migrated PostgreSQL database
// that is dropped when the test ends. It uses the server of TEST_DATABASE_URL,
// else one started for this test binary.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server, err := postgres()
	if err != nil {
		t.Fatalf("%v", err)
	}
	name := "t_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if err := admin(server.address, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, server.template)); err != nil {
		t.Fatalf("create database: %v", err)
	}
	t.Cleanup(func() {
		if err := admin(server.address, fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name)); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	return withDatabase(server.address, name)
}

// postgres finds or starts the server and migrates the template that tests
// copy, once per test binary.
var postgres = sync.OnceValues(prepare)

type prepared struct {
	address, template string
	keep              io.Closer // open for as long as the server shall run
}

func prepare() (prepared, error) {
	server := os.Getenv("TEST_DATABASE_URL")
	var keep io.Closer
	if server == "" {
		var err error
		if server, keep, err = startPostgres(); err != nil {
			return prepared{}, err
		}
	}
	template := "template_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if err := admin(server, "CREATE DATABASE "+template); err != nil {
		return prepared{}, fmt.Errorf("create the template database on %s: %w", redacted(server), err)
	}
	db, err := store.Open(context.Background(), store.Config{URL: withDatabase(server, template)})
	if err != nil {
		return prepared{}, fmt.Errorf("migrate the template database: %w", err)
	}
	return prepared{address: server, template: template, keep: keep}, db.Close()
}

func admin(server, statement string) error {
	db, err := sql.Open("pgx", server)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(statement)
	return err
}

func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(fmt.Sprintf("TEST_DATABASE_URL cannot be read: %v", err))
	}
	u.Path = "/" + name
	return u.String()
}

func redacted(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return "TEST_DATABASE_URL"
	}
	return u.Redacted()
}
