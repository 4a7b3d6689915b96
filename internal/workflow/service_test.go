package workflow_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"agentstudio/internal/access"
	"agentstudio/internal/bus/memory"
	"agentstudio/internal/event"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/node/builtin"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/workflow"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func newID() string { return uuid.Must(uuid.NewV7()).String() }

var (
	kinds  = node.NewKinds(builtin.Kinds(builtin.Deps{})...)
	editor = access.Actor{UserID: "u", Email: "u@example.com", Roles: map[string]access.Role{"w1": access.Editor, "w2": access.Owner}}
	viewer = access.Actor{UserID: "v", Roles: map[string]access.Role{"w1": access.Viewer}}
	nobody = access.Actor{UserID: "n", Roles: map[string]access.Role{"w2": access.Owner}}
)

func service(t *testing.T, db *store.DB) (*workflow.Service, *memory.Bus, *workflow.Library) {
	t.Helper()
	err := db.Write(context.Background(), func(tx *sql.Tx) error {
		if _, err := tx.Exec(`INSERT INTO users (id, email, full_name, is_active, is_admin, created_at, updated_at) VALUES ('u', 'u@example.com', '', TRUE, FALSE, 0, 0)`); err != nil {
			return err
		}
		for _, id := range []string{"w1", "w2"} {
			if _, err := tx.Exec(`INSERT INTO workspaces (id, name, slug, created_by, is_personal, created_at, updated_at) VALUES ($1, $1, $1, 'u', FALSE, 0, 0)`, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rows := store.NewWorkflows(db, kinds)
	library := workflow.NewLibrary(rows, kinds, 0)
	bus := memory.New(0)
	return workflow.NewService(rows, kinds, library, bus, workflow.Config{NewID: newID}), bus, library
}

func define(t *testing.T, text string) *workflow.Definition {
	t.Helper()
	d, err := workflow.NewCodec().Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const hook = `
name: Greeter
description: says 100% hello_world
tags: [" Demo ", demo, Fun]
nodes:
  - {id: in, kind: webhook-trigger, config: {path: greet, respond: when-finished}}
  - {id: hello, kind: set, config: {values: {text: "hello {{ trigger.body.name }}"}}}
connections: [{source: in, target: hello}]
`

func TestWorkflowLivesThroughVersionsAndPublishing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s, bus, library := service(t, db)
		sub := bus.Subscribe(event.WorkspaceRoom("w1"))
		defer sub.Close()
		w, err := s.Create(ctx, editor, "w1", define(t, hook))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"demo", "fun"}, w.Definition.Tags); diff != "" {
			t.Fatal(diff)
		}
		if e := <-sub.C(); e.Type != event.WorkflowUpdate || e.Name != "created" {
			t.Fatalf("event: %+v", e)
		}
		name := "Greeter two"
		first := w.ETag()
		w, err = s.Update(ctx, editor, w.ID, first, workflow.Patch{Name: &name, Message: "rename"})
		if err != nil || w.Version != 2 {
			t.Fatal(w, err)
		}
		if _, err := s.Update(ctx, editor, w.ID, first, workflow.Patch{Name: &name}); !fault.Is(err, fault.Stale) || !strings.Contains(err.Error(), w.ETag()) {
			t.Fatalf("stale update answered %v", err)
		}
		if same, err := s.Update(ctx, editor, w.ID, "", workflow.Patch{Name: &name}); err != nil || same.Version != 2 {
			t.Fatal("an update that changes nothing made a version", err)
		}
		w, err = s.SetStatus(ctx, editor, w.ID, "", workflow.Published)
		if err != nil || w.PublishedVersion != 2 || len(w.Webhooks) != 1 || w.Webhooks[0].Path != "greet" {
			t.Fatalf("%+v %v", w, err)
		}
		if found, err := s.ArmedWebhook(ctx, "w1", "greet"); err != nil || found.WorkflowID != w.ID || found.Respond != "when-finished" {
			t.Fatal(found, err)
		}
		if v, err := library.Live(ctx, "w1", w.ID); err != nil || v != 2 {
			t.Fatal(v, err)
		}
		again, err := s.Create(ctx, editor, "w1", define(t, hook))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.SetStatus(ctx, editor, again.ID, "", workflow.Published); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "greet") {
			t.Fatalf("two workflows on one path: %v", err)
		}
		w, err = s.Restore(ctx, editor, w.ID, 1)
		if err != nil || w.Version != 3 || w.Definition.Name != "Greeter" || w.PublishedVersion != 2 {
			t.Fatal(w, err)
		}
		diff, err := s.Diff(ctx, viewer, w.ID, 1, 2)
		if err != nil || len(diff.Fields) != 1 || diff.Fields[0].Path != "name" {
			t.Fatal(diff, err)
		}
		versions, total, err := s.Saved(ctx, viewer, w.ID, 2, 0)
		if err != nil || total != 3 || len(versions) != 2 || versions[0].Number != 3 || versions[1].Message != "rename" {
			t.Fatal(versions, total, err)
		}
		if w, err = s.SetStatus(ctx, editor, w.ID, "", workflow.Draft); err != nil || w.PublishedVersion != 0 {
			t.Fatal(w, err)
		}
		if _, err := s.ArmedWebhook(ctx, "w1", "greet"); !fault.Is(err, fault.NotFound) {
			t.Fatalf("disarmed webhook answered %v", err)
		}
		if err := s.Delete(ctx, editor, w.ID, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Find(ctx, editor, w.ID); !fault.Is(err, fault.NotFound) {
			t.Fatal(err)
		}
	})
}

func TestWorkflowListFiltersLiterally(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s, _, _ := service(t, db)
		if _, err := s.Create(ctx, editor, "w1", define(t, hook)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(ctx, editor, "w1", define(t, "name: Other\nnodes: [{id: a, kind: manual-trigger}]\nconnections: []")); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			filter workflow.Filter
			want   int
		}{
			{workflow.Filter{}, 2},
			{workflow.Filter{Query: "GREET"}, 1},
			{workflow.Filter{Query: "100%"}, 1},
			{workflow.Filter{Query: "%"}, 1},
			{workflow.Filter{Query: "_"}, 1},
			{workflow.Filter{Tags: []string{"FUN", "x"}}, 1},
			{workflow.Filter{Tags: []string{"x"}}, 0},
			{workflow.Filter{Status: workflow.Published}, 0},
			{workflow.Filter{Sort: "name"}, 2},
		} {
			c.filter.Limit = 10
			items, total, err := s.List(ctx, viewer, "w1", c.filter)
			if err != nil || total != c.want || len(items) != c.want {
				t.Errorf("%+v: %d of %d, %v", c.filter, len(items), total, err)
			}
		}
		items, _, err := s.List(ctx, viewer, "w1", workflow.Filter{Sort: "name", Limit: 1})
		if err != nil || items[0].Name != "Greeter" || items[0].NodeCount != 2 || items[0].TriggerKinds[0] != "webhook-trigger" {
			t.Fatal(items, err)
		}
		if _, _, err := s.List(ctx, viewer, "w1", workflow.Filter{Sort: "drop table", Limit: 1}); !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	})
}

func TestWorkflowUseCasesAskForTheRole(t *testing.T) {
	ctx := context.Background()
	s, _, _ := service(t, storetest.SQLite(t))
	w, err := s.Create(ctx, editor, "w1", define(t, hook))
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(access.Actor) error{
		"create":    func(a access.Actor) error { _, err := s.Create(ctx, a, "w1", define(t, hook)); return err },
		"update":    func(a access.Actor) error { _, err := s.Update(ctx, a, w.ID, "", workflow.Patch{}); return err },
		"delete":    func(a access.Actor) error { return s.Delete(ctx, a, w.ID, "") },
		"status":    func(a access.Actor) error { _, err := s.SetStatus(ctx, a, w.ID, "", workflow.Archived); return err },
		"restore":   func(a access.Actor) error { _, err := s.Restore(ctx, a, w.ID, 1); return err },
		"duplicate": func(a access.Actor) error { _, err := s.Duplicate(ctx, a, w.ID, "", ""); return err },
	} {
		if err := call(viewer); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s by a viewer: %v", name, err)
		}
		if err := call(nobody); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s by a stranger: %v", name, err)
		}
	}
	if copied, err := s.Duplicate(ctx, editor, w.ID, "", "w2"); err != nil || copied.Definition.Name != "Greeter (Copy)" || copied.ParentWorkflowID != w.ID || copied.WorkspaceID != "w2" {
		t.Fatal(copied, err)
	}
}

func TestBrokenDefinitionsAreRefusedAndFaultyOnesKept(t *testing.T) {
	ctx := context.Background()
	s, _, _ := service(t, storetest.SQLite(t))
	_, err := s.Create(ctx, editor, "w1", define(t, "name: x\nnodes: [{id: a, kind: set}, {id: a, kind: set}]\nconnections: [{source: a, target: zz}, {source: a, target: a}]"))
	if f := fault.As(err); f == nil || f.Kind != fault.Invalid || len(f.Details) != 3 {
		t.Fatalf("got %+v", err)
	}
	w, err := s.Create(ctx, editor, "w1", define(t, "name: x\nnodes: [{id: a, kind: nonsense}]\nconnections: []"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := s.Validate(ctx, viewer, w.ID); err != nil || r.IsValid {
		t.Fatal(r, err)
	}
	if _, err := s.SetStatus(ctx, editor, w.ID, "", workflow.Published); !fault.Is(err, fault.Conflict) {
		t.Fatal(err)
	}
}
