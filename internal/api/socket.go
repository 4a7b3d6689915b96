package api

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/fault"

	"github.com/coder/websocket"
)

const (
	maxFrame = 32 << 10 // of a client, in bytes
	maxRooms = 100      // of one socket
	maxStep  = 256      // events told in one go

	statusUnauthenticated websocket.StatusCode = 4401
)

// socket is one WebSocket connection. One goroutine reads its frames; all else is
// done in turns, by one goroutine at a time, which owns all but the connection
// meanwhile: the crew tells events, and what has to wait, for the database or
// for the client, has a goroutine of its own for as long as it takes.
type socket struct {
	server *Server
	conn   *websocket.Conn
	wire   *wire
	by     access.Actor
	renew  renewal
	sub    event.Subscription
	rooms  map[string]*follower
	id     string          // what others know the connection by
	name   string          // of whoever is at the other end; empty until others are told
	stands map[string]bool // the rooms whose others know of it; nil until there is one
	stood  time.Time       // when it last said where it stands

	task    task
	helpers sync.WaitGroup
	due     *[]byte      // frames that are to be sent; nil when there are none
	left    []byte       // of those, what the connection has not taken yet
	next    *event.Event // taken and not told
	lagged  bool         // events were missed
	failed  error        // why the next turn is the last one
	ended   atomic.Bool  // there is nothing more to tell; a panic of the reader sets it too

	commands chan command
	beat     *time.Timer
	beats    atomic.Bool // it is time to look and to ping
	pinging  atomic.Bool
	slow     slowness
}

// command is a frame of the client.
type command struct {
	Type     string `json:"type"`
	Room     string `json:"room_id"`
	AfterSeq *int64 `json:"after_seq"`
	// Of presence.
	X      *float64 `json:"x"`
	Y      *float64 `json:"y"`
	NodeID string   `json:"node_id"`

	unreadable bool
}

// notice is a frame that is no event of a room.
type notice struct {
	Type       string `json:"type"`
	Event      string `json:"event,omitempty"`
	Connection string `json:"connection_id,omitempty"`
	Room       string `json:"room_id,omitempty"`
	Message    string `json:"message,omitempty"`
	Timestamp  Time   `json:"timestamp"`
}

// closing is the reason why a socket ends.
type closing struct {
	code   websocket.StatusCode
	reason string
}

func (c *closing) Error() string { return c.reason }

var errGone = &closing{code: websocket.StatusGoingAway, reason: "the connection is gone"}

// serve runs the socket until either side ends it; every goroutine it started
// has ended when it returns.
func (k *socket) serve(ctx context.Context, rooms []string, after int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k.commands = make(chan command, 1)
	k.slow.limit = k.server.cfg.SlowClient
	k.slow.drop = func() {
		_ = k.conn.Close(websocket.StatusTryAgainLater, "the client is too slow") // it may never take this in either
	}
	k.task.begin(&k.server.crew, func() { k.turn(ctx) })
	k.sub = k.server.Bus.SubscribeFunc(k.task.wake)
	forget := k.server.onStop(k.task.wake)
	k.beat = time.AfterFunc(k.server.cfg.Heartbeat, func() { k.beats.Store(true); k.task.wake() })
	k.slowly(ctx, func(ctx context.Context) error { return k.greet(ctx, rooms, after) })
	k.task.rest()
	k.read(ctx)

	cancel()
	_ = k.conn.CloseNow() // nothing can be read: the other end is gone, or was told why
	k.task.end()
	k.beat.Stop()
	forget()
	k.leaveAll(ctx)
	k.sub.Close()
	k.helpers.Wait()
	k.slow.stop()
}

// read hands the client's frames over, until the connection is closed.
func (k *socket) read(ctx context.Context) {
	defer k.survive(ctx)
	for {
		_, text, err := k.conn.Read(ctx)
		if err != nil {
			return
		}
		var c command
		c.unreadable = json.Unmarshal(text, &c) != nil
		select {
		case k.commands <- c:
			k.task.wake()
		case <-ctx.Done():
			return
		}
	}
}

// recover is called when events were missed: stored ones are read, of the
// others the client is told that there may have been some, and one of them may
// have said that the session ended.
func (k *socket) recover(ctx context.Context) error {
	if err := k.look(ctx); err != nil {
		return err
	}
	for _, room := range slices.Sorted(maps.Keys(k.rooms)) {
		if k.rooms[room].history == nil {
			if err := k.tell(notice{Type: "subscription", Event: "missed", Room: room}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *socket) greet(ctx context.Context, rooms []string, after int64) error {
	k.id = k.server.cfg.NewID()
	if err := k.tell(notice{Type: "connection", Event: "connected", Connection: k.id}); err != nil {
		return err
	}
	if err := k.subscribe(ctx, event.UserRoom(k.by.UserID), nil); err != nil {
		return err
	}
	for _, room := range rooms {
		if err := k.subscribe(ctx, room, &after); err != nil {
			return err
		}
	}
	return nil
}

func (k *socket) obey(ctx context.Context, c command) error {
	switch {
	case c.unreadable:
		return k.refuse("", "this frame is no JSON object of a known shape")
	case c.Type == "ping":
		return k.tell(notice{Type: "pong"})
	case c.Type == "subscribe":
		return k.subscribe(ctx, c.Room, c.AfterSeq)
	case c.Type == "unsubscribe":
		if k.rooms[c.Room] != nil {
			k.leave(ctx, c.Room)
			k.sub.Remove(c.Room)
			delete(k.rooms, c.Room)
		}
		return k.tell(notice{Type: "subscription", Event: "unsubscribed", Room: clip(c.Room)})
	case c.Type == "presence":
		return k.stand(ctx, c)
	}
	return k.refuse("", "a frame's type is subscribe, unsubscribe, presence or ping")
}

// subscribe listens to the room before it reads what the room has kept.
func (k *socket) subscribe(ctx context.Context, room string, after *int64) error {
	if len(k.rooms) >= maxRooms && k.rooms[room] == nil {
		return k.refuse(room, "one connection listens to at most "+strconv.Itoa(maxRooms)+" rooms")
	}
	past, err := k.server.enterRoom(ctx, k.by, room)
	if err != nil {
		return k.denied(room, err)
	}
	f := &follower{history: past, last: -1}
	if after != nil && *after >= 0 {
		f.last = *after
	}
	k.sub.Add(room)
	k.rooms[room] = f
	if err := k.tell(notice{Type: "subscription", Event: "subscribed", Room: room}); err != nil {
		return err
	}
	return f.catchUp(ctx, k.show)
}

func (k *socket) denied(room string, err error) error {
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Forbidden, fault.Unauthenticated:
		return k.refuse(room, "Access denied to room")
	case fault.Unavailable:
		return k.refuse(room, fault.Message(err))
	}
	return err
}

func (k *socket) refuse(room, message string) error {
	return k.tell(notice{Type: "error", Room: clip(room), Message: message})
}

// clip keeps what is repeated to the client short.
func clip(room string) string { return room[:min(len(room), 200)] }

func (k *socket) take(ctx context.Context, e *event.Event, tell func(*event.Event) error) error {
	if e.Type == event.Session {
		return k.look(ctx)
	}
	if f := k.rooms[e.Room]; f != nil {
		return f.take(ctx, e, tell)
	}
	return nil // it was on its way when the room was left
}

func (k *socket) catchUp(ctx context.Context) error {
	for _, f := range k.rooms {
		if err := f.catchUp(ctx, k.show); err != nil {
			return err
		}
	}
	return nil
}

// look finds out whether the session is still alive, and leaves the rooms
// that its owner may not be in any more.
func (k *socket) look(ctx context.Context) error {
	by, err := k.renew(ctx)
	if fault.Is(err, fault.Unauthenticated) {
		return &closing{code: statusUnauthenticated, reason: "the session has ended: sign in again"}
	}
	if err != nil {
		k.server.cfg.Log.InfoContext(ctx, "session of a socket not looked up", "error", err.Error())
		return nil //nolint:nilerr // the database is away for a moment: the next look will tell
	}
	k.by = by
	var left []string
	for room := range k.rooms {
		if past, err := k.server.enterRoom(ctx, by, room); err == nil {
			k.rooms[room].history = past
		} else if !fault.Is(err, fault.Unavailable) {
			left = append(left, room)
		}
	}
	slices.Sort(left)
	for _, room := range left {
		k.leave(ctx, room)
		k.sub.Remove(room)
		delete(k.rooms, room)
		if err := k.refuse(room, "Access denied to room"); err != nil {
			return err
		}
	}
	return k.catchUp(ctx)
}

// leaveAll tells the others, where there are any, that the client has gone.
func (k *socket) leaveAll(ctx context.Context) {
	for room := range k.stands {
		k.leave(ctx, room)
	}
}

func parseSeq(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
