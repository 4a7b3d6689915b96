package api_test

import (
	"encoding/json"
	"testing"

	"agentstudio/internal/api"
)

func (c *client) presence(what string) api.Presence {
	c.t.Helper()
	f := c.expect("presence", what)
	var p api.Presence
	if err := json.Unmarshal(f.Data, &p); err != nil {
		c.t.Fatal(err)
	}
	return p
}

func (c *client) say(frame map[string]any) {
	c.t.Helper()
	text, err := json.Marshal(frame)
	if err != nil {
		c.t.Fatal(err)
	}
	c.send(string(text))
}

func TestThoseWhoHaveAWorkflowOpenSeeWhereTheOthersStand(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id := s.create(w.editor.token, w.id, fixable).text("id")
	room := "workflow:" + id
	enter := func(p person) (*client, string) {
		c, _ := s.dial("/ws", withToken(p.token))
		connection := c.expect("connection", "connected").ConnectionID
		c.expect("subscription", "subscribed")
		c.say(map[string]any{"type": "subscribe", "room_id": room})
		c.expect("subscription", "subscribed")
		return c, connection
	}
	first, _ := enter(w.editor)
	second, hers := enter(w.viewer)
	second.say(map[string]any{"type": "presence", "room_id": room, "x": 12.5, "y": -4})
	got := first.presence("joined")
	if got.ConnectionID != hers || got.UserID != w.viewer.id || got.Name == "" || got.X == nil || *got.X != 12.5 || *got.Y != -4 {
		t.Errorf("joined as %+v", got)
	}
	second.presence("joined")
	first.say(map[string]any{"type": "presence", "room_id": room, "node_id": "a"})
	if got := second.presence("joined"); got.NodeID != "a" || got.X != nil {
		t.Errorf("the first stands at %+v", got)
	}
	first.presence("joined")
	first.say(map[string]any{"type": "unsubscribe", "room_id": room})
	second.presence("left")
	first.expect("subscription", "unsubscribed")
	if err := second.conn.CloseNow(); err != nil {
		t.Fatal(err)
	}

	// Who has gone without a word is gone too.
	third, _ := enter(w.editor)
	fourth, _ := enter(w.viewer)
	fourth.say(map[string]any{"type": "presence", "room_id": room})
	third.presence("joined")
	if err := fourth.conn.CloseNow(); err != nil {
		t.Fatal(err)
	}
	third.presence("left")

	for _, bad := range []map[string]any{
		{"room_id": "workflow:" + w.id},
		{"room_id": "user:" + w.editor.id},
		{"room_id": room, "x": 1e9},
	} {
		bad["type"] = "presence"
		third.say(bad)
		if f := third.next(); f.Type != "error" || f.Message == "" {
			t.Errorf("%v was answered with %+v", bad, f)
		}
	}
}
