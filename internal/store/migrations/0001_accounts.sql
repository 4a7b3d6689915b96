-- +goose Up
CREATE TABLE users (
  id                TEXT PRIMARY KEY,
  email             TEXT NOT NULL UNIQUE,
  full_name         TEXT NOT NULL DEFAULT '',
  avatar_url        TEXT,
  is_active         BOOLEAN NOT NULL DEFAULT TRUE,
  is_admin          BOOLEAN NOT NULL DEFAULT FALSE,
  email_verified_at BIGINT,
  last_login_at     BIGINT,
  created_at        BIGINT NOT NULL,
  updated_at        BIGINT NOT NULL
);

-- One row per address: asking again replaces the code.
CREATE TABLE otps (
  email      TEXT PRIMARY KEY,
  code_hash  TEXT NOT NULL,
  misses     BIGINT NOT NULL DEFAULT 0,
  expires_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);

-- A session is one signed-in device and the family of its refresh tokens.
CREATE TABLE sessions (
  id           TEXT PRIMARY KEY,
  user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  ip           TEXT NOT NULL DEFAULT '',
  user_agent   TEXT NOT NULL DEFAULT '',
  created_at   BIGINT NOT NULL,
  last_used_at BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  revoked_at   BIGINT
);
CREATE INDEX sessions_user ON sessions (user_id, last_used_at);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE refresh_tokens (
  token_hash TEXT PRIMARY KEY,
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  rotated_at BIGINT
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

CREATE TABLE workspaces (
  id            TEXT PRIMARY KEY,
  name          TEXT NOT NULL,
  slug          TEXT NOT NULL UNIQUE,
  description   TEXT NOT NULL DEFAULT '',
  is_personal   BOOLEAN NOT NULL DEFAULT FALSE,
  created_by    TEXT NOT NULL REFERENCES users (id),
  version       BIGINT NOT NULL DEFAULT 1,
  -- the head of the workspace's activity chain
  activity_seq  BIGINT NOT NULL DEFAULT 0,
  activity_hash TEXT NOT NULL DEFAULT '',
  created_at    BIGINT NOT NULL,
  updated_at    BIGINT NOT NULL
);
-- A person has one personal workspace.
CREATE UNIQUE INDEX workspaces_personal ON workspaces (created_by) WHERE is_personal;

CREATE TABLE members (
  workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  role         TEXT NOT NULL,
  invited_by   TEXT,
  joined_at    BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX members_user ON members (user_id);

CREATE TABLE api_keys (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name         TEXT NOT NULL,
  prefix       TEXT NOT NULL,
  key_hash     TEXT NOT NULL UNIQUE,
  scopes       TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  expires_at   BIGINT,
  last_used_at BIGINT
);
CREATE INDEX api_keys_user ON api_keys (user_id);
CREATE INDEX api_keys_workspace ON api_keys (workspace_id);

-- Single-use tokens for one WebSocket connection.
CREATE TABLE tickets (
  token_hash TEXT PRIMARY KEY,
  session_id TEXT,
  api_key_id TEXT,
  expires_at BIGINT NOT NULL
);

CREATE TABLE invitations (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  email        TEXT NOT NULL,
  role         TEXT NOT NULL,
  message      TEXT NOT NULL DEFAULT '',
  token_hash   TEXT NOT NULL UNIQUE,
  status       TEXT NOT NULL,
  invited_by   TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  answered_at  BIGINT
);
CREATE INDEX invitations_workspace ON invitations (workspace_id, created_at);
CREATE INDEX invitations_email ON invitations (email);
-- One open invitation per address and workspace.
CREATE UNIQUE INDEX invitations_open ON invitations (workspace_id, email) WHERE status = 'pending';

-- Append-only and hash-chained per workspace. No foreign keys: what happened
-- stays, whatever becomes of those it happened to.
CREATE TABLE activity (
  id            TEXT PRIMARY KEY,
  workspace_id  TEXT NOT NULL,
  seq           BIGINT NOT NULL,
  user_id       TEXT NOT NULL,
  user_email    TEXT NOT NULL,
  action        TEXT NOT NULL,
  resource_type TEXT NOT NULL,
  resource_id   TEXT NOT NULL,
  before_json   TEXT,
  after_json    TEXT,
  ip            TEXT NOT NULL,
  user_agent    TEXT NOT NULL,
  at            BIGINT NOT NULL,
  prev_hash     TEXT NOT NULL,
  hash          TEXT NOT NULL,
  UNIQUE (workspace_id, seq)
);
CREATE INDEX activity_user ON activity (workspace_id, user_id, seq);

-- The first answers to requests that carried an Idempotency-Key.
CREATE TABLE idempotency_keys (
  actor        TEXT NOT NULL,
  key          TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  status       BIGINT NOT NULL DEFAULT 0,
  headers      TEXT NOT NULL DEFAULT '',
  body         TEXT NOT NULL DEFAULT '',
  expires_at   BIGINT NOT NULL,
  PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
