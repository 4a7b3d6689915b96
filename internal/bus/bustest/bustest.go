// Package bustest holds what every event.Bus must do, in one process and
// between two.
package bustest

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/event"

	"github.com/google/uuid"
)

// Open returns the bus of two processes that know each other, the same one
// twice where there is only one, whose listeners may lag by 256 events.
type Open func(t *testing.T) (here, there event.Bus)

const patience = 20 * time.Second

// Run tests the bus.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, event.Bus, event.Bus){
		"events of a room arrive in order":     ordered,
		"rooms are joined and left":            rooms,
		"a slow listener lags and blocks none": slow,
		"a large event arrives or is missed":   large,
		"nothing falls between table and bus":  complete,
		"who does not wait is called":          called,
		"a closed listener hears nothing":      closed,
	} {
		t.Run(name, func(t *testing.T) {
			here, there := open(t)
			test(t, here, there)
		})
	}
}

// Room returns a room nobody else uses.
func Room() string { return event.ExecutionRoom(uuid.NewString()) }

// Meet returns once what is published on one bus in the room reaches the
// subscription, which has nothing left to deliver then.
func Meet(t *testing.T, from event.Bus, sub event.Subscription, room string) {
	t.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for sent := int64(0); ; {
		select {
		case e := <-sub.C():
			if e.Type == "probe" && e.Seq == sent {
				for sub.Lagged() {
				}
				return
			}
		case <-again.C:
			sent++
			from.Publish(context.Background(), event.Event{Room: room, Type: "probe", Seq: sent})
		case <-deadline:
			t.Fatalf("nothing arrived in %s after %d attempts", room, sent)
		}
	}
}

// next returns the next event; those that only wake are passed over.
func next(t *testing.T, sub event.Subscription) *event.Event {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case e := <-sub.C():
			if e.Type != "" {
				return e
			}
		case <-deadline:
			t.Fatal("no event came")
		}
	}
}

func ordered(t *testing.T, here, there event.Bus) {
	for _, way := range [][2]event.Bus{{here, there}, {there, here}} {
		from, to := way[0], way[1]
		room := Room()
		sub := to.Subscribe(room)
		defer sub.Close()
		Meet(t, from, sub, room)
		// What was missed before they met may be told a little later: once.
		for round := 0; ; round++ {
			at := time.Now().UTC().Truncate(time.Millisecond)
			for i := range int64(100) {
				from.Publish(t.Context(), event.Event{Room: room, Seq: i + 1, Type: "t", Name: "n", At: at, Data: json.RawMessage(`{"text":"ü "}`)},
					event.Event{Room: room, Type: event.NodeOutput, Name: "delta", Data: json.RawMessage(`"x"`)},
					event.Event{Room: Room(), Seq: 1, Type: "other"})
			}
			for i := range int64(100) {
				e, delta := next(t, sub), next(t, sub)
				if e.Room != room || e.Seq != i+1 || e.Type != "t" || e.Name != "n" || !e.At.Equal(at) || string(e.Data) != `{"text":"ü "}` {
					t.Fatalf("got %+v in place of event %d", e, i+1)
				}
				if delta.Room != room || delta.Seq != 0 || delta.Name != "delta" {
					t.Fatalf("got %+v in place of delta %d", delta, i+1)
				}
			}
			if !sub.Lagged() {
				break
			}
			if round == 2 {
				t.Error("it lagged, yet nothing was missed")
				break
			}
		}
	}
}

func rooms(t *testing.T, here, there event.Bus) {
	a, b, c := Room(), Room(), Room()
	sub := there.Subscribe(a)
	defer sub.Close()
	sub.Add(b)
	sub.Add(b)
	sub.Add(c)
	Meet(t, here, sub, c)
	Meet(t, here, sub, b)
	sub.Remove(b)
	sub.Remove(b)
	here.Publish(t.Context(), event.Event{Room: b, Type: "left"}, event.Event{Room: c, Type: "joined"})
	if e := next(t, sub); e.Room != c {
		t.Errorf("heard %+v of a room that was left", e)
	}
	sub.Add(b)
	Meet(t, here, sub, b)
}

func slow(t *testing.T, here, there event.Bus) {
	room := Room()
	sluggish, quick := there.Subscribe(room), there.Subscribe(room)
	defer sluggish.Close()
	defer quick.Close()
	Meet(t, here, quick, room)
	const n = 2000
	go func() {
		for i := range int64(n) {
			here.Publish(context.Background(), event.Event{Room: room, Seq: i + 1, Type: "t"})
		}
	}()
	last := int64(0)
	for deadline := time.After(patience); last < n; { // a quick one hears to the end, or lags
		select {
		case e := <-quick.C():
			last = max(last, e.Seq)
			if quick.Lagged() {
				last = n
			}
		case <-deadline:
			t.Fatalf("the quick listener is at %d", last)
		}
	}
	seen := func() (n int) {
		for {
			select {
			case <-sluggish.C():
				n++
			default:
				return n
			}
		}
	}
	if seen() == 0 || !sluggish.Lagged() {
		t.Error("the slow listener was not told that it lags")
	}
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for deadline := time.After(patience); ; { // once it is quick again, it hears
		select {
		case e := <-sluggish.C():
			if e.Type == "end" {
				return
			}
		case <-again.C:
			here.Publish(t.Context(), event.Event{Room: room, Type: "end"})
		case <-deadline:
			t.Fatal("a listener that lagged once hears nothing more")
		}
	}
}

func large(t *testing.T, here, there event.Bus) {
	room := Room()
	sub := there.Subscribe(room)
	defer sub.Close()
	Meet(t, here, sub, room)
	data, err := json.Marshal(strings.Repeat("ä", 100_000))
	if err != nil {
		t.Fatal(err)
	}
	here.Publish(t.Context(), event.Event{Room: room, Seq: 1, Type: "large", Data: data})
	select {
	case e := <-sub.C():
		if !sub.Lagged() && string(e.Data) != string(data) {
			t.Errorf("got %d bytes of %d", len(e.Data), len(data))
		}
	case <-time.After(patience):
		t.Fatal("a large event came to nothing")
	}
}

// called is told of everything that is put in its queue; who is told late would
// find nothing.
func called(t *testing.T, here, there event.Bus) {
	room := Room()
	told := make(chan struct{}, 1)
	sub := there.SubscribeFunc(func() {
		select {
		case told <- struct{}{}:
		default:
		}
	}, room)
	defer sub.Close()
	Meet(t, here, sub, room)
	for len(told) > 0 {
		<-told
	}
	here.Publish(t.Context(), event.Event{Room: room, Seq: 7, Type: "called"})
	for deadline := time.After(patience); ; {
		select {
		case <-told:
		case <-deadline:
			t.Fatal("nobody was called for an event")
		}
		for len(sub.C()) > 0 {
			if e := <-sub.C(); e.Type == "called" {
				sub.Wake()
				<-told
				return
			}
		}
	}
}

func closed(t *testing.T, here, there event.Bus) {
	room := Room()
	sub := there.Subscribe(room)
	Meet(t, here, sub, room)
	sub.Close()
	sub.Close()
	here.Publish(t.Context(), event.Event{Room: room, Type: "t"})
	sub.Add(room)
	if e, open := <-sub.C(); open {
		t.Errorf("a closed listener heard %+v", e)
	}
}

// table is what is committed.
type table struct {
	mu   sync.Mutex
	last map[string]int64
}

func (b *table) commit(room string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last[room]++
	return b.last[room]
}

func (b *table) read(room string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last[room]
}

// Follow listens to the room as sockets do, reading the table where it must,
// until the room is at the end; it fails when it waits in vain.
func follow(t *testing.T, bus event.Bus, rows *table, room string, end int64) {
	sub := bus.Subscribe(room)
	defer sub.Close()
	seen := rows.read(room)
	deadline := time.After(patience)
	for seen < end {
		select {
		case e := <-sub.C():
			if sub.Lagged() || e.Seq > seen+1 {
				seen = max(seen, rows.read(room))
			}
			seen = max(seen, e.Seq)
		case <-deadline:
			t.Errorf("%s: at %d, where %d of %d are committed", room, seen, rows.read(room), end)
			return
		}
	}
}

// complete has listeners come at any time while events are committed and
// published: none may wait for what has happened. The pauses only mix the
// order.
func complete(t *testing.T, here, there event.Bus) {
	rows := &table{last: map[string]int64{}}
	var all sync.WaitGroup
	defer all.Wait()
	for n := range 40 {
		room, end := Room(), int64(1+n%20)
		from, to := here, there
		if n%2 == 1 {
			from, to = to, from
		}
		all.Go(func() {
			for range end {
				from.Publish(context.Background(), event.Event{Room: room, Seq: rows.commit(room), Type: "t"})
				if n%3 == 0 {
					<-time.After(time.Duration(n%7) * 100 * time.Microsecond)
				}
			}
		})
		for k := range 5 {
			all.Go(func() {
				<-time.After(time.Duration((n+k)%11) * 200 * time.Microsecond)
				follow(t, to, rows, room, end)
			})
		}
	}
}
