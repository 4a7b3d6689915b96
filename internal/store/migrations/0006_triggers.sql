-- +goose Up
-- next_at is the oldest tick that has neither fired nor been let go, due_at
-- when to look at the row (the tick and its jitter, or later while it is held
-- back); NULL: never again. Schedules armed before this begin when first seen.
ALTER TABLE schedules ADD COLUMN due_at BIGINT;
ALTER TABLE schedules ADD COLUMN last_execution TEXT NOT NULL DEFAULT '';
UPDATE schedules SET due_at = 0;
CREATE INDEX schedules_due_at ON schedules (due_at);

-- What published workflows wait for, one row per event and subject: the end of
-- an execution (subject: of which workflow, '' for any) or a file that arrives
-- (subject: the pattern of its path).
CREATE TABLE listeners (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  workflow_id  TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
  version      BIGINT NOT NULL,
  node_id      TEXT NOT NULL,
  event        TEXT NOT NULL,
  subject      TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  UNIQUE (workflow_id, node_id, event, subject)
);
CREATE INDEX listeners_event ON listeners (workspace_id, event);

-- Executions that the end of another has called for, until they are created:
-- written with that end, removed with their creation.
CREATE TABLE follow_ups (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  source_id    TEXT NOT NULL,
  workflow_id  TEXT NOT NULL,
  version      BIGINT NOT NULL,
  node_id      TEXT NOT NULL,
  due_at       BIGINT NOT NULL
);
CREATE INDEX follow_ups_due ON follow_ups (due_at);
CREATE INDEX follow_ups_source ON follow_ups (source_id);
