-- +goose Up
-- What agents noted for later. agent_id is '' for what all agents of the
-- workspace share.
CREATE TABLE memories (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  agent_id     TEXT NOT NULL,
  key          TEXT NOT NULL,
  text         TEXT NOT NULL,
  words        BIGINT NOT NULL, -- how many there are, repeated ones included
  created_at   BIGINT NOT NULL,
  updated_at   BIGINT NOT NULL,
  UNIQUE (workspace_id, agent_id, key)
);

-- The words of each, and how often they stand in it. The same index for both
-- databases, so that both find the same.
CREATE TABLE memory_terms (
  memory_id    TEXT NOT NULL REFERENCES memories (id) ON DELETE CASCADE,
  workspace_id TEXT NOT NULL,
  agent_id     TEXT NOT NULL,
  term         TEXT NOT NULL,
  times        BIGINT NOT NULL,
  PRIMARY KEY (memory_id, term)
);
CREATE INDEX memory_terms_find ON memory_terms (workspace_id, agent_id, term);
