package store

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// manyRows is how many a list has at least whose count is kept: those of
	// shorter ones are exact, however busy the machine is.
	manyRows = 10_000
	// quickCount is how long a count may take that is made anew every time.
	quickCount = 5 * time.Millisecond
	// countShare is how many times as long as it took a slow count is good for:
	// counting then takes at most a fiftieth of one processor for each list.
	countShare = 50
	// oldestCount bounds that.
	oldestCount = 30 * time.Second
	// maxCounts bounds how many are kept.
	maxCounts = 1_000
)

// total returns how many rows a list has of which a page of found ones, at most
// limit from offset on, was read: only a page that is full, or empty, needs the
// query that counts. What is long and takes long to count is counted now and then:
// the total may then be up to 30 seconds old, and at least what the page shows.
func (db *DB) total(ctx context.Context, found, limit, offset int, count string, args ...any) (int, error) {
	if found < limit && (found > 0 || offset == 0) {
		return offset + found, nil
	}
	return db.counts.get(fmt.Sprintf("%s\x00%q", count, args), offset+found, time.Now, func() (n int, err error) {
		err = db.Read().QueryRowContext(ctx, count, args...).Scan(&n)
		return n, explain(err)
	})
}

// counts keeps what took long to count. It is safe for concurrent use; its zero
// value is empty.
type counts struct {
	mu   sync.Mutex
	kept map[string]keptCount
}

type keptCount struct {
	n    int
	good time.Time // until then
}

// get returns the count of the key, as kept unless fewer than at least, or made
// now.
func (c *counts) get(key string, least int, now func() time.Time, count func() (int, error)) (int, error) {
	began := now()
	c.mu.Lock()
	known, there := c.kept[key]
	c.mu.Unlock()
	if there && began.Before(known.good) && known.n >= least {
		return known.n, nil
	}
	n, err := count()
	took := now().Sub(began)
	if err != nil || n < manyRows || took <= quickCount {
		return n, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil || len(c.kept) >= maxCounts {
		c.kept = map[string]keptCount{}
	}
	c.kept[key] = keptCount{n, began.Add(took + min(took*countShare, oldestCount))}
	return n, nil
}
