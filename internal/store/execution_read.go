package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

const executionFields = `id, workspace_id, workflow_id, workflow_name, workflow_version, user_id, status, trigger_type, start_node,
	trigger_data, output, output_ref, response, error, priority, total_nodes, completed_nodes, failed_nodes, skipped_nodes,
	tokens_input, tokens_output, tokens_cache_read, tokens_cache_write, cost_micros, cost_unknown, retry_of, parent_id, parent_node,
	parent_iteration, depth, scheduled_at, created_at, started_at, completed_at, wake_at, cancel_requested, pause_requested, last_seq, worker, epoch,
	concurrency_key, concurrency_limit, held, dry_run, extra`

const executionSelect = `SELECT ` + executionFields + ` FROM executions`

func scanExecution(row scanner) (x *execution.Execution, outputRef string, err error) {
	x = &execution.Execution{}
	var data, output, response, failure, extra string
	var status string
	var unknown, cancel, pause, scheduled, created, started, completed, wake, held, dry int64
	err = row.Scan(&x.ID, &x.WorkspaceID, &x.WorkflowID, &x.WorkflowName, &x.WorkflowVersion, &x.UserID, &status, &x.TriggerType, &x.StartNode,
		&data, &output, &outputRef, &response, &failure, &x.Priority, &x.TotalNodes, &x.CompletedNodes, &x.FailedNodes, &x.SkippedNodes,
		&x.Usage.Input, &x.Usage.Output, &x.Usage.CacheRead, &x.Usage.CacheWrite, &x.Usage.CostMicros, &unknown, &x.RetryOf, &x.ParentID, &x.ParentNode,
		&x.ParentIteration, &x.Depth, &scheduled, &created, &started, &completed, &wake, &cancel, &pause, &x.LastSeq, &x.Worker, &x.Epoch,
		&x.ConcurrencyKey, &x.ConcurrencyLimit, &held, &dry, &extra)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", fault.New(fault.NotFound, "there is no such execution, or it is not yours")
	}
	if err != nil {
		return nil, "", explain(fmt.Errorf("scan execution: %w", err))
	}
	x.Status, x.Hold, x.DryRun = execution.Status(status), execution.Hold(held), dry == 1
	x.TriggerData, x.Output = rawJSON(data), rawJSON(output)
	x.Usage.CostUnknown, x.CancelRequested, x.PauseRequested = unknown == 1, cancel == 1, pause == 1
	x.ScheduledAt, x.CreatedAt, x.StartedAt = fromMillis(scheduled), fromMillis(created), fromMillis(started)
	x.CompletedAt, x.WakeAt = fromMillis(completed), fromMillis(wake)
	return x, outputRef, errors.Join(parseJSON(response, &x.Response), parseJSON(failure, &x.Error), readExtra(extra, x))
}

// extra is what few executions have.
type extra struct {
	Lineage *execution.Lineage         `json:"lineage,omitempty"`
	Pinned  map[string]json.RawMessage `json:"pinned,omitempty"`
	Key     string                     `json:"api_key_id,omitempty"`
}

func extraOf(x *execution.Execution) string {
	if x.Lineage == nil && len(x.Pinned) == 0 && x.APIKeyID == "" {
		return ""
	}
	return jsonText(extra{x.Lineage, x.Pinned, x.APIKeyID})
}

func readExtra(text string, x *execution.Execution) error {
	if text == "" {
		return nil
	}
	var e extra
	err := parseJSON(text, &e)
	x.Lineage, x.Pinned, x.APIKeyID = e.Lineage, e.Pinned, e.Key
	return err
}

func rawJSON(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

// parseJSON reads a column that is JSON or empty.
func parseJSON(s string, into any) error {
	if s == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(s), into); err != nil {
		return fmt.Errorf("read column: %w", err)
	}
	return nil
}

// Workspace implements execution.Store.
func (s *Executions) Workspace(ctx context.Context, id string) (string, error) {
	var workspace string
	err := s.db.Read().QueryRowContext(ctx, `SELECT workspace_id FROM executions WHERE id = $1`, id).Scan(&workspace)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fault.New(fault.NotFound, "there is no such execution, or it is not yours")
	}
	return workspace, explain(err)
}

// Find implements execution.Store. A large output is fetched with it.
func (s *Executions) Find(ctx context.Context, workspaceID, id string) (*execution.Execution, error) {
	x, err := current(ctx, s.db.recall, question{what: "execution", workspaceID: workspaceID, id: id}, []subject{{"executions", id}}, func() (*execution.Execution, int, error) {
		x, err := s.find(ctx, workspaceID, id)
		return x, sizeOfExecution(x), err
	})
	if err != nil {
		return nil, err
	}
	own := *x
	return &own, nil
}

func (s *Executions) find(ctx context.Context, workspaceID, id string) (*execution.Execution, error) {
	x, ref, err := scanExecution(s.db.Read().QueryRowContext(ctx, executionSelect+` WHERE id = $1 AND workspace_id = $2`, id, workspaceID))
	if err != nil || ref == "" {
		return x, err
	}
	x.Output, err = s.Payload(ctx, workspaceID, ref)
	return x, err
}

// sizeOfExecution is what one takes in memory, roughly.
func sizeOfExecution(x *execution.Execution) int {
	if x == nil {
		return 0
	}
	size := 1_000 + len(x.TriggerData) + len(x.Output)
	if x.Response != nil || x.Lineage != nil {
		size += 4_000
	}
	for _, output := range x.Pinned {
		size += len(output)
	}
	return size
}

// Child implements execution.Journal.
func (s *Executions) Child(ctx context.Context, workspaceID, id string) (*execution.Execution, error) {
	return s.Find(ctx, workspaceID, id)
}

// statusesChunk is how many executions one query of Statuses names: always as
// many, so that its text is prepared once.
const statusesChunk = 100

var statusesSQL = `SELECT id, status FROM executions WHERE workspace_id = $1 AND id IN (` + parameters(2, statusesChunk) + `)`

// Statuses implements execution.Journal.
func (s *Executions) Statuses(ctx context.Context, workspaceID string, ids []string) (map[string]execution.Status, error) {
	out := make(map[string]execution.Status, len(ids))
	for chunk := range slices.Chunk(ids, statusesChunk) {
		args := make([]any, 1+statusesChunk)
		args[0] = workspaceID
		for i := range statusesChunk {
			args[1+i] = chunk[min(i, len(chunk)-1)]
		}
		found, err := s.db.Read().QueryContext(ctx, statusesSQL, args...)
		if err != nil {
			return nil, explain(err)
		}
		if _, err := collect(found, nil, func(row scanner) (struct{}, error) {
			var id, status string
			err := row.Scan(&id, &status)
			out[id] = execution.Status(status)
			return struct{}{}, err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// parameters writes so many parameters: $2, $3, …
func parameters(first, n int) string {
	var text strings.Builder
	for i := range n {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString("$" + strconv.Itoa(first+i))
	}
	return text.String()
}

const nodeSelect = `SELECT n.id, n.node_id, n.kind, n.title, n.iteration, n.attempt, n.status, n.handles, n.output, n.output_ref, n.error, n.usage, n.wait,
	n.started_at, n.completed_at FROM node_executions n JOIN executions e ON e.id = n.execution_id WHERE e.workspace_id = $1 AND n.execution_id = $2`

func (s *Executions) nodeRuns(ctx context.Context, query string, args ...any) ([]execution.NodeRun, error) {
	result, err := s.db.Read().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, explain(err)
	}
	defer func() { _ = result.Close() }()
	var out []execution.NodeRun
	for result.Next() {
		n, err := scanNodeRun(result)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, explain(result.Err())
}

func scanNodeRun(row scanner) (execution.NodeRun, error) {
	var n execution.NodeRun
	var status, handles, output, failure, usage, wait string
	var started, completed int64
	err := row.Scan(&n.ID, &n.NodeID, &n.Kind, &n.Title, &n.Iteration, &n.Attempt, &status, &handles, &output, &n.OutputRef, &failure, &usage, &wait, &started, &completed)
	if err != nil {
		return n, explain(fmt.Errorf("scan node: %w", err))
	}
	n.Status, n.Output = execution.NodeStatus(status), rawJSON(output)
	n.StartedAt, n.CompletedAt = fromMillis(started), fromMillis(completed)
	return n, errors.Join(parseJSON(handles, &n.Handles), parseJSON(failure, &n.Error), parseJSON(usage, &n.Usage), parseJSON(wait, &n.Wait))
}

// NodeRuns implements execution.Journal.
func (s *Executions) NodeRuns(ctx context.Context, workspaceID, id, iteration string) ([]execution.NodeRun, error) {
	return s.nodeRuns(ctx, nodeSelect+` AND n.iteration = $3`, workspaceID, id, iteration)
}

// Waiting implements execution.Journal.
func (s *Executions) Waiting(ctx context.Context, workspaceID, id string) ([]execution.NodeRun, error) {
	return s.nodeRuns(ctx, nodeSelect+` AND n.status = 'waiting'`, workspaceID, id)
}

// Rounds implements execution.Journal.
func (s *Executions) Rounds(ctx context.Context, workspaceID, id, nodeID, iteration, after string, limit int) ([]execution.NodeRun, string, error) {
	prefix := ""
	if iteration != "" {
		prefix = iteration + "."
	}
	// One level deeper than the container: digits only after the prefix.
	found, err := s.nodeRuns(ctx, nodeSelect+` AND n.node_id = $3 AND n.iteration > $4 AND n.iteration < $5 ORDER BY n.iteration LIMIT $6`,
		workspaceID, id, nodeID, max(prefix, after), prefix+":", limit)
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(found) == limit {
		next = found[limit-1].Iteration
	}
	out := found[:0]
	for _, n := range found {
		if rest := strings.TrimPrefix(n.Iteration, prefix); rest != "" && !strings.Contains(rest, ".") {
			out = append(out, n)
		}
	}
	return out, next, nil
}

// AllNodeRuns implements execution.Store: in the order they started.
func (s *Executions) AllNodeRuns(ctx context.Context, workspaceID, id string, limit, offset int) ([]execution.NodeRun, int, error) {
	page, err := current(ctx, s.db.recall, question{what: "nodes", workspaceID: workspaceID, id: id, limit: limit, offset: offset},
		[]subject{{"executions", id}, {"node_executions", id}}, func() (page nodePage, size int, err error) {
			page.runs, page.total, err = s.allNodeRuns(ctx, workspaceID, id, limit, offset)
			return page, page.size(), err
		})
	return slices.Clone(page.runs), page.total, err
}

// NodeRunsOf implements execution.Store. Nobody writes nodes of an execution
// that is over, and its row says which one it is and that it is there.
func (s *Executions) NodeRunsOf(ctx context.Context, x *execution.Execution, limit, offset int) ([]execution.NodeRun, int, error) {
	if s.db.changes.exclusive || !x.Status.Over() || x.CompletedAt.IsZero() {
		return s.AllNodeRuns(ctx, x.WorkspaceID, x.ID, limit, offset)
	}
	page, err := lasting(s.db.recall, question{what: "nodes", workspaceID: x.WorkspaceID, id: x.ID, version: x.LastSeq, limit: limit, offset: offset}, func() (page nodePage, size int, err error) {
		page.runs, page.total, err = s.allNodeRuns(ctx, x.WorkspaceID, x.ID, limit, offset)
		return page, page.size(), err
	})
	return slices.Clone(page.runs), page.total, err
}

// nodePage is some of the nodes of an execution.
type nodePage struct {
	runs  []execution.NodeRun
	total int
}

func (p nodePage) size() int {
	size := 0
	for _, n := range p.runs {
		size += 600 + len(n.Output)
	}
	return size
}

func (s *Executions) allNodeRuns(ctx context.Context, workspaceID, id string, limit, offset int) ([]execution.NodeRun, int, error) {
	out, err := s.nodeRuns(ctx, nodeSelect+` ORDER BY CASE WHEN n.started_at = 0 THEN n.completed_at ELSE n.started_at END, n.iteration, n.id LIMIT $3 OFFSET $4`, workspaceID, id, limit, offset)
	if err != nil {
		return nil, 0, err
	}
	total, err := s.db.total(ctx, len(out), limit, offset, `SELECT count(*) FROM node_executions WHERE execution_id = $1`, id)
	return out, total, err
}

// NodeRun implements execution.Store.
func (s *Executions) NodeRun(ctx context.Context, workspaceID, id, nodeRunID string) (*execution.NodeRun, error) {
	found, err := s.nodeRuns(ctx, nodeSelect+` AND n.id = $3`, workspaceID, id, nodeRunID)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fault.New(fault.NotFound, "this execution has no such node execution")
	}
	return &found[0], nil
}

const stepSelect = `SELECT s.node_id, s.iteration, s.name, s.kind, s.title, s.input, s.output, s.failed, s.usage, s.started_at, s.ended_at
	FROM agent_steps s JOIN executions e ON e.id = s.execution_id WHERE e.workspace_id = $1 AND s.execution_id = $2`

// Steps implements execution.Journal.
func (s *Executions) Steps(ctx context.Context, workspaceID, id, nodeID, iteration string) ([]execution.StepRecord, error) {
	return s.stepRecords(ctx, stepSelect+` AND s.node_id = $3 AND s.iteration = $4 ORDER BY s.started_at, s.name`, workspaceID, id, nodeID, iteration)
}

// AllSteps implements execution.Store: at most 10,000, oldest first.
func (s *Executions) AllSteps(ctx context.Context, workspaceID, id string) ([]execution.StepRecord, error) {
	return s.stepRecords(ctx, stepSelect+` ORDER BY s.started_at, s.name LIMIT 10000`, workspaceID, id)
}

func (s *Executions) stepRecords(ctx context.Context, query string, args ...any) ([]execution.StepRecord, error) {
	result, err := s.db.Read().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, explain(err)
	}
	defer func() { _ = result.Close() }()
	var out []execution.StepRecord
	for result.Next() {
		var r execution.StepRecord
		var input, output, usage string
		var failed, started, ended int64
		if err := result.Scan(&r.NodeID, &r.Iteration, &r.Name, &r.Kind, &r.Title, &input, &output, &failed, &usage, &started, &ended); err != nil {
			return nil, explain(fmt.Errorf("scan step: %w", err))
		}
		r.Input, r.Output, r.Failed = rawJSON(input), rawJSON(output), failed == 1
		r.StartedAt, r.EndedAt = fromMillis(started), fromMillis(ended)
		if err := parseJSON(usage, &r.Usage); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, explain(result.Err())
}

// Payload implements execution.Journal.
func (s *Executions) Payload(ctx context.Context, workspaceID, hash string) ([]byte, error) {
	var data string
	err := s.db.Read().QueryRowContext(ctx, `SELECT data FROM payloads WHERE workspace_id = $1 AND hash = $2`, workspaceID, hash).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "a stored value is gone: it was removed by retention")
	}
	return []byte(data), explain(err)
}

// Events implements execution.Store: those after the seq, in order.
func (s *Executions) Events(ctx context.Context, workspaceID, id string, afterSeq int64, limit int) ([]event.Event, error) {
	result, err := s.db.Read().QueryContext(ctx, `SELECT v.events FROM execution_events v JOIN executions e ON e.id = v.execution_id
		WHERE e.workspace_id = $1 AND v.execution_id = $2 AND v.last_seq > $3 ORDER BY v.last_seq LIMIT $4`, workspaceID, id, afterSeq, limit)
	if err != nil {
		return nil, explain(err)
	}
	defer func() { _ = result.Close() }()
	var out []event.Event
	for result.Next() && len(out) < limit {
		var text string
		if err := result.Scan(&text); err != nil {
			return nil, explain(err)
		}
		var pack []packedEvent
		if err := json.Unmarshal([]byte(text), &pack); err != nil {
			return nil, fmt.Errorf("read events of %s: %w", id, err)
		}
		for _, p := range pack {
			if p.Seq > afterSeq && len(out) < limit {
				out = append(out, event.Event{Room: event.ExecutionRoom(id), Seq: p.Seq, Type: p.Type, Name: p.Name, At: time.UnixMilli(p.At).UTC(), Data: p.Data})
			}
		}
	}
	return out, explain(result.Err())
}

// Logs implements execution.Store: those after the seq, in order.
func (s *Executions) Logs(ctx context.Context, workspaceID, id string, f execution.LogFilter) ([]execution.LogEntry, error) {
	result, err := s.db.Read().QueryContext(ctx, `SELECT l.seq, l.node_id, l.iteration, l.level, l.message, l.data, l.at
		FROM execution_logs l JOIN executions e ON e.id = l.execution_id
		WHERE e.workspace_id = $1 AND l.execution_id = $2 AND l.seq > $3 AND ($4 = '' OR l.level = $4) AND ($5 = '' OR l.node_id = $5)
		ORDER BY l.seq LIMIT $6`, workspaceID, id, f.After, f.Level, f.NodeID, f.Limit)
	if err != nil {
		return nil, explain(err)
	}
	defer func() { _ = result.Close() }()
	var out []execution.LogEntry
	for result.Next() {
		var l execution.LogEntry
		var data string
		var at int64
		if err := result.Scan(&l.Seq, &l.NodeID, &l.Iteration, &l.Level, &l.Message, &data, &at); err != nil {
			return nil, explain(err)
		}
		l.Data, l.At = rawJSON(data), fromMillis(at)
		out = append(out, l)
	}
	return out, explain(result.Err())
}

var _ execution.Store = (*Executions)(nil)
