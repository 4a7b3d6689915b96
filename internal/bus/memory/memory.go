// Package memory carries events between the goroutines of one process. The
// buses between processes hand on to it what they hear.
package memory

import (
	"context"
	"slices"
	"sync"

	"agentstudio/internal/event"
)

// Bus is an event.Bus. Its zero value is not usable; make one with New.
type Bus struct {
	queue int

	mu      sync.RWMutex
	rooms   map[string]map[*subscription]struct{}
	watcher Watcher
}

// Watcher learns which rooms somebody listens to. It is called under the bus's
// lock: it takes note, and calls nothing.
type Watcher interface {
	Joined(room string) // the first listener came
	Left(room string)   // the last one went
}

// Watch tells the watcher of every room from now on, and at once of those that
// have listeners. There is one watcher.
func (b *Bus) Watch(w Watcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watcher = w
	for room := range b.rooms {
		w.Joined(room)
	}
}

// Lag tells the listeners of the rooms that match, or of all when match is
// nil, that they may have missed events.
func (b *Bus) Lag(match func(room string) bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for room, listeners := range b.rooms {
		if match != nil && !match(room) {
			continue
		}
		for s := range listeners {
			s.lag()
		}
	}
}

// New returns a bus whose listeners may lag by up to queue events each before
// events are dropped for them; 256 when queue is 0.
func New(queue int) *Bus {
	if queue <= 0 {
		queue = 256
	}
	return &Bus{queue: queue, rooms: map[string]map[*subscription]struct{}{}}
}

// Publish implements event.Bus.
func (b *Bus) Publish(_ context.Context, events ...event.Event) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.rooms) == 0 {
		return
	}
	for i := range events {
		for s := range b.rooms[events[i].Room] {
			s.offer(&events[i])
		}
	}
}

// Subscribe implements event.Bus.
func (b *Bus) Subscribe(rooms ...string) event.Subscription {
	return b.subscribe(b.queue, nil, rooms)
}

// SubscribeFunc is Subscribe for a listener that does not wait at C: woken is
// called whenever there is something in it. It is called under the bus's lock: it
// takes note, and calls nothing of the bus.
func (b *Bus) SubscribeFunc(woken func(), rooms ...string) event.Subscription {
	return b.subscribe(b.queue, woken, rooms)
}

// Brief is a bus for listeners who wait for one event and are gone: their
// queue is short, since a long one costs more than the wait. Whoever lags
// reads the table, as ever.
type Brief struct{ bus *Bus }

// Brief returns the bus for those who listen briefly.
func (b *Bus) Brief() Brief { return Brief{b} }

// Subscribe is Bus.Subscribe with a queue of 16 events.
func (b Brief) Subscribe(rooms ...string) event.Subscription {
	return b.bus.subscribe(16, nil, rooms)
}

func (b *Bus) subscribe(queue int, woken func(), rooms []string) event.Subscription {
	s := &subscription{bus: b, events: make(chan *event.Event, queue), woken: woken}
	for _, room := range rooms {
		s.Add(room)
	}
	return s
}

type subscription struct {
	bus    *Bus
	events chan *event.Event
	woken  func() // nil: the listener waits at events

	mu     sync.Mutex
	lagged bool
	closed bool
	rooms  []string
}

// offer queues an event unless the listener is too slow; then the listener is
// told that it missed some.
func (s *subscription) offer(e *event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	select {
	case s.events <- e:
	default:
		s.lagged = true
	}
	if s.woken != nil {
		s.woken()
	}
}

func (s *subscription) lag() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.lagged { // it was woken for the loss before
		return
	}
	s.lagged = true
	s.wake()
}

func (s *subscription) wake() {
	select {
	case s.events <- &event.Event{}:
	default: // there is enough to wake it
	}
	if s.woken != nil {
		s.woken()
	}
}

func (s *subscription) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wake()
	}
}

func (s *subscription) C() <-chan *event.Event { return s.events }

func (s *subscription) Lagged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	lagged := s.lagged
	s.lagged = false
	return lagged
}

func (s *subscription) Add(room string) {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	listeners := s.bus.rooms[room]
	if listeners == nil {
		listeners = map[*subscription]struct{}{}
		s.bus.rooms[room] = listeners
		if s.bus.watcher != nil {
			s.bus.watcher.Joined(room)
		}
	}
	if _, listens := listeners[s]; !listens {
		listeners[s] = struct{}{}
		s.rooms = append(s.rooms, room)
	}
}

func (s *subscription) Remove(room string) {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bus.leave(s, room)
	s.rooms = slices.DeleteFunc(s.rooms, func(r string) bool { return r == room })
}

func (b *Bus) leave(s *subscription, room string) {
	if _, listens := b.rooms[room][s]; !listens {
		return
	}
	delete(b.rooms[room], s)
	if len(b.rooms[room]) > 0 {
		return
	}
	delete(b.rooms, room)
	if b.watcher != nil {
		b.watcher.Left(room)
	}
}

func (s *subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for _, room := range s.rooms {
		s.bus.leave(s, room)
	}
	close(s.events)
}
