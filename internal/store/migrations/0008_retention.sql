-- +goose Up
-- How many days finished executions of the workflow are kept; 0: as the
-- installation says.
ALTER TABLE workflows ADD COLUMN retention_days BIGINT NOT NULL DEFAULT 0;

-- Who still uses a payload.
CREATE INDEX node_executions_payload ON node_executions (output_ref) WHERE output_ref <> '';
CREATE INDEX executions_payload ON executions (output_ref) WHERE output_ref <> '';
