package api

import (
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// crewBatch is how many tasks a member of the crew takes at a time.
	crewBatch = 32

	taskResting int32 = iota
	taskQueued        // its turn will come
	taskBusy          // it is its turn
	taskAgain         // it is its turn, and there is more since
	taskEnding        // it is its last turn
	taskOver
)

// crew does the tasks of thousands of sockets with as many goroutines as there
// are processors: to wake a goroutine for each costs as much as the system call
// that its turn is about. Its goroutines live while there are tasks to do.
type crew struct {
	live *sync.WaitGroup // whoever adds a task is counted in it already
	most int             // goroutines

	mu      sync.Mutex
	due     []*task // from head on
	head    int
	working int
}

// task is what is to be done whenever it is woken, by one goroutine at a time.
type task struct {
	crew *crew
	// turn does what there is to do without waiting for anything, and sees to it
	// that rest is called at its end, from whatever goroutine.
	turn  func()
	state atomic.Int32
	over  chan struct{} // closed at the end of the last turn
}

// begin starts the task with a turn of the caller's, who ends it with rest.
func (t *task) begin(c *crew, turn func()) {
	t.crew, t.turn, t.over = c, turn, make(chan struct{})
	t.state.Store(taskBusy)
}

// wake gives the task a turn, now or behind the one it is having. It may be
// called at any time and never waits for a turn.
func (t *task) wake() {
	for {
		switch state := t.state.Load(); state {
		case taskResting:
			if t.state.CompareAndSwap(state, taskQueued) {
				t.crew.add(t)
				return
			}
		case taskBusy:
			if t.state.CompareAndSwap(state, taskAgain) {
				return
			}
		default:
			return
		}
	}
}

// rest ends a turn.
func (t *task) rest() {
	for {
		switch state := t.state.Load(); state {
		case taskBusy:
			if t.state.CompareAndSwap(state, taskResting) {
				return
			}
		case taskAgain:
			if t.state.CompareAndSwap(state, taskQueued) {
				t.crew.add(t)
				return
			}
		default:
			t.state.Store(taskOver)
			close(t.over)
			return
		}
	}
}

// end waits for a turn under way and returns when there will be no other. It
// is called once.
func (t *task) end() {
	for {
		switch state := t.state.Load(); state {
		case taskBusy, taskAgain:
			if t.state.CompareAndSwap(state, taskEnding) {
				<-t.over
				return
			}
		default:
			if t.state.CompareAndSwap(state, taskOver) {
				return
			}
		}
	}
}

func (c *crew) add(t *task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due = append(c.due, t)
	if c.working < c.most {
		c.working++
		c.live.Go(c.work)
	}
}

func (c *crew) work() {
	var batch [crewBatch]*task
	for {
		n := c.take(batch[:])
		if n == 0 {
			return
		}
		for _, t := range batch[:n] {
			if t.state.CompareAndSwap(taskQueued, taskBusy) {
				t.turn()
			}
		}
		runtime.Gosched() // a long queue keeps nobody else from the processor
	}
}

// take takes the tasks that are due longest; with none left the goroutine is no
// member any more.
func (c *crew) take(batch []*task) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := copy(batch, c.due[c.head:])
	c.head += n
	if c.head > len(c.due)/2 { // what is left moves to the front, at most once for each that was taken
		c.due, c.head = c.due[:copy(c.due, c.due[c.head:])], 0
	}
	if n == 0 {
		c.working--
	}
	return n
}
