package trigger_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/bus/memory"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/node"
	"agentstudio/internal/node/builtin"
	"agentstudio/internal/store"
	"agentstudio/internal/trigger"
	"agentstudio/internal/workflow"

	"github.com/google/uuid"
)

func system() access.Actor { return access.SystemActor("test") }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newID() string { return uuid.Must(uuid.NewV7()).String() }

var kinds = sync.OnceValue(func() *node.Kinds { return node.NewKinds(builtin.Kinds(builtin.Deps{})...) })

// clock is a time that the test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// tickets counts what is announced.
type tickets struct {
	mu  sync.Mutex
	all []execution.Ticket
}

func (t *tickets) Announce(more ...execution.Ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, more...)
}

// replica is a process of the studio without its engine: the triggers, what
// they start executions with, and the tables.
type replica struct {
	t         *testing.T
	db        *store.DB
	bus       *memory.Bus
	flows     *store.Workflows
	runs      *store.Executions
	Workflows *workflow.Service
	runner    *trigger.Runner
	announced *tickets
}

const workspaceID = "00000000-0000-7000-8000-000000000001"

// newReplica opens a replica on a database. Executions that are handed in are
// written until the test ends.
func newReplica(t *testing.T, db *store.DB, now func() time.Time) *replica {
	t.Helper()
	return newReplicaThat(t, db, nil, now)
}

// newReplicaThat is newReplica with a queue of dispatch entries.
func newReplicaThat(t *testing.T, db *store.DB, enqueue store.Enqueuer, now func() time.Time) *replica {
	t.Helper()
	r := &replica{t: t, db: db, bus: memory.New(64), announced: &tickets{}}
	kinds := kinds()
	r.flows = store.NewWorkflows(db, kinds)
	r.runs = store.NewExecutions(db, enqueue, now)
	library := workflow.NewLibrary(r.flows, kinds, 0)
	r.Workflows = workflow.NewService(r.flows, kinds, library, r.bus, workflow.Config{NewID: newID, Now: now})
	executions := execution.NewService(r.runs, library, r.announced, r.bus, execution.Config{NewID: newID, Now: now})
	r.runner = trigger.New(r.runs, executions, r.bus, trigger.Config{Now: now, Log: discard(), Armed: r.flows.Armed(), Followed: r.runs.Followed()})
	ctx, cancel := context.WithCancel(context.Background())
	written := make(chan error, 1)
	go func() { written <- r.runs.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
	return r
}

// room makes the workspace that the test's workflows live in.
func room(t *testing.T, db *store.DB) {
	t.Helper()
	exec(t, db, `INSERT INTO users (id, email, created_at, updated_at) VALUES ('u', 'a@x.test', 0, 0)`)
	exec(t, db, `INSERT INTO workspaces (id, name, slug, created_by, created_at, updated_at) VALUES ($1, 'Room', 'room', 'u', 0, 0)`, workspaceID)
}

func exec(t *testing.T, db *store.DB, text string, args ...any) {
	t.Helper()
	if err := db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), text, args...)
		return err
	}); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// query reads rows of texts.
func query(t *testing.T, db *store.DB, text string, args ...any) [][]string {
	t.Helper()
	rows, err := db.Read().QueryContext(t.Context(), text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for rows.Next() {
		row, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		texts := make([]string, len(row))
		for i := range row {
			texts[i] = row[i].String
		}
		out = append(out, texts)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// create saves a workflow of one trigger; settings may be empty.
func (r *replica) create(kind, config, settings string) string {
	r.t.Helper()
	if settings == "" {
		settings = "{}"
	}
	var d workflow.Definition
	text := fmt.Sprintf(`{"name":"W","settings":%s,"nodes":[{"id":"in","kind":%q,"config":%s}],"connections":[]}`, settings, kind, config)
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		r.t.Fatalf("%s: %v", text, err)
	}
	w, err := r.Workflows.Create(r.t.Context(), system(), workspaceID, &d)
	if err != nil {
		r.t.Fatalf("%s: %+v", text, err)
	}
	return w.ID
}

func (r *replica) set(id string, status workflow.Status) {
	r.t.Helper()
	if _, err := r.Workflows.SetStatus(r.t.Context(), system(), id, "", status); err != nil {
		r.t.Fatalf("%+v", err)
	}
}

// publish creates and publishes a workflow of one trigger.
func (r *replica) publish(kind, config string) string {
	r.t.Helper()
	id := r.create(kind, config, "")
	r.set(id, workflow.Published)
	return id
}

// started lists the executions of a workflow: id, trigger data.
func (r *replica) started(id string) (out []execution.Execution) {
	r.t.Helper()
	for _, row := range query(r.t, r.db, `SELECT id, trigger_data, status, depth, parent_id FROM executions WHERE workflow_id = $1 ORDER BY id`, id) {
		x := execution.Execution{ID: row[0], TriggerData: json.RawMessage(row[1]), Status: execution.Status(row[2]), ParentID: row[4]}
		if _, err := fmt.Sscan(row[3], &x.Depth); err != nil {
			r.t.Fatal(err)
		}
		out = append(out, x)
	}
	return out
}

// end ends an execution as an engine does.
func (r *replica) end(id string, status execution.Status, errorWorkflow string) {
	r.t.Helper()
	x, err := r.runs.Claim(r.t.Context(), id, "test")
	if err != nil {
		r.t.Fatal(err)
	}
	h := &execution.Head{Status: status, StartedAt: x.CreatedAt, CompletedAt: x.CreatedAt.Add(time.Second), Output: json.RawMessage(`{"ok":true}`)}
	if status == execution.Failed {
		h.Output, h.Error = nil, &execution.Error{Code: "broken", Message: "it broke", NodeID: "in"}
	}
	if err := r.runs.Commit(r.t.Context(), execution.Commit{WorkspaceID: workspaceID, ExecutionID: id, Epoch: x.Epoch, Head: h, ErrorWorkflow: errorWorkflow}); err != nil {
		r.t.Fatal(err)
	}
	r.bus.Publish(r.t.Context(), event.Event{Room: event.ExecutionRoom(id), Type: event.ExecutionUpdate, Name: "status_changed"})
}
