package main

import (
	"sync"
	"time"

	"agentstudio/bench/studio"
)

// peak notes the most a server has resident, looking every few milliseconds.
type peak struct {
	stop    chan struct{}
	looking sync.WaitGroup
	most    int64
}

func newPeak(s *studio.Studio) *peak {
	p := &peak{stop: make(chan struct{})}
	p.looking.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-tick.C:
				if now, err := s.Memory(); err == nil {
					p.most = max(p.most, now)
				}
			}
		}
	})
	return p
}

// end returns the most that was resident, in MiB.
func (p *peak) end() float64 {
	close(p.stop)
	p.looking.Wait()
	return mibOf(p.most)
}

func mibOf(n int64) float64 { return float64(n) / (1 << 20) }
