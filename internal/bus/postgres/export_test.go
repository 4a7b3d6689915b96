package postgres

import "time"

// Told returns how many messages were sent.
func (b *Bus) Told() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}

// Knows reports whether it is settled what the peer listens to.
func (b *Bus) Knows(other *Bus) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.peers[other.id]
	return p != nil && p.known && !b.until.IsZero()
}

// Settled waits until the bus is connected and has told what it had to.
func (b *Bus) Settled(t interface{ Fatal(...any) }) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		b.mu.Lock()
		done := !b.until.IsZero() && len(b.control) == 0 && len(b.fresh) == 0 && b.all.empty()
		b.mu.Unlock()
		if done {
			return
		}
	}
	t.Fatal("the bus does not come to rest")
}
