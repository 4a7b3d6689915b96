package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/usage"
)

// usageStore keeps records of model calls.
type usageStore interface {
	Add(ctx context.Context, records []usage.Record) error
}

// usageWriter gathers the records of model calls and writes them in batches,
// so that no call waits for the database. What an execution used is kept with
// its nodes as well: a record lost with the process loses no accounting.
type usageWriter struct {
	store   usageStore
	log     *slog.Logger
	queue   chan usage.Record
	retry   time.Duration
	dropped atomic.Int64
}

// usageQueue bounds the records that wait; usageBatch those written at once.
const (
	usageQueue = 8_192
	usageBatch = 256
)

func newUsageWriter(store usageStore, log *slog.Logger) *usageWriter {
	return &usageWriter{store: store, log: log, queue: make(chan usage.Record, usageQueue), retry: time.Second}
}

// Record implements usage.Sink.
func (w *usageWriter) Record(_ context.Context, r usage.Record) {
	if r.ID == "" {
		r.ID = NewID() // a batch may be written twice
	}
	select {
	case w.queue <- r:
	default:
		if w.dropped.Add(1)%1000 == 1 {
			w.log.Error("usage records are dropped: the database does not keep up", "dropped", w.dropped.Load())
		}
	}
}

// run writes until ctx ends, then what is still queued. A batch that finds the
// database away waits for it, and the others behind it.
func (w *usageWriter) run(ctx context.Context) {
	for {
		select {
		case r := <-w.queue:
			w.keep(ctx, w.gather(r))
		case <-ctx.Done():
			for len(w.queue) > 0 {
				w.keep(ctx, w.gather(<-w.queue))
			}
			return
		}
	}
}

// keep writes a batch, once more every retry while the database is away and
// ctx lasts.
func (w *usageWriter) keep(ctx context.Context, batch []usage.Record) {
	for told := false; ; told = true {
		err := w.write(batch)
		if err == nil {
			return
		}
		if !fault.Is(err, fault.Unavailable) || ctx.Err() != nil {
			w.log.Error("usage records were not kept", "records", len(batch), "error", err)
			return
		}
		if !told {
			w.log.Warn("usage records wait for the database", "records", len(batch), "error", err)
		}
		timer := time.NewTimer(w.retry)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (w *usageWriter) gather(first usage.Record) []usage.Record {
	batch := []usage.Record{first}
	for len(batch) < usageBatch {
		select {
		case r := <-w.queue:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

func (w *usageWriter) write(batch []usage.Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return w.store.Add(ctx, batch)
}

// counted is a gate whose settled calls the metrics hear of too.
type counted struct {
	*usage.Service
	metrics usage.Sink
}

// Settle implements llm.Gate.
func (c counted) Settle(ctx context.Context, id string, r usage.Record) error {
	err := c.Service.Settle(ctx, id, r)
	if err == nil {
		c.metrics.Record(ctx, r)
	}
	return err
}
