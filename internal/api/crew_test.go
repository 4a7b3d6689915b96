package api

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestTasksHaveOneTurnAtATimeAndNoWakeIsLost(t *testing.T) {
	var live sync.WaitGroup
	c := crew{live: &live, most: 4}
	type work struct {
		task
		put, done atomic.Int64
		inside    int // guarded by the turn alone: the race detector watches
	}
	all := make([]*work, 200)
	for i := range all {
		w := &work{}
		all[i] = w
		w.begin(&c, func() {
			w.inside++
			w.done.Store(w.put.Load())
			if w.inside%3 == 0 { // some turns go on elsewhere
				live.Go(w.rest)
				return
			}
			w.rest()
		})
		w.rest()
	}
	var wakers sync.WaitGroup
	for range 8 {
		wakers.Go(func() {
			for range 50 {
				for _, w := range all {
					w.put.Add(1)
					w.wake()
				}
			}
		})
	}
	wakers.Wait()
	live.Wait()
	for i, w := range all {
		if w.done.Load() != 400 {
			t.Fatalf("task %d saw %d of 400 things to do", i, w.done.Load())
		}
		w.end()
		before := w.inside
		w.wake()
		live.Wait()
		if w.inside != before {
			t.Fatal("a task that has ended had another turn")
		}
	}
	if c.working != 0 || len(c.due) != c.head {
		t.Errorf("%d goroutines and %d tasks are left", c.working, len(c.due)-c.head)
	}
}

func TestTheEndOfATaskWaitsForItsTurn(t *testing.T) {
	var live sync.WaitGroup
	c := crew{live: &live, most: 1}
	var k task
	inside, on := make(chan struct{}), make(chan struct{})
	var over atomic.Bool
	k.begin(&c, func() {
		close(inside)
		<-on
		over.Store(true)
		k.rest()
	})
	k.rest()
	k.wake()
	<-inside
	k.wake() // comes to nothing: the end comes first
	time.AfterFunc(10*time.Millisecond, func() { close(on) })
	k.end()
	if !over.Load() {
		t.Error("the end did not wait")
	}
	live.Wait()
}

func TestConnectionsThatMustWaitAreWrittenByFinish(t *testing.T) {
	here, there := net.Pipe() // is no socket
	defer there.Close()       //nolint:errcheck // the test is over
	w := newWire(here)
	left, err := w.send([]byte("first"))
	if err != nil || string(left) != "first" {
		t.Fatalf("left %q, %v", left, err)
	}
	var writers sync.WaitGroup
	writers.Go(func() {
		if _, err := w.Write([]byte("second")); err != nil {
			t.Error(err)
		}
	})
	writers.Go(func() {
		if err := w.finish(left); err != nil {
			t.Error(err)
		}
	})
	for _, want := range []string{"first", "second"} {
		text := make([]byte, 10)
		n, err := there.Read(text)
		if err != nil || string(text[:n]) != want {
			t.Fatalf("read %q, %v; want %q", text[:n], err, want)
		}
	}
	writers.Wait()
}
