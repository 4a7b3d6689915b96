-- +goose Up
-- What a call made beside text: 'image' (units are pictures), 'speech'
-- (characters), 'transcription' (milliseconds of a recording); '' otherwise.
ALTER TABLE usage_records ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE usage_records ADD COLUMN units BIGINT NOT NULL DEFAULT 0;
