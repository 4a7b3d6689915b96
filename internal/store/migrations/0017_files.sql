-- +goose Up
-- The bytes of a file are in the content store, under content_key.
CREATE TABLE files (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  user_id      TEXT NOT NULL,
  path         TEXT NOT NULL,
  search       TEXT NOT NULL, -- the path in lower case
  content_type TEXT NOT NULL,
  size         BIGINT NOT NULL,
  sha256       TEXT NOT NULL,
  content_key  TEXT NOT NULL,
  execution_id TEXT NOT NULL DEFAULT '',
  node_id      TEXT NOT NULL DEFAULT '',
  created_at   BIGINT NOT NULL,
  updated_at   BIGINT NOT NULL,
  UNIQUE (workspace_id, path)
);
CREATE INDEX files_list ON files (workspace_id, created_at);

-- Contents that no file has: those being written, and those to be removed. One
-- whose time is over is removed from the content store. reserved is what it
-- takes of its workspace's room meanwhile. Workspaces go, their contents are
-- swept after them.
CREATE TABLE loose_contents (
  content_key  TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  reserved     BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL
);
CREATE INDEX loose_contents_expires ON loose_contents (expires_at);

-- What the files of a workspace take, in bytes, reserved ones included. One
-- row for each workspace: uploads at once wait for one another here.
CREATE TABLE file_usage (
  workspace_id TEXT PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
  bytes        BIGINT NOT NULL
);
