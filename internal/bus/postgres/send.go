package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	within  = 10 * time.Second // of one statement, and of connecting
	maxNote = 64               // of one statement
)

// send tells the others what is queued, until ctx ends: at once when there was
// nothing for a while, else gathered. What cannot be told is forgotten, and
// that something was is told later.
func (b *Bus) send(ctx context.Context) {
	var conn *pgx.Conn
	defer func() { hangUp(ctx, conn) }()
	pause := b.cfg.Retry
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			b.leave(ctx, conn)
			return
		case <-b.flush:
		}
		if wait := b.cfg.Gap - time.Since(last); wait > 0 && !rest(ctx, wait) {
			continue
		}
		var err error
		conn, err = b.sendSome(ctx, conn)
		last = time.Now()
		if err == nil {
			pause = b.cfg.Retry
			continue
		}
		if ctx.Err() != nil {
			continue
		}
		if pause == b.cfg.Retry { // once per outage
			b.cfg.Log.Warn("other processes are not told of events", "error", err)
		}
		hangUp(ctx, conn)
		conn = nil
		b.failed()
		rest(ctx, pause)
		pause = min(2*pause, 64*b.cfg.Retry)
	}
}

func (b *Bus) sendSome(ctx context.Context, conn *pgx.Conn) (*pgx.Conn, error) {
	if conn == nil || conn.IsClosed() {
		var err error
		if conn, err = b.connect(ctx); err != nil {
			return nil, err
		}
	}
	notes, err := b.take()
	if err != nil {
		return conn, err
	}
	return conn, tell(ctx, conn, notes)
}

func tell(ctx context.Context, conn *pgx.Conn, notes []note) error {
	for len(notes) > 0 {
		some := notes[:min(len(notes), maxNote)]
		notes = notes[len(some):]
		channels, payloads := make([]string, len(some)), make([]string, len(some))
		for i, n := range some {
			channels[i], payloads[i] = n.channel, n.payload
		}
		limited, cancel := context.WithTimeout(ctx, within)
		_, err := conn.Exec(limited, "SELECT pg_notify(channel, payload) FROM unnest($1::text[], $2::text[]) AS n(channel, payload)", channels, payloads)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// leave says goodbye, so that nobody needs to wait for three beats.
func (b *Bus) leave(ctx context.Context, conn *pgx.Conn) {
	if conn == nil || conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	b.mu.Lock()
	b.running = false
	b.control = append(b.control, message{Kind: bye})
	b.mu.Unlock()
	if notes, err := b.take(); err == nil {
		_ = tell(ctx, conn, notes) // they would notice later
	}
}

// take returns what is to be told now, control messages first.
func (b *Bus) take() ([]note, error) {
	b.mu.Lock()
	b.announceFresh()
	control := b.control
	b.control = nil
	for i := range control {
		control[i] = b.next(control[i])
	}
	type full struct {
		channel string
		out     outbox
	}
	boxes := []full{{channel, b.all}}
	b.all = outbox{}
	for _, p := range b.peers {
		if !p.out.empty() {
			boxes = append(boxes, full{channelOf(p.id), p.out})
			p.out = outbox{}
		}
	}
	b.mu.Unlock()
	var notes []note
	for _, m := range control {
		text, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		to := channel
		if m.to != "" {
			to = channelOf(m.to)
		}
		notes = append(notes, note{to, string(text)})
	}
	for _, f := range boxes {
		more, err := pack(f.channel, f.out, func(m message) message {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.next(m)
		})
		if err != nil {
			return nil, err
		}
		notes = append(notes, more...)
	}
	return notes, nil
}

// next gives the message its number, and keeps in mind what it announces.
func (b *Bus) next(m message) message {
	b.count++
	m.From, m.N = b.id, b.count
	if m.Kind == listen {
		a := announce{rooms: m.Rooms, at: m.at}
		if m.First || m.Last {
			a.rooms = nil
		}
		b.pending[m.N] = a
	}
	return m
}

func (b *Bus) announceFresh() {
	if len(b.peers) == 0 && !b.until.IsZero() && b.now().After(b.until) {
		b.fresh = nil // whoever comes is told everything
	}
	for len(b.fresh) > 0 {
		n := min(len(b.fresh), maxRooms)
		b.control = append(b.control, message{Kind: listen, Rooms: b.fresh[:n:n], at: b.freshAt})
		b.fresh = b.fresh[n:]
	}
	b.fresh = nil
}

// tellRooms announces everything that is listened to here, to a peer or to
// everybody. at is since when nothing of them can have been missed otherwise;
// zero: it cannot be said.
func (b *Bus) tellRooms(to string, at time.Time) {
	rooms := make([]uint64, 0, len(b.announced))
	for h := range b.announced {
		rooms = append(rooms, h)
	}
	if to == "" {
		b.fresh = nil
	}
	first := true
	for first || len(rooms) > 0 {
		n := min(len(rooms), maxRooms)
		b.control = append(b.control, message{Kind: listen, First: first, Last: n == len(rooms), Rooms: rooms[:n:n], to: to, at: at})
		rooms, first = rooms[n:], false
	}
}

// failed is called when something was not told.
func (b *Bus) failed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.control = nil
	b.all.lost = true
	for _, p := range b.peers {
		p.out = outbox{}
	}
	b.meet()
}

// meet asks who is there and tells what is listened to here.
func (b *Bus) meet() {
	b.tellEverything()
	b.control = append(b.control, message{Kind: alive, Demand: b.demand}, message{Kind: hello})
	b.tellRooms("", time.Time{})
	b.wake()
}

func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
