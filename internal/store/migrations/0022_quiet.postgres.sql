-- +goose Up
-- Transactions that have changed nothing that anybody reads again and again, such
-- as signs of life: each says so of itself. Unlogged: one that is not here counts
-- as a change, and nothing worse.
CREATE UNLOGGED TABLE quiet_transactions (
  id       xid8 PRIMARY KEY DEFAULT pg_current_xact_id(),
  noted_at BIGINT NOT NULL
);

-- For tables of others, who do not know of this one.
-- +goose StatementBegin
CREATE FUNCTION note_quiet_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO quiet_transactions (noted_at) VALUES ((extract(epoch FROM clock_timestamp()) * 1000)::bigint) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
