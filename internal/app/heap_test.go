package app

import "testing"

func TestTheHeapGrowsUnderWorkAndIsGivenBackAfter(t *testing.T) {
	const mib = 1 << 20
	k := newHeapKeeper()
	allocated := uint64(0)
	step := func(worked, live uint64) (int, bool) {
		allocated += worked
		percent, giveBack := k.next(allocated, live)
		k.percent = percent
		return percent, giveBack
	}
	if p, _ := step(0, 10*mib); p != 100 {
		t.Errorf("idle at the start: %d %%", p)
	}
	if p, _ := step(50*mib, 10*mib); p != 540 { // up to 64 MiB
		t.Errorf("under work: %d %%", p)
	}
	if p, _ := step(50*mib, 10*mib+100); p != 540 {
		t.Errorf("nearly the same again: %d %%", p)
	}
	if p, _ := step(50*mib, 100*mib); p != 100 {
		t.Errorf("with a large heap: %d %%", p)
	}
	step(50*mib, 16*mib)
	gifts := 0
	for range 20 {
		p, giveBack := step(0, 16*mib)
		if giveBack {
			gifts++
		}
		k.percent = p
	}
	if gifts != 1 || k.percent != 100 {
		t.Errorf("after the work memory was given back %d times, and %d %% is in force", gifts, k.percent)
	}
}
