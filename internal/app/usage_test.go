package app

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/usage"
)

// awayStore is a database that does not answer some times, then does.
type awayStore struct {
	refuse int
	tries  [][]usage.Record
	kept   chan []usage.Record
}

func (s *awayStore) Add(_ context.Context, records []usage.Record) error {
	s.tries = append(s.tries, records)
	if len(s.tries) <= s.refuse {
		return fault.New(fault.Unavailable, "away")
	}
	s.kept <- records
	return nil
}

func TestUsageRecordsWaitForADatabaseThatIsAway(t *testing.T) {
	away := &awayStore{refuse: 3, kept: make(chan []usage.Record, 1)}
	w := newUsageWriter(away, slog.New(slog.DiscardHandler))
	w.retry = time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.run(ctx) }()
	w.Record(ctx, usage.Record{Model: "m"})
	kept := <-away.kept
	stop()
	<-ended
	if len(kept) != 1 || kept[0].ID == "" || kept[0].ID != away.tries[0][0].ID {
		t.Errorf("kept %+v, first tried %+v", kept, away.tries[0])
	}
}
