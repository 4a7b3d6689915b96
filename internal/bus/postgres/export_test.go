package postgres

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
