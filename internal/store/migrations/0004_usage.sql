-- +goose Up
-- One row per call to a model. No references: what was spent stays spent,
-- whatever becomes of those who spent it. cost_micros is NULL when no price is
-- known.
CREATE TABLE usage_records (
  id             TEXT PRIMARY KEY,
  workspace_id   TEXT NOT NULL,
  user_id        TEXT NOT NULL,
  workflow_id    TEXT NOT NULL,
  execution_id   TEXT NOT NULL,
  node_id        TEXT NOT NULL,
  agent          TEXT NOT NULL,
  provider       TEXT NOT NULL,
  model          TEXT NOT NULL,
  input          BIGINT NOT NULL,
  output         BIGINT NOT NULL,
  cache_read     BIGINT NOT NULL,
  cache_write    BIGINT NOT NULL,
  cost_micros    BIGINT,
  latency_ms     BIGINT NOT NULL,
  first_token_ms BIGINT NOT NULL,
  outcome        TEXT NOT NULL,
  error_code     TEXT NOT NULL,
  at             BIGINT NOT NULL
);
CREATE INDEX usage_records_workspace ON usage_records (workspace_id, at);
CREATE INDEX usage_records_execution ON usage_records (execution_id);
