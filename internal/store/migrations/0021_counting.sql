-- +goose Up
-- Counting what a list has reads this index alone: the shares of splits, which
-- lists leave out, are told by it too.
DROP INDEX executions_list;
CREATE INDEX executions_list ON executions (workspace_id, created_at, id, trigger_type);
