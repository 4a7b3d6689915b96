-- +goose Up
-- The processes that run executions; times are milliseconds of the database's
-- clock. A worker that is silent beyond expires_at loses what it holds.
CREATE TABLE workers (
  id           TEXT PRIMARY KEY,
  name         TEXT NOT NULL,
  host         TEXT NOT NULL,
  version      TEXT NOT NULL,
  queues       TEXT NOT NULL,
  started_at   BIGINT NOT NULL,
  heartbeat_at BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL
);
-- 1: somebody wants the row looked at. While a worker holds the execution it is
-- told; while nobody does, a dispatch entry exists.
ALTER TABLE executions ADD COLUMN look BIGINT NOT NULL DEFAULT 0;
