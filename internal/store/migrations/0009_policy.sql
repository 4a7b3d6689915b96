-- +goose Up
-- What the workflow's concurrency setting makes of an execution. The key is
-- that of the executions it shares places with while it is open, '' when it
-- shares none and once it is over. held: 0 it has its place, 1 it waits for
-- one, 2 it asks for one when its time comes.
ALTER TABLE executions ADD COLUMN concurrency_key TEXT NOT NULL DEFAULT '';
ALTER TABLE executions ADD COLUMN concurrency_limit BIGINT NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN held BIGINT NOT NULL DEFAULT 0;
-- A run that reaches nothing outside.
ALTER TABLE executions ADD COLUMN dry_run BIGINT NOT NULL DEFAULT 0;
-- JSON of what few executions have: what was changed for a retry, what nodes
-- are not to be called.
ALTER TABLE executions ADD COLUMN extra TEXT NOT NULL DEFAULT '';
-- The places of a key that are taken, and who waits for one, in their order.
CREATE INDEX executions_places ON executions (concurrency_key, held, priority DESC, created_at, id) WHERE concurrency_key <> '';

-- The definitions of executions that run another one than a saved version.
CREATE TABLE execution_definitions (
  execution_id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  definition   TEXT NOT NULL
);
