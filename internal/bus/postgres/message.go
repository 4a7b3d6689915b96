package postgres

import (
	"encoding/json"
	"time"

	"agentstudio/internal/event"
)

// What processes say to each other. All of them listen to one channel, and
// each to one of its own.
const (
	alive  = "alive"  // I am here; demand: and hear nothing but this bus
	hello  = "hello"  // I do not know what you listen to
	listen = "rooms"  // I listen to these; the receiver acknowledges it
	unlist = "left"   // I listen to these no more
	ack    = "ack"    // your announcement n is known; missed: you may have missed events before
	data   = "events" // this has happened; lost: and more
	bye    = "bye"    // I am leaving
)

// message is one notification, as JSON.
type message struct {
	From   string   `json:"from"`
	N      int64    `json:"n"` // no two of a process are alike: PostgreSQL drops twins
	Kind   string   `json:"kind"`
	Demand bool     `json:"demand,omitempty"`
	First  bool     `json:"first,omitempty"` // forget what I have announced before
	Last   bool     `json:"last,omitempty"`  // and that is all
	Rooms  []uint64 `json:"rooms,omitempty"`
	Of     int64    `json:"of,omitempty"` // the announcement acknowledged
	Missed bool     `json:"missed,omitempty"`
	Lost   bool     `json:"lost,omitempty"`
	Events []wire   `json:"events,omitempty"`

	to string // a peer; empty: everybody
	at time.Time
}

// wire is an event on its way. One without a type is too large to travel: its
// room is to be looked at.
type wire struct {
	event.Event
	Elsewhere bool `json:"elsewhere,omitempty"`
}

const (
	maxPayload = 7900 // PostgreSQL takes less than 8,000 bytes
	maxRooms   = 300  // of one announcement
	maxQueue   = 8 << 20
)

// outbox is what waits to be told to one process, or to everybody.
type outbox struct {
	events []wire
	size   int
	lost   bool // there was more
}

func (o *outbox) add(e event.Event, elsewhere bool) bool {
	size := 256 + len(e.Data)
	if o.size+size > maxQueue {
		o.lost = true
		return true
	}
	o.size += size
	o.events = append(o.events, wire{e, elsewhere})
	return true
}

func (o *outbox) empty() bool { return len(o.events) == 0 && !o.lost }

// peer is another process.
type peer struct {
	id     string
	seen   time.Time
	known  bool // it has told all it listens to
	demand bool
	rooms  map[uint64]struct{}
	out    outbox
}

// note is a payload for a channel.
type note struct{ channel, payload string }

// pack writes what is in an outbox as few notes.
func pack(channel string, o outbox, next func(message) message) ([]note, error) {
	var notes []note
	var texts [][]byte
	size := 0
	flush := func(lost bool) error {
		if len(texts) == 0 && !lost {
			return nil
		}
		head, err := json.Marshal(next(message{Kind: data, Lost: lost}))
		if err != nil {
			return err
		}
		if len(texts) > 0 {
			head = append(head[:len(head)-1], `,"events":[`...)
			for i, t := range texts {
				if i > 0 {
					head = append(head, ',')
				}
				head = append(head, t...)
			}
			head = append(head, "]}"...)
		}
		notes = append(notes, note{channel, string(head)})
		texts, size = texts[:0], 0
		return nil
	}
	const envelope = 200
	for _, e := range o.events {
		text, err := json.Marshal(e)
		if err != nil || len(text) > maxPayload-envelope {
			if text, err = json.Marshal(wire{Event: event.Event{Room: e.Room, Seq: e.Seq}}); err != nil {
				return nil, err
			}
		}
		if size+len(text)+1 > maxPayload-envelope {
			if err := flush(false); err != nil {
				return nil, err
			}
		}
		texts = append(texts, text)
		size += len(text) + 1
	}
	if err := flush(false); err != nil || !o.lost {
		return notes, err
	}
	return notes, flush(true)
}
