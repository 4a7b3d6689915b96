package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"agentstudio/internal/execution"
)

// headColumns are what a commit sets of an execution's row, in the order of
// headValues; the last three say whether to release the lease, and which row
// is meant if its lease is still the caller's.
var headColumns = strings.Split("status,output,output_ref,response,error,completed_nodes,failed_nodes,skipped_nodes,tokens_input,tokens_output,"+
	"tokens_cache_read,tokens_cache_write,cost_micros,cost_unknown,started_at,completed_at,wake_at,last_seq,release,id,epoch", ",")

// headKeys is how many of headColumns are no columns to set.
const headKeys = 3

func headValues(c *execution.Commit) []any {
	h := c.Head
	response, failure := "", ""
	if h.Response != nil {
		response = jsonText(h.Response)
	}
	if h.Error != nil {
		failure = jsonText(h.Error)
	}
	return []any{string(h.Status), string(h.Output), h.OutputRef, response, failure,
		h.CompletedNodes, h.FailedNodes, h.SkippedNodes, h.Usage.Input, h.Usage.Output, h.Usage.CacheRead, h.Usage.CacheWrite, h.Usage.CostMicros,
		flag(h.Usage.CostUnknown), millis(h.StartedAt), millis(h.CompletedAt), millis(h.WakeAt), h.LastSeq, flag(h.Release), c.ExecutionID, c.Epoch}
}

// heads updates the rows of the group's commits and reports, for each part of
// the group, whether its lease is still the caller's.
func (b *bulk) heads(ctx context.Context, group []*writing) ([]bool, error) {
	held := make([]bool, len(group))
	at := make(map[string]int, len(group))
	var values []any
	for i, w := range group {
		var err error
		switch {
		case w.commit == nil:
		case w.commit.Head == nil:
			held[i], err = b.holds(ctx, w.commit)
		case b.writer.db.Dialect() == Postgres:
			at[w.commit.ExecutionID] = i
			values = append(values, headValues(w.commit)...)
		default:
			held[i], err = b.head(ctx, w.commit)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(values) == 0 {
		return held, nil
	}
	columns := arrays(values, len(headColumns))
	found, err := b.tx.QueryContext(ctx, headsSQL(columns), columns...)
	ids, err := collect(found, err, func(row scanner) (id string, err error) { return id, row.Scan(&id) })
	if err != nil {
		return nil, fmt.Errorf("update executions: %w", err)
	}
	for _, id := range ids {
		held[at[id]] = true
	}
	return held, nil
}

// head updates one row.
func (b *bulk) head(ctx context.Context, c *execution.Commit) (held bool, err error) {
	result, err := b.exec(ctx, b.writer.head, headValues(c)...)
	if err != nil {
		return false, fmt.Errorf("update execution: %w", err)
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// holds looks whether the lease is the caller's without changing the row.
func (b *bulk) holds(ctx context.Context, c *execution.Commit) (bool, error) {
	var epoch int64
	err := b.tx.QueryRowContext(ctx, `SELECT epoch FROM executions WHERE id = $1`, c.ExecutionID).Scan(&epoch)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return epoch == c.Epoch, err
}

// headSQL updates one row from parameters.
func headSQL() string {
	var text strings.Builder
	text.WriteString("UPDATE executions SET ")
	for i, column := range headColumns[:len(headColumns)-headKeys] {
		text.WriteString(column + " = $" + strconv.Itoa(i+1) + ", ")
	}
	n := len(headColumns) - headKeys
	fmt.Fprintf(&text, "worker = CASE WHEN $%d = 1 THEN '' ELSE worker END WHERE id = $%d AND epoch = $%d", n+1, n+2, n+3)
	return text.String()
}

// headsSQL updates many rows from arrays, on PostgreSQL.
func headsSQL(columns []any) string {
	var text strings.Builder
	text.WriteString("UPDATE executions AS x SET ")
	for _, column := range headColumns[:len(headColumns)-headKeys] {
		text.WriteString(column + " = u." + column + ", ")
	}
	text.WriteString("worker = CASE WHEN u.release = 1 THEN '' ELSE x.worker END FROM " + unnest(columns) + " AS u(" + strings.Join(headColumns, ", ") + ") WHERE x.id = u.id AND x.epoch = u.epoch RETURNING x.id")
	return text.String()
}
