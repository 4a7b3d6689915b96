package api_test

import (
	"context"
	"testing"
	"time"

	"agentstudio/internal/api"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"

	"github.com/jackc/pgx/v5"
)

// A lock is the one way to make PostgreSQL keep its connections and answer
// nothing that a test can take and give back.
func TestReadsEndWhenTheDatabaseKeepsConnectionsAndAnswersNothing(t *testing.T) {
	url := storetest.PostgresURL(t)
	s := openOn(t, storetest.Open(t, store.Config{URL: url, MaxConns: 4}), options{config: func(c *api.Config) { c.ReadTime = 300 * time.Millisecond }})
	w := s.team()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	connect := func() *pgx.Conn {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	conn, other := connect(), connect()
	defer func() { _ = conn.Close(ctx); _ = other.Close(ctx) }()
	for name, table := range map[string]string{"what is asked for": "workflows", "who asks": "sessions"} {
		tx, err := conn.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(ctx, `LOCK TABLE `+table+` IN ACCESS EXCLUSIVE MODE`); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Exec(ctx, `SELECT pg_current_xact_id()`); err != nil { // a change: nothing that was read holds any more
			t.Fatal(err)
		}
		for range 5 { // more than there are connections: each is given back
			s.do("GET", "/workflows?workspace_id="+w.id, w.editor.token, nil).problem(503, "unavailable")
		}
		if err := tx.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		s.do("GET", "/workflows?workspace_id="+w.id, w.editor.token, nil).expect(200)
		t.Log(name, "was waited for and given up")
	}
}
