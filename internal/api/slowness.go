package api

import (
	"sync"
	"time"
)

// slowness drops a client when one sending to it takes longer than the limit.
// Its timer is started at most once in a limit, however much is sent: a timer
// for each sending would cost more than the sending's own work.
type slowness struct {
	limit time.Duration
	drop  func() // called once, in a goroutine that stop waits for

	mu      sync.Mutex
	began   time.Time // of the sending under way; zero when there is none
	armed   bool
	dropped bool
	timer   *time.Timer
	over    chan struct{} // closed when drop has returned
}

func (s *slowness) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Now()
	if s.armed {
		return
	}
	s.armed = true
	if s.timer == nil {
		s.timer = time.AfterFunc(s.limit, s.look)
		return
	}
	s.timer.Reset(s.limit)
}

// end reports whether the client was dropped.
func (s *slowness) end() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Time{}
	return s.dropped
}

func (s *slowness) look() {
	if !s.late() {
		return
	}
	defer close(s.over)
	s.drop()
}

// late looks whether a sending is overdue, and when to look again.
func (s *slowness) late() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch took := time.Since(s.began); {
	case s.began.IsZero():
		s.armed = false
	case took < s.limit:
		s.timer.Reset(s.limit - took)
	default:
		s.dropped, s.over = true, make(chan struct{})
		return true
	}
	return false
}

// stop ends the timer and waits for a drop under way.
func (s *slowness) stop() {
	s.mu.Lock()
	if s.timer != nil {
		s.timer.Stop()
	}
	over := s.over
	s.mu.Unlock()
	if over != nil {
		<-over
	}
}
