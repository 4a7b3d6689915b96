package redis

import (
	"context"
	"encoding/json"
	"time"

	"agentstudio/internal/event"

	"github.com/redis/go-redis/v9"
)

// send publishes what is queued: at once when there is little, gathered when
// there is much.
func (b *Bus) send(ctx context.Context, _ *redis.PubSub) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.queued:
		}
		b.mu.Lock()
		events, lost := b.queue, b.lost
		b.queue, b.lost = nil, false
		b.mu.Unlock()
		if len(events) == 0 && !lost {
			continue
		}
		if err := b.publish(ctx, events, lost); err != nil {
			b.mu.Lock()
			b.lost = true
			b.mu.Unlock()
			return err
		}
	}
}

// publish sends one message for each room, in one round trip.
func (b *Bus) publish(ctx context.Context, events []event.Event, lost bool) error {
	byRoom := map[string][]event.Event{}
	var order []string
	for _, e := range events {
		if byRoom[e.Room] == nil {
			order = append(order, e.Room)
		}
		byRoom[e.Room] = append(byRoom[e.Room], e)
	}
	pipe := b.client.Pipeline()
	for _, room := range order {
		text, err := json.Marshal(message{From: b.id, Events: byRoom[room]})
		if err != nil {
			b.cfg.Log.Error("an event cannot be written", "error", err)
			lost = true
			continue
		}
		pipe.Publish(ctx, prefix+room, text)
	}
	if lost {
		text, err := json.Marshal(message{From: b.id})
		if err != nil {
			return err
		}
		pipe.Publish(ctx, common, text)
	}
	return b.limited(ctx, func(ctx context.Context) error {
		_, err := pipe.Exec(ctx)
		return err
	})
}

// follow tells Redis which rooms are listened to, and tries the connection.
func (b *Bus) follow(ctx context.Context, sub *redis.PubSub) error {
	beat := time.NewTicker(b.cfg.Beat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			if err := b.limited(ctx, func(ctx context.Context) error { return sub.Ping(ctx) }); err != nil {
				return err
			}
		case <-b.moved:
			if err := b.limited(ctx, func(ctx context.Context) error { return b.listen(ctx, sub) }); err != nil {
				return err
			}
		}
	}
}

// listen subscribes to the rooms that were joined and leaves the others. One
// that was left and joined again in between is confirmed anew.
func (b *Bus) listen(ctx context.Context, sub *redis.PubSub) error {
	b.mu.Lock()
	var join, leave []string
	for room := range b.change {
		if _, joined := b.rooms[room]; joined {
			join = append(join, prefix+room)
		} else {
			leave = append(leave, prefix+room)
		}
	}
	clear(b.change)
	b.mu.Unlock()
	if len(leave) > 0 {
		if err := sub.Unsubscribe(ctx, leave...); err != nil {
			return err
		}
	}
	if len(join) > 0 {
		return sub.Subscribe(ctx, join...)
	}
	return nil
}
