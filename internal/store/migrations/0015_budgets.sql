-- +goose Up
-- What may be spent in a period. 0 is no bound. near_at and reached_at are the
-- beginnings of the periods in which people were told.
CREATE TABLE budgets (
  id              TEXT PRIMARY KEY,
  workspace_id    TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  scope           TEXT NOT NULL,
  target_id       TEXT NOT NULL DEFAULT '',
  period          TEXT NOT NULL,
  max_cost_micros BIGINT NOT NULL,
  max_tokens      BIGINT NOT NULL,
  version         BIGINT NOT NULL,
  near_at         BIGINT NOT NULL DEFAULT 0,
  reached_at      BIGINT NOT NULL DEFAULT 0,
  created_at      BIGINT NOT NULL,
  updated_at      BIGINT NOT NULL,
  UNIQUE (workspace_id, scope, target_id, period)
);

-- What calls that are under way may come to. One whose process died is let go
-- when its time is over.
CREATE TABLE budget_reservations (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  workflow_id  TEXT NOT NULL,
  agents       TEXT NOT NULL,
  cost_micros  BIGINT NOT NULL,
  tokens       BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL
);
CREATE INDEX budget_reservations_workspace ON budget_reservations (workspace_id, expires_at);
