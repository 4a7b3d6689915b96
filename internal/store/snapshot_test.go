package store

import "testing"

func TestSnapshotsTellHowManyTransactionsEnded(t *testing.T) {
	for _, c := range []struct {
		before, now string
		want        uint64
	}{
		{"10:10:", "10:10:", 0},
		{"10:10:", "11:11:", 1},
		{"10:10:", "10:11:10", 0},      // one has begun
		{"10:11:10", "11:11:", 1},      // and ended
		{"10:13:10,12", "12:13:12", 1}, // of two running ones, one
		{"10:13:10,12", "13:15:13", 3}, // both, and one that came after
		{"10:13:10,12", "10:13:10,12", 0},
	} {
		before, err := parseSnapshot(c.before)
		if err != nil {
			t.Fatal(err)
		}
		now, err := parseSnapshot(c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := now.endedSince(before); got != c.want {
			t.Errorf("%s to %s: %d, want %d", c.before, c.now, got, c.want)
		}
	}
	if (snapshot{}).endedSince(snapshot{}) == 0 {
		t.Error("the first snapshot is taken for one that is known")
	}
	for _, text := range []string{"", "1:2", "1:x:", "a:b:c:d"} {
		if _, err := parseSnapshot(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
