// Package redis carries events between processes over the channels of a Redis
// server, one for each room that somebody listens to. When the server is gone
// another bus takes over, where there is one, until it is back.
package redis

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"agentstudio/internal/bus/memory"
	"agentstudio/internal/event"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// Fallback is a bus that carries while Redis does not.
type Fallback interface {
	memory.Watcher
	// Forward tells other processes of events; elsewhere: Redis does too, for
	// those that hear it.
	Forward(events []event.Event, elsewhere bool)
	// Lost tells every process that it may have missed events of this one.
	Lost()
	// Demand says whether this process hears of nothing else.
	Demand(on bool)
	Run(ctx context.Context) error
}

// Config adjusts a Bus.
type Config struct {
	// Within bounds what Redis may take to answer; 2 s.
	Within time.Duration
	// Beat is how often the connection is tried; 5 s.
	Beat time.Duration
	// Retry is the first pause before connecting anew, doubled up to 32 times;
	// 100 ms.
	Retry time.Duration
	// Queue is how many events may wait to be published; 16,384.
	Queue int
	Log   *slog.Logger
}

func (c *Config) fill() {
	if c.Within <= 0 {
		c.Within = 2 * time.Second
	}
	if c.Beat <= 0 {
		c.Beat = 5 * time.Second
	}
	if c.Retry <= 0 {
		c.Retry = 100 * time.Millisecond
	}
	if c.Queue <= 0 {
		c.Queue = 16 << 10
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Bus is an event.Bus over a local one. It reaches other processes while Run
// runs. It is safe for concurrent use.
type Bus struct {
	*memory.Bus
	client   *redis.Client
	fallback Fallback // nil: none
	cfg      Config
	id       string
	queued   chan struct{}
	moved    chan struct{} // rooms were joined or left

	mu     sync.Mutex
	up     bool
	lost   bool // the others have missed events of this process
	queue  []event.Event
	rooms  map[string]struct{} // with listeners
	change map[string]struct{} // joined or left, and Redis not told yet
}

// New returns a bus over the local one. fallback may be nil.
func New(client *redis.Client, local *memory.Bus, fallback Fallback, cfg Config) *Bus {
	cfg.fill()
	b := &Bus{Bus: local, client: client, fallback: fallback, cfg: cfg, id: uuid.NewString(), queued: make(chan struct{}, 1), moved: make(chan struct{}, 1),
		rooms: map[string]struct{}{}, change: map[string]struct{}{}}
	local.Watch(b)
	return b
}

const (
	prefix = "studio:bus:"
	common = "studio:bus" // all listen to it
)

// message is what travels. Without events it says that some were lost.
type message struct {
	From   string        `json:"from"`
	Events []event.Event `json:"events,omitempty"`
}

// Publish implements event.Bus. It never waits for Redis.
func (b *Bus) Publish(ctx context.Context, events ...event.Event) {
	b.Bus.Publish(ctx, events...)
	b.mu.Lock()
	up := b.up
	switch {
	case !up:
		b.lost = true
	case len(b.queue)+len(events) > b.cfg.Queue:
		b.lost = true
		poke(b.queued)
	default:
		b.queue = append(b.queue, events...)
		poke(b.queued)
	}
	b.mu.Unlock()
	if b.fallback != nil {
		b.fallback.Forward(events, up)
	}
}

// Joined implements memory.Watcher.
func (b *Bus) Joined(room string) { b.move(room, true) }

// Left implements memory.Watcher.
func (b *Bus) Left(room string) { b.move(room, false) }

func (b *Bus) move(room string, joined bool) {
	b.mu.Lock()
	if joined {
		b.rooms[room] = struct{}{}
	} else {
		delete(b.rooms, room)
	}
	b.change[room] = struct{}{}
	poke(b.moved)
	b.mu.Unlock()
	switch {
	case b.fallback == nil:
	case joined:
		b.fallback.Joined(room)
	default:
		b.fallback.Left(room)
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it will look anyway
	}
}

// Run reaches the other processes until ctx ends. It is called once.
func (b *Bus) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	var err error
	if b.fallback != nil {
		parts.Go(func() { err = b.fallback.Run(ctx) })
	}
	parts.Go(func() { b.keep(ctx) })
	parts.Wait()
	return err
}

// keep holds a connection for as long as ctx lasts.
func (b *Bus) keep(ctx context.Context) {
	pause, told := b.cfg.Retry, false
	for ctx.Err() == nil {
		err := b.session(ctx, func() {
			pause = b.cfg.Retry
			if told {
				b.cfg.Log.Info("Redis is back: it carries live updates again")
			}
			told = false
		})
		if ctx.Err() != nil {
			return
		}
		b.down()
		if !told { // once per outage
			if told = true; b.fallback != nil {
				b.cfg.Log.Warn("Redis is gone: live updates go through the database until it is back", "error", err)
			} else {
				b.cfg.Log.Warn("Redis is gone: live updates stay inside each process until it is back", "error", err)
			}
		}
		rest(ctx, pause)
		pause = min(2*pause, 32*b.cfg.Retry)
	}
}

// down hands over to the other bus. What was on its way may be lost.
func (b *Bus) down() {
	b.mu.Lock()
	fell := b.up
	b.up = false
	b.lost = b.lost || len(b.queue) > 0 || fell
	b.queue = nil
	b.mu.Unlock()
	if b.fallback != nil {
		b.fallback.Demand(true)
		if fell {
			b.fallback.Lost()
		}
	}
	if fell {
		b.Lag(nil)
	}
}

// session listens and publishes until something fails.
func (b *Bus) session(ctx context.Context, stands func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sub := b.client.Subscribe(ctx)
	closing := context.AfterFunc(ctx, func() { _ = sub.Close() }) // Receive does not look at ctx
	defer closing()
	defer func() { _ = sub.Close() }()
	b.mu.Lock()
	clear(b.change)
	names := []string{common}
	for room := range b.rooms {
		names = append(names, prefix+room)
	}
	b.mu.Unlock()
	if err := b.limited(ctx, func(ctx context.Context) error { return sub.Subscribe(ctx, names...) }); err != nil {
		return err
	}
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel(nil)
	run := func(part func(context.Context, *redis.PubSub) error) {
		parts.Go(func() { cancel(part(ctx, sub)) })
	}
	ready := make(chan struct{})
	run(func(ctx context.Context, sub *redis.PubSub) error { return b.receive(ctx, sub, len(names), ready) })
	select {
	case <-ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(b.cfg.Within):
		return errors.New("it does not confirm what is listened to")
	}
	b.begin()
	stands()
	run(b.follow)
	run(b.send)
	<-ctx.Done()
	return context.Cause(ctx)
}

// begin is called when Redis is listened to: from now on nothing is missed, and
// what was missed is in the tables.
func (b *Bus) begin() {
	b.mu.Lock()
	b.up = true
	poke(b.queued)
	b.mu.Unlock()
	if b.fallback != nil {
		b.fallback.Demand(false)
	}
	b.Lag(nil)
}

func (b *Bus) limited(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Within)
	defer cancel()
	return do(ctx)
}

// receive hands on what arrives. ready is closed once the first channels are
// confirmed; whoever listens to a later one looks at the tables when it is.
func (b *Bus) receive(ctx context.Context, sub *redis.PubSub, first int, ready chan<- struct{}) error {
	for {
		got, err := sub.ReceiveTimeout(ctx, 3*b.cfg.Beat)
		if err != nil {
			return err
		}
		switch m := got.(type) {
		case *redis.Subscription:
			if m.Kind != "subscribe" {
				continue
			}
			if first--; first == 0 {
				close(ready)
			} else if first < 0 {
				b.Lag(func(room string) bool { return prefix+room == m.Channel })
			}
		case *redis.Message:
			b.heed(ctx, m.Payload)
		}
	}
}

func (b *Bus) heed(ctx context.Context, payload string) {
	var m message
	if err := json.Unmarshal([]byte(payload), &m); err != nil {
		b.cfg.Log.Warn("a message cannot be read", "error", err)
		return
	}
	switch {
	case m.From == b.id:
	case len(m.Events) == 0:
		b.Lag(nil)
	default:
		b.Bus.Publish(ctx, m.Events...)
	}
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
