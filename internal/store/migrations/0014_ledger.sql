-- +goose Up
-- A record is a call to a model (tool is '') or to a tool (provider and model
-- are ''). agents is who called the agent, the outermost first, and itself:
-- '/lead/helper/'. reasoning is a part of output.
ALTER TABLE usage_records ADD COLUMN tool TEXT NOT NULL DEFAULT '';
ALTER TABLE usage_records ADD COLUMN agents TEXT NOT NULL DEFAULT '';
ALTER TABLE usage_records ADD COLUMN api_key_id TEXT NOT NULL DEFAULT '';
ALTER TABLE usage_records ADD COLUMN reasoning BIGINT NOT NULL DEFAULT 0;
