package river

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// leaderLock is the advisory lock whose holder wakes what is due. It falls
// with its connection. The number is ours alone and must never change.
const leaderLock = 7_203_114_903

// lead waits until no other process leads, then wakes executions whose time
// has come and finds forgotten ones, until ctx ends. Two leaders at a time, as
// after a cut connection, do no harm: rows are taken under their locks.
func (d *Dispatcher) lead(ctx context.Context, pool *pgxpool.Pool) {
	for {
		if err := d.reign(ctx, pool); err != nil && ctx.Err() == nil {
			d.cfg.Log.Warn("cannot lead", "error", err)
		}
		if !d.rest(ctx, d.cfg.Retry) {
			return
		}
	}
}

// reign leads while this process has the lock; it returns at once when another
// has it.
func (d *Dispatcher) reign(ctx context.Context, pool *pgxpool.Pool) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	var leads bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, leaderLock).Scan(&leads); err != nil || !leads {
		return err
	}
	defer func() {
		_ = d.limited(context.WithoutCancel(ctx), func(ctx context.Context) error {
			_, err := conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, leaderLock)
			if err != nil {
				_ = conn.Conn().Close(ctx) // the lock falls with it
			}
			return err
		})
	}()
	var swept time.Time
	for ctx.Err() == nil {
		// Still connected: else another process leads by now.
		if err := d.limited(ctx, conn.Ping); err != nil {
			return err
		}
		if time.Since(swept) >= d.cfg.Sweep {
			if err := d.sweep(ctx); err != nil {
				return err
			}
			swept = time.Now()
		}
		next, err := d.wake(ctx)
		if err != nil {
			return err
		}
		d.await(ctx, next)
	}
	return nil
}

// wake wakes what is due and returns when to come again.
func (d *Dispatcher) wake(ctx context.Context) (time.Time, error) {
	var woken int
	var in time.Duration
	err := d.limited(ctx, func(ctx context.Context) (err error) {
		woken, in, err = d.leases.Wake(ctx, batch)
		return err
	})
	now := time.Now()
	switch {
	case err != nil:
		return now, err
	case in < 0 || in > d.cfg.Look:
		return now.Add(d.cfg.Look), nil
	case woken == 0:
		return now.Add(max(in, 2*time.Millisecond)), nil // what is due is locked: not at once
	}
	return now.Add(in), nil
}

// await waits until the time, or until somebody names an earlier one.
func (d *Dispatcher) await(ctx context.Context, next time.Time) {
	for {
		timer := time.NewTimer(max(time.Until(next), 0))
		select {
		case <-timer.C:
			return
		case <-ctx.Done():
			timer.Stop()
			return
		case at := <-d.replan:
			timer.Stop()
			if at.Before(next) {
				next = at
			}
		}
	}
}

// sweep has forgotten executions go on, in transactions of a bounded size.
func (d *Dispatcher) sweep(ctx context.Context) error {
	for found := batch; found >= batch; {
		err := d.limited(ctx, func(ctx context.Context) (err error) {
			found, err = d.leases.Sweep(ctx, batch)
			return err
		})
		if err != nil {
			return err
		}
		if found > 0 {
			d.cfg.Log.Warn("executions were forgotten: they go on now", "executions", found)
		}
	}
	return nil
}
