-- +goose Up
-- One row for each rate that processes keep together; times are microseconds of
-- the database's clock. arrival is when the next request of the key would be on
-- time, excess by how much the last one was over the rate. Unlogged: no request
-- waits for the disk, and after a crash counting begins anew.
CREATE UNLOGGED TABLE rates (
  key     TEXT PRIMARY KEY,
  arrival BIGINT NOT NULL,
  excess  BIGINT NOT NULL
) WITH (fillfactor = 50);
