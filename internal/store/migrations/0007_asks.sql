-- +goose Up
-- What nodes that wait have asked for: a call, a decision. A row is written
-- with the commit that parks its node. taken is 1 once the node has gone on with
-- the answer, or needs none any more. mail_at is when to write to the
-- approvers; 0: not, or done.
CREATE TABLE asks (
  id             TEXT PRIMARY KEY,
  workspace_id   TEXT NOT NULL,
  execution_id   TEXT NOT NULL,
  node_id        TEXT NOT NULL,
  iteration      TEXT NOT NULL,
  name           TEXT NOT NULL,
  kind           TEXT NOT NULL,
  title          TEXT NOT NULL,
  key            TEXT NOT NULL,
  message        TEXT NOT NULL,
  subject        TEXT NOT NULL,
  form           TEXT NOT NULL,
  form_optional  BIGINT NOT NULL,
  approvers      TEXT NOT NULL,
  created_at     BIGINT NOT NULL,
  expires_at     BIGINT NOT NULL,
  mail_at        BIGINT NOT NULL,
  status         TEXT NOT NULL,
  taken          BIGINT NOT NULL DEFAULT 0,
  decision       TEXT NOT NULL DEFAULT '',
  comment        TEXT NOT NULL DEFAULT '',
  data           TEXT NOT NULL DEFAULT '',
  answered_by    TEXT NOT NULL DEFAULT '',
  answered_email TEXT NOT NULL DEFAULT '',
  answered_at    BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX asks_name ON asks (execution_id, node_id, iteration, name);
CREATE UNIQUE INDEX asks_key ON asks (key) WHERE key <> '';
CREATE INDEX asks_open ON asks (workspace_id, created_at, id) WHERE status = 'open' AND key = '';
CREATE INDEX asks_untaken ON asks (execution_id) WHERE status = 'answered' AND taken = 0;
CREATE INDEX asks_mail ON asks (mail_at) WHERE mail_at > 0;

-- Who may answer, one row each: an id, an address, a role, or * for everybody
-- who may execute.
CREATE TABLE ask_approvers (
  ask_id TEXT NOT NULL,
  who    TEXT NOT NULL,
  PRIMARY KEY (ask_id, who)
);

-- Letters to approvers that are to be sent; a sent one is gone.
CREATE TABLE letters (
  ask_id   TEXT NOT NULL,
  address  TEXT NOT NULL,
  due_at   BIGINT NOT NULL,
  attempts BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (ask_id, address)
);
CREATE INDEX letters_due ON letters (due_at);

CREATE INDEX executions_cancelling ON executions (cancel_requested) WHERE cancel_requested = 1 AND status IN ('pending', 'running', 'waiting', 'paused');
