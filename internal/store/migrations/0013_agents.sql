-- +goose Up
CREATE TABLE agents (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  user_id      TEXT NOT NULL,
  name         TEXT NOT NULL,
  search       TEXT NOT NULL, -- name and description in lower case
  type         TEXT NOT NULL,
  role         TEXT NOT NULL,
  definition   TEXT NOT NULL,
  version      BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  updated_at   BIGINT NOT NULL
);
CREATE INDEX agents_list ON agents (workspace_id, updated_at);

CREATE TABLE agent_tags (
  agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  tag      TEXT NOT NULL,
  PRIMARY KEY (agent_id, tag)
);
CREATE INDEX agent_tags_tag ON agent_tags (tag);

-- Which agents give tasks (how: task) or conversations (how: handoff) to which.
-- The target has no reference: whether it may go is asked before it does.
CREATE TABLE agent_links (
  agent_id  TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  how       TEXT NOT NULL,
  position  BIGINT NOT NULL,
  target_id TEXT NOT NULL,
  PRIMARY KEY (agent_id, how, position)
);
