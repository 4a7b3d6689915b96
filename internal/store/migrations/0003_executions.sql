-- +goose Up
-- One row per run. Its row outlives its workflow: no reference to workflows.
-- Times are milliseconds, 0 where there is none.
CREATE TABLE executions (
  id                 TEXT PRIMARY KEY,
  workspace_id       TEXT NOT NULL,
  workflow_id        TEXT NOT NULL,
  workflow_name      TEXT NOT NULL,
  workflow_version   BIGINT NOT NULL,
  user_id            TEXT NOT NULL,
  status             TEXT NOT NULL,
  trigger_type       TEXT NOT NULL,
  start_node         TEXT NOT NULL,
  trigger_data       TEXT NOT NULL,
  output             TEXT NOT NULL DEFAULT '',
  output_ref         TEXT NOT NULL DEFAULT '',
  response           TEXT NOT NULL DEFAULT '',
  error              TEXT NOT NULL DEFAULT '',
  priority           BIGINT NOT NULL DEFAULT 0,
  total_nodes        BIGINT NOT NULL DEFAULT 0,
  completed_nodes    BIGINT NOT NULL DEFAULT 0,
  failed_nodes       BIGINT NOT NULL DEFAULT 0,
  skipped_nodes      BIGINT NOT NULL DEFAULT 0,
  tokens_input       BIGINT NOT NULL DEFAULT 0,
  tokens_output      BIGINT NOT NULL DEFAULT 0,
  tokens_cache_read  BIGINT NOT NULL DEFAULT 0,
  tokens_cache_write BIGINT NOT NULL DEFAULT 0,
  cost_micros        BIGINT NOT NULL DEFAULT 0,
  cost_unknown       BIGINT NOT NULL DEFAULT 0,
  retry_of           TEXT NOT NULL DEFAULT '',
  parent_id          TEXT NOT NULL DEFAULT '',
  parent_node        TEXT NOT NULL DEFAULT '',
  parent_iteration   TEXT NOT NULL DEFAULT '',
  depth              BIGINT NOT NULL DEFAULT 0,
  scheduled_at       BIGINT NOT NULL DEFAULT 0,
  created_at         BIGINT NOT NULL,
  started_at         BIGINT NOT NULL DEFAULT 0,
  completed_at       BIGINT NOT NULL DEFAULT 0,
  wake_at            BIGINT NOT NULL DEFAULT 0,
  cancel_requested   BIGINT NOT NULL DEFAULT 0,
  pause_requested    BIGINT NOT NULL DEFAULT 0,
  last_seq           BIGINT NOT NULL DEFAULT 0,
  worker             TEXT NOT NULL DEFAULT '',
  epoch              BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX executions_list ON executions (workspace_id, created_at, id);
CREATE INDEX executions_workflow ON executions (workflow_id, created_at);
CREATE INDEX executions_open ON executions (status, wake_at) WHERE status IN ('pending', 'running', 'waiting', 'paused');
CREATE INDEX executions_parent ON executions (parent_id) WHERE parent_id <> '';

CREATE TABLE execution_keys (
  workspace_id TEXT NOT NULL,
  key          TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  execution_id TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, key)
);

-- One row per node and iteration; a container has one more per finished round.
CREATE TABLE node_executions (
  execution_id TEXT NOT NULL,
  iteration    TEXT NOT NULL,
  node_id      TEXT NOT NULL,
  id           TEXT NOT NULL,
  kind         TEXT NOT NULL,
  title        TEXT NOT NULL,
  attempt      BIGINT NOT NULL,
  status       TEXT NOT NULL,
  handles      TEXT NOT NULL,
  output       TEXT NOT NULL,
  output_ref   TEXT NOT NULL,
  error        TEXT NOT NULL,
  usage        TEXT NOT NULL,
  wait         TEXT NOT NULL,
  started_at   BIGINT NOT NULL,
  completed_at BIGINT NOT NULL,
  PRIMARY KEY (execution_id, iteration, node_id)
);

-- Events are written in packs, one per commit; last_seq is the pack's newest.
CREATE TABLE execution_events (
  execution_id TEXT NOT NULL,
  last_seq     BIGINT NOT NULL,
  events       TEXT NOT NULL,
  PRIMARY KEY (execution_id, last_seq)
);

CREATE TABLE execution_logs (
  execution_id TEXT NOT NULL,
  seq          BIGINT NOT NULL,
  node_id      TEXT NOT NULL,
  iteration    TEXT NOT NULL,
  level        TEXT NOT NULL,
  message      TEXT NOT NULL,
  data         TEXT NOT NULL,
  at           BIGINT NOT NULL,
  PRIMARY KEY (execution_id, seq)
);

CREATE TABLE agent_steps (
  execution_id TEXT NOT NULL,
  node_id      TEXT NOT NULL,
  iteration    TEXT NOT NULL,
  name         TEXT NOT NULL,
  kind         TEXT NOT NULL,
  title        TEXT NOT NULL,
  input        TEXT NOT NULL,
  output       TEXT NOT NULL,
  failed       BIGINT NOT NULL,
  usage        TEXT NOT NULL,
  started_at   BIGINT NOT NULL,
  ended_at     BIGINT NOT NULL,
  PRIMARY KEY (execution_id, node_id, iteration, name)
);

-- Large values, once per workspace and content.
CREATE TABLE payloads (
  workspace_id TEXT NOT NULL,
  hash         TEXT NOT NULL,
  size         BIGINT NOT NULL,
  data         TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, hash)
);
