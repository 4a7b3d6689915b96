package store

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

func openPostgres(cfg Config) (*DB, error) {
	conf, err := pgx.ParseConfig(cfg.URL)
	if err != nil {
		// The parser's own message may repeat the address, password included.
		return nil, errors.New("DATABASE_URL cannot be read: write postgres://user:password@host:5432/database")
	}
	if conf.ConnectTimeout == 0 {
		conf.ConnectTimeout = 5 * time.Second
	}
	if _, set := conf.RuntimeParams["application_name"]; !set {
		conf.RuntimeParams["application_name"] = "agentstudio"
	}
	pool := stdlib.OpenDB(*conf)
	n := cfg.MaxConns
	if n <= 0 {
		n = 20
	}
	pool.SetMaxOpenConns(n)
	pool.SetMaxIdleConns(n)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	reader := newReader(pool, Postgres)
	seen := &snapshots{db: reader, unrest: unrestTime}
	return &DB{dialect: Postgres, identities: identities{versions: seen}, changes: newChanges(false), recall: newRecall(seen), write: pool, read: reader, close: closeAll(pool.Close)}, nil
}
