package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/api"
	"agentstudio/internal/event"

	"github.com/coder/websocket"
)

// frame is what comes in over a socket.
type frame struct {
	api.Event
	Message      string `json:"message"`
	ConnectionID string `json:"connection_id"`
}

type client struct {
	t    testing.TB
	conn *websocket.Conn
	ctx  context.Context
}

// dial opens a socket; status is that of a refusal.
func (s *studio) dial(path string, opts *websocket.DialOptions) (*client, int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	s.t.Cleanup(cancel)
	conn, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.http.URL, "http")+"/api/v1"+path, opts) //nolint:bodyclose // the library closes it
	if err != nil {
		if resp == nil {
			s.t.Fatal(err)
		}
		return nil, resp.StatusCode
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() }) // most are closed by then
	return &client{t: s.t, conn: conn, ctx: ctx}, 101
}

func withToken(token string) *websocket.DialOptions {
	return &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}}
}

func (c *client) next() frame {
	c.t.Helper()
	_, text, err := c.conn.Read(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	var f frame
	if err := json.Unmarshal(text, &f); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	return f
}

// expect reads frames until one is of the type and event.
func (c *client) expect(kind, name string) frame {
	c.t.Helper()
	f := c.next()
	if f.Type != kind || f.Event.Event != name {
		c.t.Fatalf("got %s/%s %s, want %s/%s", f.Type, f.Event.Event, f.Message, kind, name)
	}
	return f
}

func (c *client) greeted(p person) {
	c.t.Helper()
	if f := c.expect("connection", "connected"); f.ConnectionID == "" {
		c.t.Error("no connection id")
	}
	if f := c.expect("subscription", "subscribed"); f.Room != "user:"+p.id {
		c.t.Errorf("subscribed to %s", f.Room)
	}
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.conn.Write(c.ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// closed reads until the other end closes, and returns the code.
func (c *client) closed() websocket.StatusCode {
	c.t.Helper()
	for {
		if _, _, err := c.conn.Read(c.ctx); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

func TestSocketsKnowWhoConnects(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	if _, status := s.dial("/ws", nil); status != 401 {
		t.Errorf("without credentials: status %d", status)
	}
	if _, status := s.dial("/ws", withToken("bad")); status != 401 {
		t.Errorf("with a bad token: status %d", status)
	}
	c, _ := s.dial("/ws", withToken(p.token))
	c.greeted(p)
	ticket := s.do("POST", "/auth/ws-ticket", p.token, nil).expect(200).expectAt("expires_in", 30).text("ticket")
	c, _ = s.dial("/ws?ticket="+ticket, nil)
	c.greeted(p)
	if _, status := s.dial("/ws?ticket="+ticket, nil); status != 401 {
		t.Errorf("a ticket used twice: status %d", status)
	}
	old := s.do("POST", "/auth/ws-ticket", p.token, nil).expect(200).text("ticket")
	s.clock.pass(31 * time.Second)
	if _, status := s.dial("/ws?ticket="+old, nil); status != 401 {
		t.Errorf("an old ticket: status %d", status)
	}
	c, _ = s.dial("/ws", &websocket.DialOptions{Subprotocols: []string{"agentstudio", "bearer." + p.token}})
	c.greeted(p)
	if c.conn.Subprotocol() != "agentstudio" {
		t.Errorf("sub-protocol %q", c.conn.Subprotocol())
	}
	if _, status := s.dial("/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + p.token}, "Origin": {"https://evil.example"}}}); status != 403 {
		t.Errorf("another origin: status %d", status)
	}
	s.do("GET", "/ws", p.token, nil).problem(400, "malformed")
}

func TestRoomsAreForThoseWhoMaySeeThem(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	flow := s.create(w.editor.token, w.id, adder).text("id")
	x := s.do("POST", "/executions", w.editor.token, map[string]any{"workflow_id": flow, "trigger_data": map[string]any{"a": 1}, "wait": 20}).expect(200).text("id")
	rooms := []string{"execution:" + x, "workflow:" + flow, "workspace:" + w.id, "analytics:" + w.id}
	c, _ := s.dial("/ws", withToken(w.viewer.token))
	c.greeted(w.viewer)
	for _, room := range rooms {
		c.send(`{"type":"subscribe","room_id":"` + room + `"}`)
		c.expect("subscription", "subscribed")
	}
	c.send(`{"type":"ping"}`)
	c.expect("pong", "")
	d, _ := s.dial("/ws", withToken(w.stranger.token))
	d.greeted(w.stranger)
	for _, room := range append(rooms, "user:"+w.viewer.id, "nonsense", "user:", "execution:"+newID(), "moon:"+newID(), strings.Repeat("x", 5000)) {
		d.send(`{"type":"subscribe","room_id":"` + room + `"}`)
		if f := d.expect("error", ""); f.Message != "Access denied to room" || !strings.HasPrefix(room, f.Room) {
			t.Errorf("got %+v", f)
		}
	}
	for _, bad := range []string{`nonsense`, `{"type":5}`, `{"type":"fly"}`, `[]`, `{}`} {
		d.send(bad)
		d.expect("error", "")
	}
	c.send(`{"type":"unsubscribe","room_id":"workspace:` + w.id + `"}`)
	c.expect("subscription", "unsubscribed")
	s.publish(w.editor.token, s.create(w.editor.token, w.id, greeter).text("id"))
	s.do("PUT", "/workflows/"+flow, w.editor.token, `{"description":"x"}`).expect(200)
	if f := c.expect("workflow_update", "updated"); f.Room != "workflow:"+flow {
		t.Errorf("heard of %s", f.Room)
	}
	// Whoever is taken out of the workspace hears no more of it.
	s.do("DELETE", "/workspaces/"+w.id+"/members/"+w.viewer.id, w.owner.token, nil).expect(204)
	for range 3 {
		if f := c.expect("error", ""); f.Message != "Access denied to room" {
			t.Errorf("got %+v", f)
		}
	}
	if _, status := s.dial("/ws/executions/"+x, withToken(w.stranger.token)); status != 404 {
		t.Errorf("status %d", status)
	}
	for i := range 101 {
		d.send(fmt.Sprintf(`{"type":"subscribe","room_id":"workspace:%s"}`, s.personal(w.stranger)))
		if i == 0 {
			d.expect("subscription", "subscribed")
		} else {
			d.next()
		}
	}
}

func TestSocketsReplayWhatWasMissed(t *testing.T) {
	s := open(t, options{queue: 4}) // a listener lags soon
	p := s.signIn("a@example.com")
	flow := s.create(p.token, s.personal(p), `{"name":"Many","nodes":[{"id":"start","kind":"manual-trigger"},{"id":"g","kind":"gate","config":{"name":"one"}},
		{"id":"each","kind":"loop","config":{"items":"{{ 1..300 }}","parallel":8}},{"id":"in","kind":"set","parent_id":"each","config":{"values":{"n":"{{ item }}"}}}],
		"connections":[{"source":"start","target":"g"},{"source":"g","target":"each"}]}`).text("id")
	x := s.do("POST", "/executions", p.token, `{"workflow_id":"`+flow+`"}`).expect(202).text("id")
	s.until(p.token, x, "running")
	c, _ := s.dial("/ws/executions/"+x, withToken(p.token))
	c.greeted(p)
	c.expect("subscription", "subscribed")
	s.pass("one")
	read := func(c *client, from int64) int64 {
		last := from
		for {
			f := c.next()
			if f.Seq == 0 {
				continue
			}
			if f.Seq != last+1 {
				t.Fatalf("seq %d after %d", f.Seq, last)
			}
			last = f.Seq
			if f.Type == "execution_update" && strings.Contains(string(f.Data), `"completed"`) {
				return last
			}
		}
	}
	end := read(c, 0)
	if end < 300 {
		t.Fatalf("only %d events", end)
	}
	d, _ := s.dial("/ws", withToken(p.token))
	d.greeted(p)
	d.send(fmt.Sprintf(`{"type":"subscribe","room_id":"execution:%s","after_seq":%d}`, x, end-5))
	d.expect("subscription", "subscribed")
	if got := read(d, end-5); got != end {
		t.Errorf("replay ended at %d, want %d", got, end)
	}
}

func TestSocketsEndWithTheirSession(t *testing.T) {
	s := open(t, options{})
	p, q := s.signIn("a@example.com"), s.signIn("a@example.com")
	c, _ := s.dial("/ws", withToken(p.token))
	c.greeted(p)
	ticket := s.do("POST", "/auth/ws-ticket", p.token, nil).expect(200).text("ticket")
	d, _ := s.dial("/ws?ticket="+ticket, nil)
	d.greeted(p)
	e, _ := s.dial("/ws", withToken(q.token))
	e.greeted(q)
	s.do("POST", "/auth/logout", p.token, nil).expect(204)
	for _, k := range []*client{c, d} {
		if code := k.closed(); code != 4401 {
			t.Errorf("closed with %d", code)
		}
	}
	s.clock.pass(16 * time.Minute) // the token expires; its session lives on
	if code := e.closed(); code != 4401 {
		t.Errorf("closed with %d", code)
	}
}

func TestSlowClientsAreDropped(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) { c.SlowClient = 300 * time.Millisecond; c.Heartbeat = time.Hour }})
	p := s.signIn("a@example.com")
	c, _ := s.dial("/ws", withToken(p.token))
	c.greeted(p)
	c.conn.SetReadLimit(-1)
	big, err := json.Marshal(strings.Repeat("x", 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var publisher sync.WaitGroup
	publisher.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C: // far more than the connection's buffers take
				s.bus.Publish(t.Context(), event.Event{Room: event.UserRoom(p.id), Type: "activity", Name: "appended", At: time.Now(), Data: big})
			case <-stop:
				return
			}
		}
	})
	defer publisher.Wait()
	defer close(stop)
	for {
		pause := time.NewTimer(2 * time.Second) // reads nothing meanwhile
		<-pause.C
		for range 50 {
			if _, _, err := c.conn.Read(c.ctx); err != nil {
				if code := websocket.CloseStatus(err); code != websocket.StatusTryAgainLater {
					t.Errorf("closed with %d: %v", code, err)
				}
				return
			}
		}
	}
}

// A client that pauses gets all that its queue holds, in order and in whole
// frames, though answers to its own frames and pings come in between.
func TestSocketsThatPauseGetWholeFramesInOrder(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) { c.Heartbeat = 50 * time.Millisecond }})
	p := s.signIn("a@example.com")
	c, _ := s.dial("/ws", withToken(p.token))
	c.greeted(p)
	c.conn.SetReadLimit(-1)
	large, err := json.Marshal(strings.Repeat("x", 200_000))
	if err != nil {
		t.Fatal(err)
	}
	const events = 200 // of which the connection's buffers take a few
	for i := range events {
		s.bus.Publish(t.Context(), event.Event{Room: event.UserRoom(p.id), Type: "activity", Name: fmt.Sprint(i), At: time.Now(), Data: large})
		if i%10 == 0 {
			c.send(`{"type":"ping"}`)
		}
	}
	pongs := 0
	for next := 0; next < events || pongs < events/10; {
		switch f := c.next(); {
		case f.Type == "pong":
			pongs++
		case f.Type != "activity" || f.Event.Event != fmt.Sprint(next) || len(f.Data) != len(large):
			t.Fatalf("got %s %s with %d bytes where event %d is next", f.Type, f.Event.Event, len(f.Data), next)
		default:
			next++
		}
	}
}

func TestTheServerSaysGoodbye(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	c, _ := s.dial("/ws", withToken(p.token))
	c.greeted(p)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.server.Run(ctx) }()
	cancel()
	if code := c.closed(); code != websocket.StatusGoingAway {
		t.Errorf("closed with %d", code)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, status := s.dial("/ws", withToken(p.token)); status != 503 {
		t.Errorf("status %d", status)
	}
}
