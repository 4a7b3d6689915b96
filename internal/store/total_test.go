package store

import (
	"errors"
	"testing"
	"time"
)

// counter counts as slowly as it is told, on a clock of its own.
type counter struct {
	at    time.Time
	takes time.Duration
	n     int
	err   error
	calls int
}

func (c *counter) now() time.Time { return c.at }

func (c *counter) count() (int, error) {
	c.calls++
	c.at = c.at.Add(c.takes)
	return c.n, c.err
}

func TestSlowCountsAreKeptForAsLongAsTheyAreWorth(t *testing.T) {
	var kept counts
	c := &counter{at: time.Unix(1_700_000_000, 0)}
	get := func(key string, least, wanted, calls int) {
		t.Helper()
		if n, err := kept.get(key, least, c.now, c.count); err != nil || n != wanted || c.calls != calls {
			t.Fatalf("counted %d (%v) in %d calls, want %d in %d", n, err, c.calls, wanted, calls)
		}
	}
	c.n, c.takes = 500, time.Millisecond
	get("quick", 20, 500, 1)
	c.n = 501
	get("quick", 20, 501, 2) // never kept

	c.n, c.takes = 1_000_000, 100*time.Millisecond
	get("slow", 20, 1_000_000, 3)
	c.n = 1_000_001
	c.at = c.at.Add(4900 * time.Millisecond)
	get("slow", 20, 1_000_000, 3)
	get("other", 20, 1_000_001, 4)
	c.at = c.at.Add(200 * time.Millisecond)
	get("slow", 20, 1_000_001, 5)
	get("slow", 1_000_002, 1_000_001, 6) // the page shows more than was counted

	c.n, c.takes = manyRows-1, time.Minute
	get("short", 20, manyRows-1, 7)
	c.n--
	get("short", 20, manyRows-2, 8) // never kept, however long it takes

	c.err, c.n = errors.New("away"), 0
	if _, err := kept.get("broken", 0, c.now, c.count); err == nil {
		t.Error("a failed count was told as one")
	}
	c.err, c.n = nil, 7
	get("broken", 0, 7, 10)
}

func TestSlowCountsGrowNoOlderThanThirtySeconds(t *testing.T) {
	var kept counts
	c := &counter{at: time.Unix(1_700_000_000, 0), takes: time.Minute, n: manyRows}
	for range 2 {
		if _, err := kept.get("k", 0, c.now, c.count); err != nil {
			t.Fatal(err)
		}
	}
	c.at = c.at.Add(oldestCount + time.Millisecond)
	if _, err := kept.get("k", 0, c.now, c.count); err != nil || c.calls != 2 {
		t.Errorf("counted %d times (%v), want 2", c.calls, err)
	}
}

func TestKeptCountsAreBounded(t *testing.T) {
	var kept counts
	c := &counter{at: time.Unix(1_700_000_000, 0), takes: time.Second, n: manyRows}
	for i := range maxCounts + 10 {
		if _, err := kept.get(string(rune(i)), 0, c.now, c.count); err != nil {
			t.Fatal(err)
		}
	}
	if len(kept.kept) > maxCounts {
		t.Errorf("%d counts are kept", len(kept.kept))
	}
}
