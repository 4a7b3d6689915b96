package main

import (
	"context"
	"fmt"
	"os"

	"agentstudio/internal/backup"
	"agentstudio/internal/config"
	"agentstudio/internal/fault"
)

type backupCmd struct {
	File string `arg:"" help:"Where to write the backup, such as studio.tar.gz."`
}

// Run saves the data directory, while a server may be running on it.
func (c *backupCmd) Run(ctx context.Context, cfg *config.Config) error {
	if err := onSQLite(cfg); err != nil {
		return err
	}
	if err := backup.Save(ctx, cfg.DataDir, c.File); err != nil {
		return err
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return err
	}
	fmt.Printf("%s (%d KiB) holds the database, the keys and the files of %s\n", c.File, info.Size()>>10, cfg.DataDir)
	return nil
}

type restoreCmd struct {
	File string `arg:"" help:"A backup."`
}

// Run unpacks a backup into an empty data directory.
func (c *restoreCmd) Run(cfg *config.Config) error {
	if err := onSQLite(cfg); err != nil {
		return err
	}
	if err := backup.Restore(c.File, cfg.DataDir); err != nil {
		return err
	}
	fmt.Printf("%s holds what %s did: start `agentstudio serve`\n", cfg.DataDir, c.File)
	return nil
}

// onSQLite explains what to do on PostgreSQL.
func onSQLite(cfg *config.Config) error {
	if cfg.DatabaseURL == "" {
		return nil
	}
	return fault.New(fault.Conflict, "the database is PostgreSQL: save it with pg_dump --format=custom, put it back with pg_restore, and keep %s, which holds the keys and files, beside it", cfg.DataDir)
}
