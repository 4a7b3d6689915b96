-- +goose Up
CREATE TABLE workflows (
  id                 TEXT PRIMARY KEY,
  workspace_id       TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  user_id            TEXT NOT NULL,
  name               TEXT NOT NULL,
  description        TEXT NOT NULL DEFAULT '',
  search             TEXT NOT NULL, -- name and description in lower case
  status             TEXT NOT NULL,
  tags               TEXT NOT NULL DEFAULT '[]',
  node_count         BIGINT NOT NULL DEFAULT 0,
  trigger_kinds      TEXT NOT NULL DEFAULT '[]',
  version            BIGINT NOT NULL,
  published_version  BIGINT,
  parent_workflow_id TEXT,
  created_at         BIGINT NOT NULL,
  updated_at         BIGINT NOT NULL
);
CREATE INDEX workflows_list ON workflows (workspace_id, updated_at);

CREATE TABLE workflow_tags (
  workflow_id TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
  tag         TEXT NOT NULL,
  PRIMARY KEY (workflow_id, tag)
);
CREATE INDEX workflow_tags_tag ON workflow_tags (tag);

-- Immutable: one row per saved change of the definition.
CREATE TABLE workflow_versions (
  workflow_id TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
  version     BIGINT NOT NULL,
  definition  TEXT NOT NULL,
  user_id     TEXT NOT NULL,
  message     TEXT NOT NULL DEFAULT '',
  created_at  BIGINT NOT NULL,
  PRIMARY KEY (workflow_id, version)
);

-- The armed webhook triggers of published workflows.
CREATE TABLE webhooks (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  workflow_id  TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
  version      BIGINT NOT NULL,
  node_id      TEXT NOT NULL,
  path         TEXT NOT NULL,
  config       TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  UNIQUE (workspace_id, path)
);
CREATE INDEX webhooks_workflow ON webhooks (workflow_id);

-- The armed schedule triggers of published workflows; next_at is the tick to
-- come, NULL when there is none.
CREATE TABLE schedules (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  workflow_id  TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
  version      BIGINT NOT NULL,
  node_id      TEXT NOT NULL,
  config       TEXT NOT NULL,
  next_at      BIGINT,
  last_at      BIGINT,
  created_at   BIGINT NOT NULL,
  UNIQUE (workflow_id, node_id)
);
CREATE INDEX schedules_due ON schedules (next_at);
