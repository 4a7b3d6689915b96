-- +goose Up
CREATE TABLE mcp_servers (
  id                TEXT PRIMARY KEY,
  workspace_id      TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  user_id           TEXT NOT NULL,
  name              TEXT NOT NULL,
  search            TEXT NOT NULL, -- name and description in lower case
  transport         TEXT NOT NULL,
  category          TEXT NOT NULL,
  definition        TEXT NOT NULL,
  version           BIGINT NOT NULL,
  epoch             BIGINT NOT NULL, -- of connections: grows when they are to end
  created_at        BIGINT NOT NULL,
  updated_at        BIGINT NOT NULL,
  -- How the connections stand, as the last process said.
  status            TEXT NOT NULL,
  last_error        TEXT NOT NULL DEFAULT '',
  last_connected_at BIGINT NOT NULL DEFAULT 0, -- 0: never
  seen_at           BIGINT NOT NULL,
  capabilities      TEXT NOT NULL DEFAULT '',
  tools             TEXT NOT NULL DEFAULT '',
  UNIQUE (workspace_id, name)
);
CREATE INDEX mcp_servers_list ON mcp_servers (workspace_id, updated_at);
