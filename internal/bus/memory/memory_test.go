package memory_test

import (
	"testing"

	"agentstudio/internal/bus/bustest"
	"agentstudio/internal/bus/memory"
	"agentstudio/internal/event"
)

func TestConformance(t *testing.T) {
	bustest.Run(t, func(*testing.T) (here, there event.Bus) {
		b := memory.New(256)
		return b, b
	})
}

func TestLagWakesOncePerLoss(t *testing.T) {
	b := memory.New(4)
	a, other := b.Subscribe("execution:1"), b.Subscribe("execution:2")
	defer a.Close()
	defer other.Close()
	b.Lag(func(room string) bool { return room == "execution:1" })
	b.Lag(func(room string) bool { return room == "execution:1" })
	if e := <-a.C(); e.Type != "" || !a.Lagged() || a.Lagged() || len(a.C()) != 0 {
		t.Error("a loss wakes its listener once and is reported once")
	}
	if len(other.C()) != 0 || other.Lagged() {
		t.Error("the listener of another room was told")
	}
	b.Lag(nil)
	if !a.Lagged() || !other.Lagged() {
		t.Error("a loss of everything did not reach everybody")
	}
}

type watcher struct{ rooms map[string]int }

func (w *watcher) Joined(room string) { w.rooms[room]++ }
func (w *watcher) Left(room string)   { w.rooms[room]-- }

func TestWatcherHearsOfFirstAndLastListeners(t *testing.T) {
	b, w := memory.New(4), &watcher{map[string]int{}}
	early := b.Subscribe("early")
	defer early.Close()
	b.Watch(w)
	first, second := b.Brief().Subscribe("r", "r"), b.Subscribe("r")
	if w.rooms["r"] != 1 || w.rooms["early"] != 1 {
		t.Errorf("got %v", w.rooms)
	}
	first.Remove("r")
	first.Remove("r")
	first.Close()
	if w.rooms["r"] != 1 {
		t.Errorf("got %v while somebody listens", w.rooms)
	}
	second.Close()
	if w.rooms["r"] != 0 {
		t.Errorf("got %v", w.rooms)
	}
}
