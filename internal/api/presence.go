package api

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"time"

	"agentstudio/internal/event"
)

const (
	// presencePace is how often a socket may say where it stands; what comes
	// sooner is left out, since it is stale a moment later.
	presencePace = 30 * time.Millisecond
	// canvasEdge bounds a place on the canvas, in pixels from its middle.
	canvasEdge = 1e7
)

// Presence says where somebody stands in a workflow that others have open too:
// what presence/joined, moved and left carry. Nothing of it is kept: who comes
// says joined, and the others answer with where they stand.
type Presence struct {
	ConnectionID string   `json:"connection_id"`
	UserID       string   `json:"user_id"`
	Name         string   `json:"name"`
	X            *float64 `json:"x,omitempty"`
	Y            *float64 `json:"y,omitempty"`
	NodeID       string   `json:"node_id,omitempty"`
}

// stand tells the others in a workflow's room where the client stands.
func (k *socket) stand(ctx context.Context, c command) error {
	switch {
	case k.rooms[c.Room] == nil || !strings.HasPrefix(c.Room, event.WorkflowRoom("")):
		return k.refuse(c.Room, "presence is told in the room of a workflow that was subscribed to")
	case len(c.NodeID) > 128 || !onCanvas(c.X) || !onCanvas(c.Y):
		return k.refuse(c.Room, "presence has x and y, numbers of at most 10,000,000, and node_id, of at most 128 characters; each may be left out")
	}
	now := k.server.cfg.Now()
	if k.stands[c.Room] && now.Sub(k.stood) < presencePace {
		return nil
	}
	if k.name == "" {
		k.name = k.by.Email
		if u, err := k.server.Accounts.Me(ctx, k.by); err == nil && u.FullName != "" {
			k.name = u.FullName
		}
	}
	what := "moved"
	if !k.stands[c.Room] {
		what = "joined"
	}
	if k.stands == nil {
		k.stands = map[string]bool{}
	}
	k.stands[c.Room], k.stood = true, now
	k.announce(ctx, c.Room, what, Presence{X: c.X, Y: c.Y, NodeID: c.NodeID})
	return nil
}

func onCanvas(v *float64) bool { return v == nil || math.Abs(*v) <= canvasEdge }

// leave tells the others that the client is not in the room any more.
func (k *socket) leave(ctx context.Context, room string) {
	if k.stands[room] {
		delete(k.stands, room)
		k.announce(ctx, room, "left", Presence{})
	}
}

func (k *socket) announce(ctx context.Context, room, what string, p Presence) {
	p.ConnectionID, p.UserID, p.Name = k.id, k.by.UserID, k.name
	text, err := json.Marshal(p)
	if err != nil {
		return // numbers and strings: always written
	}
	k.server.Bus.Publish(context.WithoutCancel(ctx), event.Event{Room: room, Type: event.Presence, Name: what, At: k.server.cfg.Now().UTC(), Data: text})
}
