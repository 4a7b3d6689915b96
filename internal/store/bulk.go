package store

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// bulkWriter keeps the prepared statements of multi-row inserts. It serves one
// transaction at a time.
type bulkWriter struct {
	db         *DB
	statements map[string]*sql.Stmt // SQLite only: pgx keeps its own
	inserts    map[insertSize]string
	head       string // updates one execution's row
	rows       *bulk
}

// insertSize names the statement that inserts n rows into a table.
type insertSize struct {
	table      string
	columns, n int
}

// insert returns the text that inserts n rows.
func (w *bulkWriter) insert(r *rows, n int) string {
	size := insertSize{r.table, len(r.columns), n}
	text, known := w.inserts[size]
	if !known {
		text = insertSQL(r, n)
		w.inserts[size] = text
	}
	return text
}

func newBulkWriter(db *DB) *bulkWriter {
	return &bulkWriter{db: db, statements: map[string]*sql.Stmt{}, inserts: map[insertSize]string{}, head: headSQL()}
}

func (w *bulkWriter) close() {
	for text, s := range w.statements {
		_ = s.Close() // nothing to save: the connection closes next
		delete(w.statements, text)
	}
}

// bulk gathers the rows of one transaction, table by table.
type bulk struct {
	writer *bulkWriter
	tx     *sql.Tx

	payloads, executions, special, definitions, nodes, steps, logs, events, asks, approvers rows

	scratch []byte             // what packs of events are written into
	large   map[[2]string]bool // payloads gathered: each is written once
}

// rows are rows of one table, waiting to be inserted together.
type rows struct {
	table, conflict string
	columns         []string
	values          []any
}

// empty forgets the rows and keeps their memory.
func (r *rows) empty() {
	clear(r.values)
	r.values = r.values[:0]
	if cap(r.values) > maxKept {
		r.values = nil
	}
}

func (r *rows) add(values ...any) { r.values = append(r.values, values...) }

var executionColumns = strings.Split("id,workspace_id,workflow_id,workflow_name,workflow_version,user_id,status,trigger_type,start_node,trigger_data,"+
	"priority,total_nodes,completed_nodes,retry_of,parent_id,parent_node,parent_iteration,depth,scheduled_at,created_at,wake_at,last_seq,worker,epoch", ",")

// specialColumns are those of executions that the few have that are bounded in
// number, dry or changed: the others do not pay for them.
var specialColumns = append(slices.Clone(executionColumns), "concurrency_key", "concurrency_limit", "held", "dry_run", "extra", "error", "completed_at")

var nodeColumns = strings.Split("execution_id,iteration,node_id,id,kind,title,attempt,status,handles,output,output_ref,error,usage,wait,started_at,completed_at", ",")

var stepColumns = strings.Split("execution_id,node_id,iteration,name,kind,title,input,output,failed,usage,started_at,ended_at", ",")

// begin starts gathering for a transaction. The memory of the one before is
// used again: its rows are gone by now.
func (w *bulkWriter) begin(tx *sql.Tx) *bulk {
	if w.rows == nil {
		w.rows = newBulk(w)
	}
	b := w.rows
	b.tx = tx
	clear(b.large)
	for _, r := range b.tables() {
		r.empty()
	}
	return b
}

// maxKept bounds the memory kept between transactions, in values per table.
const maxKept = 64_000

func newBulk(w *bulkWriter) *bulk {
	return &bulk{writer: w, large: map[[2]string]bool{},
		payloads: rows{table: "payloads", columns: []string{"workspace_id", "hash", "size", "data", "created_at"},
			// Written again, it counts as new: it is not removed meanwhile.
			conflict: "ON CONFLICT (workspace_id, hash) DO UPDATE SET created_at = excluded.created_at"},
		executions:  rows{table: "executions", columns: executionColumns},
		definitions: rows{table: "execution_definitions", columns: []string{"execution_id", "workspace_id", "definition"}},
		special:     rows{table: "executions", columns: specialColumns},
		nodes: rows{table: "node_executions", columns: nodeColumns, conflict: `ON CONFLICT (execution_id, iteration, node_id) DO UPDATE SET attempt = excluded.attempt,
			status = excluded.status, handles = excluded.handles, output = excluded.output, output_ref = excluded.output_ref, error = excluded.error,
			usage = excluded.usage, wait = excluded.wait, started_at = excluded.started_at, completed_at = excluded.completed_at`},
		steps:  rows{table: "agent_steps", columns: stepColumns, conflict: "ON CONFLICT (execution_id, node_id, iteration, name) DO NOTHING"},
		logs:   rows{table: "execution_logs", columns: []string{"execution_id", "seq", "node_id", "iteration", "level", "message", "data", "at"}},
		events: rows{table: "execution_events", columns: []string{"execution_id", "last_seq", "events"}},
		// No target: the id and the name mean the same ask.
		asks:      rows{table: "asks", columns: askColumns, conflict: "ON CONFLICT DO NOTHING"},
		approvers: rows{table: "ask_approvers", columns: []string{"ask_id", "who"}, conflict: "ON CONFLICT DO NOTHING"},
	}
}

// flush inserts what was gathered since the last time.
func (b *bulk) flush(ctx context.Context) error {
	for _, r := range b.tables() {
		if err := b.insert(ctx, r); err != nil {
			return fmt.Errorf("insert into %s: %w", r.table, err)
		}
		r.empty()
	}
	return nil
}

func (b *bulk) tables() []*rows {
	return []*rows{&b.payloads, &b.executions, &b.special, &b.definitions, &b.nodes, &b.steps, &b.logs, &b.events, &b.asks, &b.approvers}
}

// chunkSizes are how many rows one statement inserts on SQLite, largest first.
var chunkSizes = [...]int{64, 16, 4, 1}

// insert writes rows: on PostgreSQL in one statement that takes its columns as
// arrays, on SQLite in chunks of fixed sizes, so that few texts are prepared.
func (b *bulk) insert(ctx context.Context, r *rows) error {
	if len(r.values) == 0 {
		return nil
	}
	width := len(r.columns)
	if b.writer.db.Dialect() == Postgres {
		columns := arrays(r.values, width)
		_, err := b.tx.ExecContext(ctx, "INSERT INTO "+r.table+" ("+strings.Join(r.columns, ", ")+") SELECT * FROM "+unnest(columns)+" "+r.conflict, columns...)
		return err
	}
	for left := r.values; len(left) > 0; {
		n := 1
		for _, size := range chunkSizes {
			if len(left) >= size*width {
				n = size
				break
			}
		}
		if _, err := b.exec(ctx, b.writer.insert(r, n), left[:n*width]...); err != nil {
			return err
		}
		left = left[n*width:]
	}
	return nil
}

// arrays turns rows of so many values into one array per column: of text, of
// numbers, or of numbers that may be missing.
func arrays(values []any, width int) []any {
	out := make([]any, width)
	for c := range width {
		switch values[c].(type) {
		case string:
			out[c] = column(values, c, width, func(v any) string { return v.(string) }) //nolint:forcetypeassert // a column has one type: else a programmer's error
		case *int64:
			out[c] = column(values, c, width, func(v any) *int64 { return v.(*int64) }) //nolint:forcetypeassert // as above
		default:
			out[c] = column(values, c, width, func(v any) int64 { return reflect.ValueOf(v).Int() })
		}
	}
	return out
}

func column[T any](values []any, from, width int, as func(any) T) []T {
	out := make([]T, 0, len(values)/width)
	for i := from; i < len(values); i += width {
		out = append(out, as(values[i]))
	}
	return out
}

// unnest is the table that arrays make when they stand side by side.
func unnest(columns []any) string {
	var text strings.Builder
	text.WriteString("unnest(")
	for i, column := range columns {
		if i > 0 {
			text.WriteByte(',')
		}
		kind := "::bigint[]"
		if _, isText := column.([]string); isText {
			kind = "::text[]"
		}
		text.WriteString("$" + strconv.Itoa(i+1) + kind)
	}
	text.WriteByte(')')
	return text.String()
}

func insertSQL(r *rows, n int) string {
	var text strings.Builder
	text.WriteString("INSERT INTO " + r.table + " (" + strings.Join(r.columns, ", ") + ") VALUES ")
	at := 1
	for i := range n {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteByte('(')
		for j := range r.columns {
			if j > 0 {
				text.WriteByte(',')
			}
			text.WriteString("$" + strconv.Itoa(at))
			at++
		}
		text.WriteByte(')')
	}
	text.WriteString(" " + r.conflict)
	return text.String()
}

// exec runs a statement, the prepared one where there is one.
func (b *bulk) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	if s := b.writer.statements[text]; s != nil {
		return b.tx.StmtContext(ctx, s).ExecContext(ctx, args...)
	}
	return b.tx.ExecContext(ctx, text, args...)
}

// prepare compiles the statements once for SQLite's one writing connection.
func (w *bulkWriter) prepare(ctx context.Context) error {
	if w.db.Dialect() != SQLite {
		return nil
	}
	texts := []string{w.head}
	b := w.begin(nil)
	for _, r := range b.tables() {
		for _, size := range chunkSizes {
			texts = append(texts, w.insert(r, size))
		}
	}
	for _, text := range texts {
		s, err := w.db.write.PrepareContext(ctx, positional(text))
		if err != nil {
			return fmt.Errorf("prepare %q: %w", text, err)
		}
		w.statements[text] = s
	}
	return nil
}
