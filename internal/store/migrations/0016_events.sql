-- +goose Up
-- What calls for an execution may be more than the end of another: then data is
-- what it hands over, and at is when it happened.
ALTER TABLE follow_ups ADD COLUMN data TEXT NOT NULL DEFAULT '';
ALTER TABLE follow_ups ADD COLUMN at BIGINT NOT NULL DEFAULT 0;
