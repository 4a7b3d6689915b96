package store_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/mcp"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/workspace"
)

func TestMCPServersKeepTheirStateWithinAnEpoch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		team(t, db)
		ctx, s := context.Background(), store.NewMCPServers(db)
		now := time.UnixMilli(5000).UTC()
		act := workspace.Activity{WorkspaceID: "w", UserID: "u", Action: "mcp_server.created", At: now}
		made := func(id, name string) *mcp.Server {
			return &mcp.Server{ID: id, WorkspaceID: "w", UserID: "u", Version: 1, Epoch: 1, CreatedAt: now, UpdatedAt: now,
				Definition: mcp.Definition{Name: name, Transport: mcp.HTTP, URL: "https://x"}, State: mcp.State{Status: mcp.Disconnected, SeenAt: now}}
		}
		for _, m := range []*mcp.Server{made("a", "A"), made("b", "B")} {
			if err := s.Insert(ctx, m, 2, act); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Insert(ctx, made("c", "A"), 9, act); !fault.Is(err, fault.Conflict) {
			t.Errorf("a name was given twice: %v", err)
		}
		if err := s.Insert(ctx, made("c", "C"), 2, act); !fault.Is(err, fault.Conflict) {
			t.Errorf("more than the most were kept: %v", err)
		}
		connected := mcp.State{Status: mcp.Connected, LastConnectedAt: now, SeenAt: now, Capabilities: json.RawMessage(`{"tools":{}}`), Tools: []mcp.Tool{{Name: "t", InputSchema: json.RawMessage(`{}`)}}}
		note := func(epoch int64, st mcp.State) *mcp.Server {
			t.Helper()
			if err := s.Note(ctx, "a", epoch, st); err != nil {
				t.Fatal(err)
			}
			m, err := s.Named(ctx, "w", "A")
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		if m := note(1, connected); m.Status != mcp.Connected || len(m.Tools) != 1 || !m.LastConnectedAt.Equal(now) {
			t.Errorf("it is %+v", m)
		}
		if m := note(1, mcp.State{Status: mcp.Failed, LastError: "gone", SeenAt: now}); m.LastError != "gone" || len(m.Tools) != 1 {
			t.Errorf("it is %+v", m)
		}
		if m := note(1, mcp.State{Status: mcp.Connecting, SeenAt: now}); m.LastError != "gone" || m.Status != mcp.Connecting {
			t.Errorf("it is %+v", m)
		}
		if err := s.Disconnect(ctx, "w", "a", act); err != nil {
			t.Fatal(err)
		}
		if m := note(1, connected); m.Status != mcp.Disconnected || m.Epoch != 2 {
			t.Errorf("a connection of before tells: %+v", m)
		}
		if epochs, err := s.Seen(ctx, []string{"a", "b", "z"}, now.Add(time.Hour)); err != nil || len(epochs) != 2 || epochs["a"] != 2 || epochs["b"] != 1 {
			t.Errorf("epochs are %v (%v)", epochs, err)
		}
		m, err := s.Find(ctx, "w", "a")
		if err != nil {
			t.Fatal(err)
		}
		m.Version, m.Name = 2, "B"
		if err := s.Save(ctx, m, act); !fault.Is(err, fault.Conflict) {
			t.Errorf("it took a name that is taken: %v", err)
		}
		m.Name = "A2"
		if err := s.Save(ctx, m, act); err != nil || m.Epoch != 3 {
			t.Errorf("saved in epoch %d (%v)", m.Epoch, err)
		}
		if err := s.Save(ctx, m, act); !fault.Is(err, fault.Stale) {
			t.Errorf("an old version was taken: %v", err)
		}
		if _, err := s.Find(ctx, "other", "a"); !fault.Is(err, fault.NotFound) {
			t.Errorf("another workspace finds it: %v", err)
		}
		items, total, err := s.List(ctx, "w", mcp.Filter{Query: "A", Transport: mcp.HTTP, Sort: "name", Limit: 10})
		if err != nil || total != 1 || items[0].Name != "A2" {
			t.Errorf("listed %+v, %d (%v)", items, total, err)
		}
		if err := s.Delete(ctx, "w", "a", 7, act); !fault.Is(err, fault.Stale) {
			t.Errorf("another version was deleted: %v", err)
		}
		if err := s.Delete(ctx, "w", "a", 2, act); err != nil {
			t.Error(err)
		}
	})
}
