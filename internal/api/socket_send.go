package api

import (
	"encoding/json"

	"agentstudio/internal/event"

	"github.com/coder/websocket"
)

// show adds an event to what is due. It may wait.
func (k *socket) show(e *event.Event) error {
	if err := k.gather(e); err != nil || !k.full() {
		return err
	}
	return k.flush()
}

// tell adds a frame that is no event of a room. It may wait.
func (k *socket) tell(n notice) error {
	n.Timestamp = Time(k.server.cfg.Now())
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	k.add(textFrame(text))
	if !k.full() {
		return nil
	}
	return k.flush()
}

// gather is show without sending anything.
func (k *socket) gather(e *event.Event) error {
	whole, err := k.server.frames.of(e)
	if err == nil {
		k.add(whole)
	}
	return err
}

func (k *socket) add(whole []byte) {
	if k.due == nil {
		if k.due, _ = k.server.frames.due.Get().(*[]byte); k.due == nil {
			k.due = new([]byte)
		}
	}
	*k.due = append(*k.due, whole...)
}

// full reports whether enough is gathered to be sent.
func (k *socket) full() bool { return k.due != nil && len(*k.due) >= maxHeld }

// push sends what is due as far as that takes no waiting: a system call for all
// of it. False: it is not all sent, or failed.
func (k *socket) push() bool {
	if k.due == nil {
		return true
	}
	var err error
	if k.left, err = k.wire.send(*k.due); err != nil {
		k.failed = errGone
	}
	if len(k.left) > 0 {
		return false
	}
	k.release()
	return err == nil
}

// finish waits until the client has taken what a push has left. One that does
// not take it in time is dropped with 1013: nothing is held in memory for it.
func (k *socket) finish() error {
	if len(k.left) == 0 {
		return nil
	}
	k.slow.begin()
	err := k.wire.finish(k.left)
	k.left = nil
	k.release()
	switch dropped := k.slow.end(); {
	case dropped:
		return &closing{code: websocket.StatusTryAgainLater, reason: "the client is too slow"}
	case err != nil:
		return errGone
	}
	return nil
}

// flush sends what is due, and waits for it.
func (k *socket) flush() error {
	if k.push() {
		return nil
	}
	if k.failed != nil {
		return k.failed
	}
	return k.finish()
}

// release gives back what held the frames that were due.
func (k *socket) release() {
	if cap(*k.due) <= 2*maxHeld { // what one large event needed is not kept
		*k.due = (*k.due)[:0]
		k.server.frames.due.Put(k.due)
	}
	k.due = nil
}
