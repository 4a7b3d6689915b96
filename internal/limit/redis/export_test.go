package redis

// Down reports whether Redis is taken to be gone.
func (s *Shared) Down() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}
