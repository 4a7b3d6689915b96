package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	twinSuffix = ".postgres.sql"
	// migrationLock is the advisory lock replicas queue at while one of them
	// migrates; the number is arbitrary and must never change.
	migrationLock = 7_305_441_901
)

// migrate applies the migrations that are missing, in order.
func (db *DB) migrate(ctx context.Context, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	other, err := otherDialect(dir, db.dialect)
	if err != nil {
		return err
	}
	dialect := goose.DialectSQLite3
	if db.dialect == Postgres {
		dialect = goose.DialectPostgres
		unlock, err := db.lockMigrations(ctx)
		if err != nil {
			return err
		}
		defer unlock()
	}
	provider, err := goose.NewProvider(dialect, db.write, dir,
		goose.WithExcludeNames(other), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	done, err := provider.Up(ctx)
	for _, r := range done {
		log.Info("migration applied", "version", r.Source.Version, "duration_ms", r.Duration.Milliseconds())
	}
	if err != nil || db.dialect == SQLite {
		return explain(err)
	}
	return db.migrateQueue(ctx, log)
}

// migrateQueue brings River's tables up to date, under the same lock.
func (db *DB) migrateQueue(ctx context.Context, log *slog.Logger) error {
	migrator, err := rivermigrate.New(riverdatabasesql.New(db.write), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("read the queue's migrations: %w", err)
	}
	done, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return explain(fmt.Errorf("migrate the queue: %w", err))
	}
	for _, v := range done.Versions {
		log.Info("queue migration applied", "version", v.Version, "duration_ms", v.Duration.Milliseconds())
	}
	// For searching jobs in River's own user interface only, and a fifth of
	// what a job costs the database.
	_, err = db.write.ExecContext(ctx, `DROP INDEX IF EXISTS river_job_args_index, river_job_metadata_index, river_job_kind`)
	if err != nil {
		return explain(err)
	}
	// River chooses every few seconds which process looks after its queue.
	_, err = db.write.ExecContext(ctx, `DO $$ BEGIN
		IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'note_quiet_transaction' AND tgrelid = 'river_leader'::regclass) THEN
			CREATE TRIGGER note_quiet_transaction AFTER INSERT OR UPDATE OR DELETE ON river_leader FOR EACH STATEMENT EXECUTE FUNCTION note_quiet_transaction();
		END IF;
	END $$`)
	return explain(err)
}

// otherDialect lists the files that are not for the dialect: twins on SQLite,
// and on PostgreSQL the files that have a twin.
func otherDialect(dir fs.FS, dialect Dialect) ([]string, error) {
	twins, err := fs.Glob(dir, "*"+twinSuffix)
	if err != nil || dialect == SQLite {
		return twins, err
	}
	var replaced []string
	for _, twin := range twins {
		replaced = append(replaced, strings.TrimSuffix(twin, twinSuffix)+".sql")
	}
	return replaced, nil
}

// lockMigrations waits for the advisory lock on a connection of its own.
func (db *DB) lockMigrations(ctx context.Context) (unlock func(), err error) {
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return nil, explain(err)
	}
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, migrationLock); err != nil {
		_ = conn.Close()
		return nil, explain(err)
	}
	return func() {
		// The lock also falls with its session, so a failure here is harmless.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, migrationLock)
		_ = conn.Close()
	}, nil
}
