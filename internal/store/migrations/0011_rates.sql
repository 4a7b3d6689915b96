-- +goose Up
-- One row for each rate that processes keep together; times are microseconds of
-- the database's clock. arrival is when the next request of the key would be on
-- time, excess by how much the last one was over the rate.
CREATE TABLE rates (
  key     TEXT PRIMARY KEY,
  arrival BIGINT NOT NULL,
  excess  BIGINT NOT NULL
);
