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

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/workflow"
	"agentstudio/internal/workspace"
)

// Workflows keeps workflows, their versions and what they arm.
type Workflows struct {
	db    *DB
	kinds *node.Kinds
	armed chan struct{} // a schedule was armed
}

// NewWorkflows returns the store. kinds tell which nodes are triggers.
func NewWorkflows(db *DB, kinds *node.Kinds) *Workflows {
	return &Workflows{db: db, kinds: kinds, armed: make(chan struct{}, 1)}
}

var _ workflow.Store = (*Workflows)(nil)

// Workspace implements workflow.Store.
func (s *Workflows) Workspace(ctx context.Context, id string) (string, error) {
	return current(ctx, s.db.recall, question{what: "workspace of workflow", id: id}, []subject{{"workflows", id}}, func() (ws string, size int, err error) {
		err = s.db.Read().QueryRowContext(ctx, `SELECT workspace_id FROM workflows WHERE id = $1`, id).Scan(&ws)
		return ws, len(ws), noRows(err, "workflow")
	})
}

// Insert implements workflow.Store.
func (s *Workflows) Insert(ctx context.Context, workspaceID string, w *workflow.Workflow, message string, a workspace.Activity) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		r, err := s.row(w)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO workflows (id, workspace_id, user_id, name, description, search, status, tags, node_count, trigger_kinds,
			version, published_version, parent_workflow_id, created_at, updated_at, retention_days) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, $12, $13, $14, $15)`,
			w.ID, workspaceID, w.UserID, r.name, r.description, r.search, string(w.Status), r.tags, r.nodes, r.triggers, w.Version, w.ParentWorkflowID, ms(w.CreatedAt), ms(w.UpdatedAt), w.Definition.Settings.RetentionDays); err != nil {
			return err
		}
		if err := writeVersion(ctx, tx, w, w.UserID, message, r); err != nil {
			return err
		}
		return appendActivity(ctx, tx, a)
	})
}

type workflowRow struct {
	name, description, search, tags, triggers, definition string
	nodes                                                 int
}

func (s *Workflows) row(w *workflow.Workflow) (workflowRow, error) {
	d := &w.Definition
	definition, err := json.Marshal(d)
	if err != nil {
		return workflowRow{}, fmt.Errorf("write definition: %w", err)
	}
	nodes, triggers := d.Facts(s.kinds)
	tags := jsonText(d.Tags)
	if tags == "" {
		tags = "[]"
	}
	return workflowRow{name: d.Name, description: d.Description, search: strings.ToLower(d.Name + "\n" + d.Description), tags: tags,
		triggers: jsonText(triggers), definition: string(definition), nodes: nodes}, nil
}

// writeVersion adds the immutable version and renews the tags.
func writeVersion(ctx context.Context, tx *sql.Tx, w *workflow.Workflow, userID, message string, r workflowRow) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO workflow_versions (workflow_id, version, definition, user_id, message, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		w.ID, w.Version, r.definition, userID, message, ms(w.UpdatedAt)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM workflow_tags WHERE workflow_id = $1`, w.ID); err != nil {
		return err
	}
	for _, tag := range w.Definition.Tags {
		if _, err := tx.ExecContext(ctx, `INSERT INTO workflow_tags (workflow_id, tag) VALUES ($1, $2)`, w.ID, tag); err != nil {
			return err
		}
	}
	return nil
}

// Save implements workflow.Store.
func (s *Workflows) Save(ctx context.Context, workspaceID string, w *workflow.Workflow, read, message string, a workspace.Activity) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := stillAs(ctx, tx, workspaceID, w.ID, read); err != nil {
			return err
		}
		r, err := s.row(w)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE workflows SET name = $1, description = $2, search = $3, tags = $4, node_count = $5, trigger_kinds = $6,
			version = $7, updated_at = $8, retention_days = $9 WHERE id = $10 AND workspace_id = $11`,
			r.name, r.description, r.search, r.tags, r.nodes, r.triggers, w.Version, ms(w.UpdatedAt), w.Definition.Settings.RetentionDays, w.ID, workspaceID); err != nil {
			return err
		}
		if err := writeVersion(ctx, tx, w, a.UserID, message, r); err != nil {
			return err
		}
		return appendActivity(ctx, tx, a)
	})
}

// stillAs locks the workflow and refuses when it is not as it was read.
func stillAs(ctx context.Context, tx *sql.Tx, workspaceID, id, read string) error {
	var current workflow.Workflow
	var updated int64
	// Touching the row first takes its lock on PostgreSQL; SQLite has one writer.
	if _, err := tx.ExecContext(ctx, `UPDATE workflows SET status = status WHERE id = $1 AND workspace_id = $2`, id, workspaceID); err != nil {
		return err
	}
	err := tx.QueryRowContext(ctx, `SELECT version, updated_at FROM workflows WHERE id = $1 AND workspace_id = $2`, id, workspaceID).Scan(&current.Version, &updated)
	if err != nil {
		return noRows(err, "workflow")
	}
	current.UpdatedAt = at(updated)
	if current.ETag() != read {
		return fault.New(fault.Stale, "somebody else has changed this workflow: it is at version %d now (ETag %q)", current.Version, current.ETag())
	}
	return nil
}

// SetStatus implements workflow.Store.
func (s *Workflows) SetStatus(ctx context.Context, workspaceID string, w *workflow.Workflow, read string, armings []workflow.Arming, a workspace.Activity) error {
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := stillAs(ctx, tx, workspaceID, w.ID, read); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE workflows SET status = $1, published_version = $2, updated_at = $3 WHERE id = $4 AND workspace_id = $5`,
			string(w.Status), sql.NullInt64{Int64: int64(w.PublishedVersion), Valid: w.PublishedVersion > 0}, ms(w.UpdatedAt), w.ID, workspaceID); err != nil {
			return err
		}
		if err := arm(ctx, tx, workspaceID, w, armings); err != nil {
			return err
		}
		return appendActivity(ctx, tx, a)
	})
	if err == nil && len(armings) > 0 {
		poke(s.armed)
	}
	return err
}

// Delete implements workflow.Store.
func (s *Workflows) Delete(ctx context.Context, workspaceID, id string, a workspace.Activity) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM workflows WHERE id = $1 AND workspace_id = $2`, id, workspaceID)
		if err := mustAffect(r, err, "workflow"); err != nil {
			return err
		}
		return appendActivity(ctx, tx, a)
	})
}

// Find implements workflow.Store.
func (s *Workflows) Find(ctx context.Context, workspaceID, id string) (*workflow.Workflow, error) {
	w, err := current(ctx, s.db.recall, question{what: "workflow", workspaceID: workspaceID, id: id},
		[]subject{{"workflows", id}, {"workflow_versions", id}, {"webhooks", id}, {table: "workspaces"}}, func() (*workflow.Workflow, int, error) {
			return s.find(ctx, workspaceID, id)
		})
	if err != nil {
		return nil, err
	}
	own := *w
	return &own, nil
}

func (s *Workflows) find(ctx context.Context, workspaceID, id string) (*workflow.Workflow, int, error) {
	var w workflow.Workflow
	var status string
	var published sql.NullInt64
	var parent sql.NullString
	var created, updated int64
	err := s.db.Read().QueryRowContext(ctx, `SELECT id, workspace_id, user_id, status, version, published_version, parent_workflow_id, created_at, updated_at
		FROM workflows WHERE id = $1 AND workspace_id = $2`, id, workspaceID).
		Scan(&w.ID, &w.WorkspaceID, &w.UserID, &status, &w.Version, &published, &parent, &created, &updated)
	if err != nil {
		return nil, 0, noRows(err, "workflow")
	}
	w.Status, w.PublishedVersion, w.ParentWorkflowID = workflow.Status(status), int(published.Int64), parent.String
	w.CreatedAt, w.UpdatedAt = at(created), at(updated)
	newest, err := lasting(s.db.recall, question{what: "definition", id: id, version: int64(w.Version)}, func() (sizedDefinition, int, error) {
		return s.newest(ctx, id, w.Version)
	})
	if err != nil {
		return nil, 0, err
	}
	w.Definition = newest.Definition
	if w.Status == workflow.Published { // nothing is armed otherwise
		w.Webhooks, err = s.webhooks(ctx, `h.workflow_id = $1`, id)
	}
	return &w, newest.size, err
}

// sizedDefinition tells too what it takes in memory, roughly.
type sizedDefinition struct {
	workflow.Definition
	size int
}

func (s *Workflows) newest(ctx context.Context, id string, version int) (d sizedDefinition, size int, err error) {
	var text string
	if err := s.db.Read().QueryRowContext(ctx, `SELECT definition FROM workflow_versions WHERE workflow_id = $1 AND version = $2`, id, version).Scan(&text); err != nil {
		return d, 0, noRows(err, "workflow")
	}
	if err := json.Unmarshal([]byte(text), &d.Definition); err != nil {
		return d, 0, fmt.Errorf("read definition of %s: %w", id, err)
	}
	d.Normalise()
	d.size = 1_000 + 3*len(text)
	return d, d.size, nil
}

// List implements workflow.Store.
func (s *Workflows) List(ctx context.Context, workspaceID string, f workflow.Filter) ([]workflow.Summary, int, error) {
	if len(f.Tags) > 0 {
		return s.list(ctx, workspaceID, f)
	}
	type narrowed struct{ query, status, sort string }
	page, err := current(ctx, s.db.recall, question{what: "workflows", workspaceID: workspaceID, limit: f.Limit, offset: f.Offset, filter: narrowed{f.Query, string(f.Status), f.Sort}},
		[]subject{{"workflows", workspaceID}, {"executions", workspaceID}}, func() (page workflowPage, size int, err error) {
			page.items, page.total, err = s.list(ctx, workspaceID, f)
			return page, page.size(), err
		})
	return slices.Clone(page.items), page.total, err
}

// workflowPage is a page of a list of workflows.
type workflowPage struct {
	items []workflow.Summary
	total int
}

func (p workflowPage) size() int {
	size := 0
	for _, w := range p.items {
		size += 800 + len(w.Description)
	}
	return size
}

func (s *Workflows) list(ctx context.Context, workspaceID string, f workflow.Filter) ([]workflow.Summary, int, error) {
	var wanted conditions
	wanted.add(`w.workspace_id = ?`, workspaceID)
	if f.Status != "" {
		wanted.add(`w.status = ?`, string(f.Status))
	}
	if f.Query != "" {
		wanted.add(`w.search LIKE ? ESCAPE '\'`, "%"+literal(f.Query)+"%")
	}
	if len(f.Tags) > 0 {
		wanted.add(`EXISTS (SELECT 1 FROM workflow_tags t WHERE t.workflow_id = w.id AND t.tag IN (`+strings.TrimSuffix(strings.Repeat("?, ", len(f.Tags)), ", ")+`))`, anySlice(f.Tags)...)
	}
	order, known := map[string]string{"": "w.updated_at DESC, w.id DESC", "-updated_at": "w.updated_at DESC, w.id DESC", "updated_at": "w.updated_at, w.id",
		"-created_at": "w.created_at DESC, w.id DESC", "created_at": "w.created_at, w.id", "name": "lower(w.name), w.id", "-name": "lower(w.name) DESC, w.id DESC"}[f.Sort]
	if !known {
		return nil, 0, fault.InvalidInput(fault.Detail{Location: "query.sort", Code: "unknown", Message: "sort is updated_at, created_at or name, with a minus for the other way round", Value: f.Sort})
	}
	// The page first: what is joined to a row is looked up for the page alone.
	page, args := wanted.page(f.Limit, f.Offset, ` ORDER BY `+order)
	rows, err := s.db.Read().QueryContext(ctx, `SELECT w.id, w.workspace_id, w.user_id, w.name, w.description, w.status, w.tags, w.version, w.published_version,
		w.parent_workflow_id, w.node_count, w.trigger_kinds, w.created_at, w.updated_at,
		(SELECT e.id || ' ' || e.status || ' ' || CAST(e.created_at AS TEXT) FROM executions e WHERE e.workflow_id = w.id AND e.trigger_type <> 'split' ORDER BY e.created_at DESC LIMIT 1)
		FROM (SELECT * FROM workflows w`+page+`) w ORDER BY `+order, args...)
	items, err := collect(rows, err, scanSummary)
	if err != nil {
		return nil, 0, err
	}
	total, err := s.db.total(ctx, len(items), f.Limit, f.Offset, `SELECT count(*) FROM workflows w`+wanted.where(), wanted.args...)
	return items, total, err
}

func anySlice(texts []string) []any {
	out := make([]any, len(texts))
	for i, t := range texts {
		out[i] = t
	}
	return out
}

func scanSummary(row scanner) (w workflow.Summary, err error) {
	var status, tags, triggers string
	var published sql.NullInt64
	var parent, last sql.NullString
	var created, updated int64
	if err := row.Scan(&w.ID, &w.WorkspaceID, &w.UserID, &w.Name, &w.Description, &status, &tags, &w.Version, &published, &parent, &w.NodeCount, &triggers, &created, &updated, &last); err != nil {
		return w, err
	}
	w.Status, w.PublishedVersion, w.ParentWorkflowID = workflow.Status(status), int(published.Int64), parent.String
	w.CreatedAt, w.UpdatedAt = at(created), at(updated)
	if last.Valid {
		parts := strings.Fields(last.String)
		if len(parts) != 3 {
			return w, fmt.Errorf("read last execution: %q", last.String)
		}
		when, err := strconv.ParseInt(parts[2], 10, 64)
		if err != nil {
			return w, fmt.Errorf("read last execution: %w", err)
		}
		w.LastExecution = &workflow.LastExecution{ID: parts[0], Status: parts[1], CreatedAt: at(when)}
	}
	return w, errors.Join(parseJSON(tags, &w.Tags), parseJSON(triggers, &w.TriggerKinds))
}

// Definition implements workflow.Versions.
func (s *Workflows) Definition(ctx context.Context, workspaceID, id string, version int) (*workflow.Definition, error) {
	v, err := s.SavedVersion(ctx, workspaceID, id, version)
	if err != nil {
		return nil, err
	}
	return v.Definition, nil
}

// Edited implements workflow.Versions.
func (s *Workflows) Edited(ctx context.Context, workspaceID, executionID string) (*workflow.Definition, error) {
	var text string
	err := s.db.Read().QueryRowContext(ctx, `SELECT definition FROM execution_definitions WHERE workspace_id = $1 AND execution_id = $2`, workspaceID, executionID).Scan(&text)
	if err != nil {
		return nil, noRows(err, "definition of this execution")
	}
	d := &workflow.Definition{}
	if err := json.Unmarshal([]byte(text), d); err != nil {
		return nil, fmt.Errorf("read the definition of execution %s: %w", executionID, err)
	}
	d.Normalise()
	return d, nil
}

// Heads implements workflow.Versions.
func (s *Workflows) Heads(ctx context.Context, workspaceID, id string) (newest, published int, err error) {
	var p sql.NullInt64
	err = s.db.Read().QueryRowContext(ctx, `SELECT version, published_version FROM workflows WHERE id = $1 AND workspace_id = $2`, id, workspaceID).Scan(&newest, &p)
	return newest, int(p.Int64), noRows(err, "workflow")
}

// Saved implements workflow.Store.
func (s *Workflows) Saved(ctx context.Context, workspaceID, id string, limit, offset int) ([]workflow.Version, int, error) {
	var total int
	if err := s.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM workflow_versions v JOIN workflows w ON w.id = v.workflow_id WHERE w.workspace_id = $1 AND w.id = $2`, workspaceID, id).Scan(&total); err != nil {
		return nil, 0, explain(err)
	}
	rows, err := s.db.Read().QueryContext(ctx, `SELECT v.version, v.user_id, v.message, v.created_at FROM workflow_versions v JOIN workflows w ON w.id = v.workflow_id
		WHERE w.workspace_id = $1 AND w.id = $2 ORDER BY v.version DESC LIMIT $3 OFFSET $4`, workspaceID, id, limit, offset)
	items, err := collect(rows, err, func(row scanner) (v workflow.Version, err error) {
		var created int64
		err = row.Scan(&v.Number, &v.UserID, &v.Message, &created)
		v.CreatedAt = at(created)
		return v, err
	})
	return items, total, err
}

// SavedVersion implements workflow.Store.
func (s *Workflows) SavedVersion(ctx context.Context, workspaceID, id string, number int) (*workflow.Version, error) {
	var v workflow.Version
	var definition string
	var created int64
	err := s.db.Read().QueryRowContext(ctx, `SELECT v.version, v.user_id, v.message, v.created_at, v.definition FROM workflow_versions v JOIN workflows w ON w.id = v.workflow_id
		WHERE w.workspace_id = $1 AND w.id = $2 AND v.version = $3`, workspaceID, id, number).Scan(&v.Number, &v.UserID, &v.Message, &created, &definition)
	if err != nil {
		return nil, noRows(err, "version of this workflow")
	}
	v.CreatedAt = at(created)
	v.Definition = &workflow.Definition{}
	if err := json.Unmarshal([]byte(definition), v.Definition); err != nil {
		return nil, fmt.Errorf("read definition of %s: %w", id, err)
	}
	v.Definition.Normalise()
	return &v, nil
}

// Webhook implements workflow.Store.
func (s *Workflows) Webhook(ctx context.Context, slug, path string) (*workflow.Webhook, error) {
	found, err := s.webhooks(ctx, `k.slug = $1 AND h.path = $2`, slug, path)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fault.New(fault.NotFound, "no published workflow listens here")
	}
	return &found[0], nil
}

func (s *Workflows) webhooks(ctx context.Context, where string, args ...any) ([]workflow.Webhook, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT h.workspace_id, k.slug, h.workflow_id, h.version, h.node_id, h.config
		FROM webhooks h JOIN workspaces k ON k.id = h.workspace_id WHERE `+where+` ORDER BY h.path`, args...)
	return collect(rows, err, func(row scanner) (w workflow.Webhook, err error) {
		var config string
		if err := row.Scan(&w.WorkspaceID, &w.WorkspaceSlug, &w.WorkflowID, &w.Version, &w.NodeID, &config); err != nil {
			return w, err
		}
		return w, parseJSON(config, &w.Webhook)
	})
}
