// Package retention removes what was kept long enough: finished executions,
// large values nobody refers to, and codes and keys that mean nothing any
// more. It works in small steps with pauses, so that nobody waits for it.
package retention

import (
	"context"
	"log/slog"
	"time"

	"agentstudio/internal/execution"
)

// Store removes. Its methods are those of store.Retention.
type Store interface {
	Alone(ctx context.Context, do func(context.Context) error) (ran bool, err error)
	Scopes(ctx context.Context) (workflows map[string]int, workspaces []string, err error)
	OfWorkflow(ctx context.Context, workflowID string, before time.Time, limit int) (int, error)
	OfWorkspace(ctx context.Context, workspaceID string, before time.Time, limit int) (int, error)
	Payloads(ctx context.Context, at *execution.PayloadKey, before time.Time, limit int) (removed int64, err error)
	Expired(ctx context.Context, now time.Time, limit int) (removed int64, err error)
}

// Config adjusts a Keeper; zero values are useful.
type Config struct {
	// Days is how long finished executions are kept where the workflow does
	// not say; 0 keeps them for ever.
	Days  int
	Every time.Duration // between two rounds; 1 h
	First time.Duration // before the first; 1 min
	Pause time.Duration // between two steps; 20 ms
	Step  int           // things removed in one transaction; 100
	Now   func() time.Time
	Log   *slog.Logger
}

// Keeper cleans up now and then.
type Keeper struct {
	store Store
	cfg   Config
}

// New returns a keeper.
func New(store Store, cfg Config) *Keeper {
	set(&cfg.Every, time.Hour)
	set(&cfg.First, time.Minute)
	set(&cfg.Pause, 20*time.Millisecond)
	set(&cfg.Step, 100)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Keeper{store: store, cfg: cfg}
}

func set[T comparable](field *T, fallback T) {
	var zero T
	if *field == zero {
		*field = fallback
	}
}

// Run cleans up until ctx ends. Of several processes on a database one does.
func (k *Keeper) Run(ctx context.Context) {
	for wait := k.cfg.First; sleep(ctx, wait); wait = k.cfg.Every {
		removed := Removed{}
		_, err := k.store.Alone(ctx, func(ctx context.Context) (err error) {
			removed, err = k.Round(ctx)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			k.cfg.Log.Error("clean up", "error", err)
		case removed != Removed{}:
			k.cfg.Log.Info("cleaned up", "executions", removed.Executions, "payloads", removed.Payloads, "expired", removed.Expired)
		}
	}
}

// Removed counts what a round took away.
type Removed struct {
	Executions int
	Payloads   int64
	Expired    int64
}

// margin is how long a large value that nothing refers to is left alone.
const margin = 24 * time.Hour

// Round removes everything there is to remove now.
func (k *Keeper) Round(ctx context.Context) (out Removed, err error) {
	now := k.cfg.Now()
	workflows, workspaces, err := k.store.Scopes(ctx)
	if err != nil {
		return out, err
	}
	for id, days := range workflows {
		if err := k.steps(ctx, &out, func(ctx context.Context) (int, error) {
			return k.store.OfWorkflow(ctx, id, now.AddDate(0, 0, -days), k.cfg.Step)
		}); err != nil {
			return out, err
		}
	}
	for _, id := range workspaces {
		if k.cfg.Days <= 0 {
			break
		}
		if err := k.steps(ctx, &out, func(ctx context.Context) (int, error) {
			return k.store.OfWorkspace(ctx, id, now.AddDate(0, 0, -k.cfg.Days), k.cfg.Step)
		}); err != nil {
			return out, err
		}
	}
	for at, more := (execution.PayloadKey{}), true; more; more = at.Hash != "" && sleep(ctx, k.cfg.Pause) {
		n, err := k.store.Payloads(ctx, &at, now.Add(-margin), k.cfg.Step)
		if err != nil {
			return out, err
		}
		out.Payloads += n
	}
	out.Expired, err = k.store.Expired(ctx, now, 10*k.cfg.Step)
	return out, err
}

// steps goes on until there is nothing more to remove.
func (k *Keeper) steps(ctx context.Context, out *Removed, step func(context.Context) (int, error)) error {
	for {
		n, err := step(ctx)
		out.Executions += n
		if err != nil || n < k.cfg.Step {
			return err
		}
		if !sleep(ctx, k.cfg.Pause) {
			return ctx.Err()
		}
	}
}

// sleep waits; false when ctx ended.
func sleep(ctx context.Context, long time.Duration) bool {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
