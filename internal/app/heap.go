package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// heapKeeper spends memory on speed while there is work, and gives it back
// after. Go collects whenever the heap has doubled: with the 10 MiB this
// server lives on that is dozens of times a second under load, and a fifth of
// the processor's time (bench/RESULTS.md). While it is busy the heap may grow
// to the floor before it is collected; when the work is over the memory goes
// back to the system.
type heapKeeper struct {
	floor uint64 // bytes of heap below which it is not collected while busy
	busy  uint64 // bytes allocated in a beat that count as work
	beat  time.Duration
	calm  int // beats without work after which the memory is given back

	percent int // in force; the runtime's default is 100
	quiet   int
	last    uint64
	samples []metrics.Sample
}

func newHeapKeeper() *heapKeeper {
	return &heapKeeper{floor: 64 << 20, busy: 8 << 20, beat: 250 * time.Millisecond, calm: 4, percent: 100,
		samples: []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}}
}

// run keeps the heap until ctx ends. It does nothing where the operator has
// said how to collect: GOGC or GOMEMLIMIT is set.
func (k *heapKeeper) run(ctx context.Context) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	beat := time.NewTicker(k.beat)
	defer beat.Stop()
	defer debug.SetGCPercent(100)
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			metrics.Read(k.samples)
			percent, giveBack := k.next(k.samples[0].Value.Uint64(), k.samples[1].Value.Uint64())
			if percent != k.percent {
				k.percent = percent
				debug.SetGCPercent(percent)
			}
			if giveBack {
				debug.FreeOSMemory()
			}
		}
	}
}

// next takes in what was allocated so far and what lives, and says how far the
// heap may grow, in percent of what lives, and whether to give memory back now.
func (k *heapKeeper) next(allocated, live uint64) (percent int, giveBack bool) {
	worked := allocated - k.last
	k.last = allocated
	if worked < k.busy {
		k.quiet++
		if k.quiet < k.calm {
			return k.percent, false
		}
		return 100, k.quiet == k.calm && k.percent != 100
	}
	k.quiet = 0
	if live == 0 || live >= k.floor/2 {
		return 100, false
	}
	percent = min(int(k.floor*100/live)-100, 1000)
	if percent > k.percent*9/10 && percent < k.percent*11/10 {
		return k.percent, false // not worth stopping the world for
	}
	return percent, false
}
