package store

import (
	"context"
	"fmt"
	"testing"
)

// A change that cannot be read counts as one of everything.
func TestWhatIsNotKnownChangesAll(t *testing.T) {
	c := newChanges(true)
	before := make([]uint64, counters)
	for i := range before {
		before[i] = c.counts[i].Load()
	}
	mine := c.begin()
	mine.add(5)
	mine.add(4095)
	c.end(mine)
	for i := range before {
		if raised := c.counts[i].Load() != before[i]; raised != (i == 5 || i == 4095) {
			t.Errorf("counter %d: raised is %v", i, raised)
		}
		before[i] = c.counts[i].Load()
	}
	mine = c.begin()
	mine.all = true
	c.end(mine)
	for i := range before {
		if c.counts[i].Load() != before[i]+1 {
			t.Errorf("counter %d was not raised", i)
		}
	}
}

// What is kept is bounded, and what is too large is read each time.
func TestWhatIsKeptIsBounded(t *testing.T) {
	r := newRecall(newChanges(true))
	reads := 0
	ask := func(id string, size int) {
		t.Helper()
		got, err := current(context.Background(), r, question{what: "x", id: id}, []subject{{"executions", id}}, func() (string, int, error) { reads++; return id, size, nil })
		if got != id || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	}
	for range 3 {
		ask("small", 1000)
		ask("large", largestRecalled)
	}
	if reads != 4 {
		t.Errorf("%d readings, want 1 and 3", reads)
	}
	for i := range 3 * maxRecalled / 50_000 {
		ask(fmt.Sprint(i), 50_000)
	}
	r.cache.CleanUp()
	if w := r.cache.WeightedSize(); w > maxRecalled || w < maxRecalled/2 {
		t.Errorf("%d bytes are kept", w)
	}
}
