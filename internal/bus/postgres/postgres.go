// Package postgres carries events between processes that share a PostgreSQL
// database, by LISTEN and NOTIFY. Listeners in the same process hear straight
// from memory; other processes are told only of rooms they listen to, so that
// an execution nobody watches costs no notification.
package postgres

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"agentstudio/internal/bus/memory"
	"agentstudio/internal/event"

	"github.com/google/uuid"
)

// Config adjusts a Bus.
type Config struct {
	// Standby leaves the carrying to another bus: this one only carries while
	// some process demands it; see Demand.
	Standby bool
	// Beat is how often a process says that it is alive; after three beats of
	// silence it is forgotten. 5 s.
	Beat time.Duration
	// Gap is the shortest time between two notifications, while there is much
	// to tell; 5 ms. After a longer silence the first goes out at once.
	Gap time.Duration
	// Settle is how long a process that knows nobody tells everybody
	// everything, while the others answer it; 2 s.
	Settle time.Duration
	// Retry is the first pause before connecting anew, doubled up to 64 times;
	// 100 ms.
	Retry time.Duration
	Log   *slog.Logger
}

func (c *Config) fill() {
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&c.Beat, 5 * time.Second}, {&c.Gap, 5 * time.Millisecond}, {&c.Settle, 2 * time.Second}, {&c.Retry, 100 * time.Millisecond}} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Bus is an event.Bus over a local one. It reaches other processes while Run
// runs. It is safe for concurrent use.
type Bus struct {
	*memory.Bus
	url   string
	cfg   Config
	id    string
	now   func() time.Time
	flush chan struct{}

	mu        sync.Mutex
	running   bool
	demand    bool // this process needs the bus although it stands by
	announces bool // whether the others are told what is listened to here
	peers     map[string]*peer
	all       outbox // for everybody
	control   []message
	count     int64 // of messages sent

	// everything is told to everybody until the time given: the others'
	// wishes are not known. blind: they were not known for a while before.
	everything bool
	until      time.Time // zero: until a connection stands
	blind      bool

	local     map[uint64]int     // rooms listened to here, by their hashes
	announced map[uint64]bool    // what the others know of; true: nobody listened at the last beat
	fresh     []uint64           // to be announced
	freshAt   time.Time          // when the first of them was joined
	pending   map[int64]announce // not yet forgotten announcements
	held      [2]map[uint64]struct{}
}

// announce is what was said in an announcement.
type announce struct {
	rooms []uint64 // nil: all
	at    time.Time
}

// New returns a bus over the local one.
func New(url string, local *memory.Bus, cfg Config) *Bus {
	cfg.fill()
	b := &Bus{Bus: local, url: url, cfg: cfg, id: strings.ReplaceAll(uuid.NewString(), "-", ""), now: time.Now, flush: make(chan struct{}, 1),
		announces: !cfg.Standby, peers: map[string]*peer{}, everything: true, local: map[uint64]int{}, announced: map[uint64]bool{}, pending: map[int64]announce{}}
	b.held = [2]map[uint64]struct{}{{}, {}}
	if !cfg.Standby {
		local.Watch(b)
	}
	return b
}

// Publish implements event.Bus. It never waits for the database.
func (b *Bus) Publish(ctx context.Context, events ...event.Event) {
	b.Bus.Publish(ctx, events...)
	b.Forward(events, false)
}

// Forward tells other processes only. elsewhere says that they are told on
// another bus too, as far as they hear it.
func (b *Bus) Forward(events []event.Event, elsewhere bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running {
		b.all.lost = true // whoever is there is told once we run
		return
	}
	if b.everything && !b.until.IsZero() && b.now().After(b.until) {
		b.everything = false
	}
	queued := false
	if b.everything {
		for _, e := range events {
			queued = b.all.add(e, elsewhere) || queued
		}
	} else if len(b.peers) > 0 {
		queued = b.route(events, elsewhere)
	}
	if queued {
		b.wake()
	}
}

// route queues events for the processes that listen to their rooms, and
// remembers for a while which rooms somebody was not told of.
func (b *Bus) route(events []event.Event, elsewhere bool) (queued bool) {
	var room string
	var hash uint64
	for _, e := range events {
		if e.Room != room {
			room, hash = e.Room, hashOf(e.Room)
		}
		told := 0
		for _, p := range b.peers {
			if _, listens := p.rooms[hash]; listens {
				p.out.add(e, elsewhere)
				told++
			}
		}
		queued = queued || told > 0
		if told < len(b.peers) && len(b.held[0]) < maxHeld {
			b.held[0][hash] = struct{}{}
		}
	}
	return queued
}

// maxHeld bounds the rooms remembered; beyond, newcomers are told to look.
const maxHeld = 1 << 18

func (b *Bus) withheld(rooms []uint64) bool {
	if len(b.held[0]) >= maxHeld || len(b.held[1]) >= maxHeld {
		return true
	}
	for _, h := range rooms {
		for _, g := range b.held {
			if _, held := g[h]; held {
				return true
			}
		}
	}
	return false
}

// Lost tells every process that events of this one may not have reached it.
func (b *Bus) Lost() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all.lost = true
	b.wake()
}

// Demand says whether this process needs the bus although it stands by. While
// one does, all of them tell what they listen to.
func (b *Bus) Demand(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.demand == on {
		return
	}
	b.demand = on
	b.control = append(b.control, message{Kind: alive, Demand: on})
	if on { // nobody has told us what it listens to
		b.control = append(b.control, message{Kind: hello})
		b.tellEverything()
	}
	b.weigh()
	b.wake()
}

// tellEverything is for when it is not known what the others listen to.
func (b *Bus) tellEverything() {
	b.everything, b.blind, b.until = true, true, b.now().Add(b.cfg.Settle)
	for _, p := range b.peers {
		p.known = false
		if !p.out.empty() { // what goes to everybody goes first
			p.out = outbox{lost: true}
		}
	}
}

// weigh decides whether the others are to know what is listened to here.
func (b *Bus) weigh() {
	announces := !b.cfg.Standby || b.demand
	for _, p := range b.peers {
		announces = announces || p.demand
	}
	if announces == b.announces {
		return
	}
	b.announces = announces
	clear(b.announced)
	b.fresh = nil
	if announces {
		for h := range b.local {
			b.announced[h] = false
		}
	}
	b.tellRooms("", time.Time{})
}

// Joined implements memory.Watcher.
func (b *Bus) Joined(room string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := hashOf(room)
	b.local[h]++
	if !b.announces {
		return
	}
	if _, known := b.announced[h]; !known {
		if len(b.fresh) == 0 {
			b.freshAt = b.now()
		}
		b.fresh = append(b.fresh, h)
		b.wake()
	}
	b.announced[h] = false
}

// Left implements memory.Watcher. The others hear of it with a later beat:
// until then somebody may come back.
func (b *Bus) Left(room string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := hashOf(room)
	if b.local[h]--; b.local[h] <= 0 {
		delete(b.local, h)
	}
}

func (b *Bus) wake() {
	select {
	case b.flush <- struct{}{}:
	default: // it will look anyway
	}
}

// hashOf is FNV-1a: the same in every process. Rooms that share one are told
// of together.
func hashOf(room string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(room) {
		h = (h ^ uint64(room[i])) * 1099511628211
	}
	return h
}
