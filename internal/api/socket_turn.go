package api

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"agentstudio/internal/event"

	"github.com/coder/websocket"
)

// turn does what there is to do. What takes waiting goes on in a goroutine of
// its own.
func (k *socket) turn(ctx context.Context) {
	waits := false
	defer func() {
		if !waits {
			k.task.rest()
		}
	}()
	defer k.survive(ctx)
	if waits = !k.quickly(ctx); waits {
		k.helpers.Go(func() {
			defer k.task.rest()
			k.slowly(ctx, k.step)
		})
	}
}

// quickly tells the events there are; false when what is left to do takes
// waiting.
func (k *socket) quickly(ctx context.Context) bool {
	if k.ended.Load() {
		return true
	}
	k.lagged = k.sub.Lagged()
	if k.lagged || len(k.commands) > 0 || k.beats.Load() || k.server.isStopping() {
		return false
	}
	for n := 0; n < maxStep && !k.full(); n++ {
		var e *event.Event
		select {
		case e = <-k.sub.C():
		default:
			return k.push()
		}
		if f := k.rooms[e.Room]; e.Type == event.Session || f != nil && f.skips(e) {
			k.next = e
			return false
		}
		if k.failed = k.take(ctx, e, k.gather); k.failed != nil {
			return false
		}
	}
	k.task.wake() // for the rest
	return k.push()
}

// slowly takes a turn that may wait. When that fails, or what was to be sent
// cannot be, the socket is closed; what was told before is sent all the same.
func (k *socket) slowly(ctx context.Context, do func(context.Context) error) {
	defer k.survive(ctx)
	err := k.failed
	if err == nil {
		err = k.finish()
	}
	if err == nil {
		err = do(ctx)
		if unsent := k.flush(); err == nil {
			err = unsent
		}
	}
	if err != nil {
		k.close(ctx, err)
	}
}

// step does everything that the socket was woken for.
func (k *socket) step(ctx context.Context) error {
	if k.server.isStopping() {
		return &closing{code: websocket.StatusGoingAway, reason: "the studio is stopping"}
	}
	if err := k.takeAll(ctx); err != nil {
		return err
	}
	select {
	case c := <-k.commands:
		if err := k.obey(ctx, c); err != nil {
			return err
		}
	default:
	}
	if k.lagged || k.sub.Lagged() {
		k.lagged = false
		if err := k.recover(ctx); err != nil {
			return err
		}
	}
	if k.beats.CompareAndSwap(true, false) {
		k.ping(ctx)
		if err := k.look(ctx); err != nil {
			return err
		}
		k.beat.Reset(k.server.cfg.Heartbeat)
	}
	if len(k.sub.C()) > 0 || len(k.commands) > 0 {
		k.task.wake() // whoever put that there may have woken it before
	}
	return nil
}

// takeAll tells the events there are, at most so many that the client's frames
// have their turn.
func (k *socket) takeAll(ctx context.Context) error {
	if e := k.next; e != nil {
		k.next = nil
		if err := k.take(ctx, e, k.show); err != nil {
			return err
		}
	}
	for range maxStep {
		select {
		case e := <-k.sub.C():
			if err := k.take(ctx, e, k.show); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// ping keeps the connection alive, and closes it when the other end is gone.
func (k *socket) ping(ctx context.Context) {
	if !k.pinging.CompareAndSwap(false, true) {
		return
	}
	k.helpers.Go(func() {
		defer k.pinging.Store(false)
		wait, cancel := context.WithTimeout(ctx, k.server.cfg.SlowClient)
		defer cancel()
		if k.conn.Ping(wait) != nil {
			_ = k.conn.CloseNow() // there is nobody to tell
		}
	})
}

// close ends the socket with the reason for it: there is no turn after this one.
func (k *socket) close(ctx context.Context, err error) {
	k.ended.Store(true)
	var why *closing
	if !errors.As(err, &why) {
		why = &closing{code: websocket.StatusNormalClosure}
		if ctx.Err() == nil {
			k.server.noteStream(ctx, err)
			why = &closing{code: websocket.StatusInternalError, reason: "something went wrong on our side"}
		}
	}
	k.leaveAll(ctx)
	_ = k.conn.Close(why.code, why.reason) // the other end may be gone
}

// survive is deferred: a panic ends the socket and nothing else. The other end
// connects again.
func (k *socket) survive(ctx context.Context) {
	if v := recover(); v != nil {
		k.ended.Store(true)
		k.server.cfg.Log.ErrorContext(ctx, "socket panicked", "request_id", callOf(ctx).id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		_ = k.conn.CloseNow() // whoever reads ends the rest
	}
}
