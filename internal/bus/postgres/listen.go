package postgres

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"agentstudio/internal/event"

	"github.com/jackc/pgx/v5"
)

// channel is the one all processes listen to.
const channel = "studio_bus"

func channelOf(id string) string { return channel + "_" + id }

// Run reaches the other processes until ctx ends. It is called once.
func (b *Bus) Run(ctx context.Context) error {
	b.mu.Lock()
	b.running = true
	b.mu.Unlock()
	var parts sync.WaitGroup
	parts.Go(func() { b.hearAll(ctx) })
	parts.Go(func() { b.send(ctx) })
	parts.Go(func() { b.beat(ctx) })
	parts.Wait()
	return nil
}

func (b *Bus) connect(ctx context.Context) (*pgx.Conn, error) {
	conf, err := pgx.ParseConfig(b.url)
	if err != nil {
		return nil, err
	}
	conf.ConnectTimeout = within
	conf.RuntimeParams["synchronous_commit"] = "off" // a notification is not kept
	if _, set := conf.RuntimeParams["application_name"]; !set {
		conf.RuntimeParams["application_name"] = "agentstudio bus"
	}
	return pgx.ConnectConfig(ctx, conf)
}

func hangUp(ctx context.Context, conn *pgx.Conn) {
	if conn == nil {
		return
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(closing) // nothing to save
}

// hearAll listens, and connects again when that breaks.
func (b *Bus) hearAll(ctx context.Context) {
	pause := b.cfg.Retry
	for {
		heard, err := b.hear(ctx)
		if ctx.Err() != nil {
			return
		}
		if heard {
			pause = b.cfg.Retry
		}
		if pause == b.cfg.Retry { // once per outage
			b.cfg.Log.Warn("events of other processes are cut off", "error", err)
		}
		b.mu.Lock()
		b.tellEverything()
		b.until = time.Time{}
		b.mu.Unlock()
		if !rest(ctx, pause) {
			return
		}
		pause = min(2*pause, 64*b.cfg.Retry)
	}
}

func (b *Bus) hear(ctx context.Context) (heard bool, err error) {
	conn, err := b.connect(ctx)
	if err != nil {
		return false, err
	}
	defer func() { hangUp(ctx, conn) }()
	for _, name := range []string{channel, channelOf(b.id)} {
		if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{name}.Sanitize()); err != nil {
			return false, err
		}
	}
	b.begin()
	for {
		// This process hears itself with every beat: silence is a dead connection.
		limited, cancel := context.WithTimeout(ctx, 3*b.cfg.Beat)
		n, err := conn.WaitForNotification(limited)
		cancel()
		if err != nil {
			return heard, err
		}
		heard = true
		var m message
		if err := json.Unmarshal([]byte(n.Payload), &m); err != nil {
			b.cfg.Log.Warn("a notification cannot be read", "error", err)
			continue
		}
		if m.From != b.id {
			b.heed(ctx, &m)
		}
	}
}

// begin is called when the connection stands: from now on nothing is missed,
// and what was missed is in the tables.
func (b *Bus) begin() {
	b.mu.Lock()
	blind := b.blind
	b.meet()
	b.blind = blind // a process that has just begun has withheld nothing
	b.mu.Unlock()
	b.Lag(nil)
}

// heed acts on what another process says.
func (b *Bus) heed(ctx context.Context, m *message) {
	if m.Kind == data {
		b.hand(ctx, m)
		return
	}
	match, lag := b.note(m)
	if lag {
		b.Lag(match)
	}
}

// note returns which rooms are to be looked at, if any.
func (b *Bus) note(m *message) (match func(string) bool, lag bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.Kind == bye {
		delete(b.peers, m.From)
		b.weigh()
		return nil, false
	}
	p := b.peers[m.From]
	if p == nil {
		p = &peer{id: m.From, rooms: map[uint64]struct{}{}}
		b.peers[m.From] = p
		if m.Kind != hello { // it may not know what was not announced while nobody was there
			b.tellRooms(p.id, time.Time{})
			b.wake()
		}
	}
	p.seen = b.now()
	switch m.Kind {
	case alive:
		p.demand = m.Demand
		b.weigh()
		if !p.known && !b.everything {
			b.control = append(b.control, message{Kind: hello, to: p.id})
			b.wake()
		}
	case hello:
		b.tellRooms(p.id, b.now())
		b.wake()
	case listen:
		b.learn(p, m)
	case unlist:
		for _, h := range m.Rooms {
			delete(p.rooms, h)
		}
	case ack:
		return b.settled(m)
	}
	return nil, false
}

// learn keeps what a peer listens to and tells it whether it has missed
// anything until now.
func (b *Bus) learn(p *peer, m *message) {
	if m.First {
		clear(p.rooms)
	}
	for _, h := range m.Rooms {
		p.rooms[h] = struct{}{}
	}
	missed := b.withheld(m.Rooms)
	if !p.known && (b.blind || !b.everything) {
		missed = true
	}
	p.known = p.known || m.Last
	b.control = append(b.control, message{Kind: ack, to: p.id, Of: m.N, Missed: missed})
	b.wake()
}

// settled says what is to be looked at now that a peer knows of an
// announcement. What it withheld before it remembers for at least a beat.
func (b *Bus) settled(m *message) (match func(string) bool, lag bool) {
	a, known := b.pending[m.Of]
	if known && !m.Missed && b.now().Sub(a.at) < b.cfg.Beat {
		return nil, false
	}
	if a.rooms == nil {
		return nil, true
	}
	hashes := make(map[uint64]struct{}, len(a.rooms))
	for _, h := range a.rooms {
		hashes[h] = struct{}{}
	}
	return func(room string) bool { _, ok := hashes[hashOf(room)]; return ok }, true
}

// hand gives events to the listeners here.
func (b *Bus) hand(ctx context.Context, m *message) {
	b.mu.Lock()
	heardElsewhere := b.cfg.Standby && !b.demand
	b.mu.Unlock()
	events := make([]event.Event, 0, len(m.Events))
	large := map[string]struct{}{}
	for _, e := range m.Events {
		switch {
		case e.Elsewhere && heardElsewhere:
		case e.Type == "":
			large[e.Room] = struct{}{}
		default:
			events = append(events, e.Event)
		}
	}
	b.Bus.Publish(ctx, events...)
	if len(large) > 0 {
		b.Lag(func(room string) bool { _, is := large[room]; return is })
	}
	if m.Lost {
		b.Lag(nil)
	}
}

// beat says regularly that this process is alive, and forgets what is over.
func (b *Bus) beat(ctx context.Context) {
	tick := time.NewTicker(b.cfg.Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			b.sweep()
		}
	}
}

func (b *Bus) sweep() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if len(b.control) == 0 { // else the database does not answer
		b.control = append(b.control, message{Kind: alive, Demand: b.demand})
	}
	for id, p := range b.peers {
		if now.Sub(p.seen) > 3*b.cfg.Beat {
			delete(b.peers, id)
		}
	}
	b.weigh()
	var left []uint64
	for h, idle := range b.announced {
		switch {
		case b.local[h] > 0:
			b.announced[h] = false
		case !idle:
			b.announced[h] = true
		default:
			left = append(left, h)
			delete(b.announced, h)
		}
	}
	for len(left) > 0 {
		n := min(len(left), maxRooms)
		b.control = append(b.control, message{Kind: unlist, Rooms: left[:n:n]})
		left = left[n:]
	}
	for n, a := range b.pending {
		if now.Sub(a.at) > 6*b.cfg.Beat {
			delete(b.pending, n)
		}
	}
	b.held = [2]map[uint64]struct{}{{}, b.held[0]}
	b.wake()
}
