package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/app"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/workflow"
)

// serving is a studio that serves until the test ends.
func serving(t *testing.T) (*app.App, access.Actor) {
	t.Helper()
	studio, err := app.Open(t.Context(), settings(t.TempDir()), app.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- studio.Serve(ctx, l, func() { close(started) }) }()
	<-started
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := studio.Close(); err != nil {
			t.Error(err)
		}
	})
	by, err := studio.Operator(t.Context(), "you@studio.local")
	if err != nil {
		t.Fatal(err)
	}
	return studio, by
}

// flow saves a workflow and publishes it.
func flow(t *testing.T, studio *app.App, by access.Actor, text string, publish bool) string {
	t.Helper()
	d, err := studio.Codec.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	w, err := studio.Workflows.Create(t.Context(), by, by.Personal, d)
	if err != nil {
		t.Fatal(err)
	}
	if publish {
		if _, err := studio.Workflows.SetStatus(t.Context(), by, w.ID, "", workflow.Published); err != nil {
			t.Fatalf("%+v", err)
		}
	}
	return w.ID
}

// completed waits for an execution of a workflow to complete.
func completed(t *testing.T, studio *app.App, by access.Actor, sub event.Subscription, workflowID string) *execution.Execution {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		page, err := studio.Executions.List(t.Context(), by, by.Personal, execution.Filter{WorkflowID: workflowID, Status: execution.Completed, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) > 0 {
			x, err := studio.Executions.Find(t.Context(), by, page.Items[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		select {
		case <-sub.C():
		case <-deadline:
			t.Fatalf("no execution of %s has completed", workflowID)
		}
	}
}

func TestServedStudioStartsWorkflowsByItself(t *testing.T) {
	studio, by := serving(t)
	sub := studio.Bus.Subscribe(event.WorkspaceRoom(by.Personal))
	defer sub.Close()
	ticking := flow(t, studio, by, "name: ticking\nnodes:\n- {id: in, kind: schedule-trigger, config: {every: 1s}}\n", true)
	x := completed(t, studio, by, sub, ticking)
	if x.TriggerType != "schedule" || x.UserID != "" || !strings.Contains(string(x.Output), `"every":"1s"`) {
		t.Errorf("got %+v: %s", x, x.Output)
	}

	alarm := flow(t, studio, by, "name: alarm\nnodes:\n- {id: in, kind: manual-trigger}\n- {id: say, kind: set, config: {values: {text: '{{ trigger.workflow_name }}: {{ trigger.error.message }}'}}}\nconnections:\n- {source: in, target: say}\n", true)
	failing := flow(t, studio, by, "name: failing\nsettings: {error_workflow: "+alarm+"}\nnodes:\n- {id: in, kind: manual-trigger}\n- {id: no, kind: stop, config: {status: failed, message: out of paper}}\nconnections:\n- {source: in, target: no}\n", false)
	failed, _, err := studio.Executions.Start(t.Context(), by, execution.StartInput{WorkspaceID: by.Personal, WorkflowID: failing})
	if err != nil {
		t.Fatal(err)
	}
	if x := completed(t, studio, by, sub, alarm); x.TriggerType != "event" || x.ParentID != failed.ID || string(x.Output) != `{"text":"failing: out of paper"}` {
		t.Errorf("got %+v: %s", x, x.Output)
	}

	waiting := flow(t, studio, by, "name: waiting\nnodes:\n- {id: in, kind: file-trigger, config: {path: 'reports/*.json'}}\n- {id: read, kind: file, config: {operation: read, path: '{{ trigger.path }}'}}\nconnections:\n- {source: in, target: read}\n", true)
	writing := flow(t, studio, by, "name: writing\nnodes:\n- {id: in, kind: manual-trigger}\n- {id: write, kind: file, config: {operation: write, path: reports/today.json, content: {n: 1}}}\nconnections:\n- {source: in, target: write}\n", false)
	if _, _, err := studio.Executions.Start(t.Context(), by, execution.StartInput{WorkspaceID: by.Personal, WorkflowID: writing}); err != nil {
		t.Fatal(err)
	}
	x = completed(t, studio, by, sub, waiting)
	var out map[string]any
	if err := json.Unmarshal(x.Output, &out); err != nil || x.TriggerType != "file" || out["path"] != "reports/today.json" {
		t.Errorf("got %+v: %s (%v)", x, x.Output, err)
	}
}
