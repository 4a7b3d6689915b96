package engine

import (
	"context"
	"sync"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/workflow"

	"github.com/google/uuid"
)

// maxBatch is how many rows a commit gathers before it is written.
const maxBatch = 500

// run is one execution in memory. Its fields belong to the goroutine in
// execute; visits talk to it through the mailbox only.
type run struct {
	engine  *Engine
	x       *execution.Execution
	uid     uuid.UUID
	room    string
	program *workflow.Program
	trigger any
	start   int                  // step the execution begins with
	origin  *execution.Execution // what the author knows: x, or where its share comes from
	share   *share               // set when x is a share

	ctx    context.Context // of the visits; ends when the execution does
	cancel context.CancelFunc

	root    *frame
	ready   []task
	launch  []*visit
	active  map[*visit]struct{}
	waiting map[task]time.Time
	batch   batch
	output  value
	// gathering are loops that end once their rounds are in the table.
	gathering []*loop
	over      bool
	again     bool // wanted again when it had just given up its lease
	paused    bool
	heard     time.Time // when a child began or ended last
	unseen    bool      // a wait was restored: what it is for may have come
	dropped   []string  // executions that nobody waits for any more: cancelled after the commit
	asking    bool      // something was asked for from outside
	broken    error     // something of ours failed: nothing more may be written

	recovered bool // rows of an earlier life may exist
	deadline  time.Time

	mailbox chan func()
	visits  sync.WaitGroup

	lookMu sync.Mutex
	asked  bool // a signal came and was not handled
	closed bool // no more signals are taken
	wakeUp chan struct{}

	logMu sync.Mutex
	logs  []execution.LogEntry

	scratch []byte // what values are written into
}

func newRun(e *Engine, x *execution.Execution) *run {
	uid, err := uuid.Parse(x.ID)
	if err != nil {
		uid = uuid.NewSHA1(uuid.Nil, []byte(x.ID))
	}
	return &run{engine: e, x: x, origin: x, uid: uid, room: event.ExecutionRoom(x.ID), active: map[*visit]struct{}{}, waiting: map[task]time.Time{},
		mailbox: make(chan func()), wakeUp: make(chan struct{}, 1), paused: x.PauseRequested}
}

func (r *run) now() time.Time { return r.engine.cfg.Now() }

// look asks the run to read its row again. It reports false when the run has
// ended or is about to.
func (r *run) look() bool {
	r.lookMu.Lock()
	defer r.lookMu.Unlock()
	if r.closed {
		return false
	}
	r.asked = true
	select {
	case r.wakeUp <- struct{}{}:
	default:
	}
	return true
}

// close takes no more signals; it reports false when one came meanwhile.
func (r *run) close() bool {
	r.lookMu.Lock()
	defer r.lookMu.Unlock()
	if r.asked && !r.over {
		return false
	}
	r.closed = true
	return true
}

func (r *run) takeSignal() bool {
	r.lookMu.Lock()
	defer r.lookMu.Unlock()
	asked := r.asked
	r.asked = false
	return asked
}

// execute is the life of a run in memory.
func (r *run) execute(ctx context.Context, fresh bool) (wake time.Time, err error) {
	r.ctx, r.cancel = context.WithCancel(ctx)
	defer r.visits.Wait()
	defer r.cancel()
	defer func() {
		r.lookMu.Lock()
		r.closed = true
		r.lookMu.Unlock()
	}()
	if err := r.load(ctx, fresh); err != nil {
		if fault.KindOf(err) == fault.Internal || fault.Is(err, fault.Unavailable) {
			return time.Time{}, err
		}
		r.finish(execution.Failed, execution.ErrorOf(err, ""), value{})
	}
	for {
		if err := r.turn(ctx); err != nil {
			return time.Time{}, r.abandon(err)
		}
		if r.over {
			return time.Time{}, r.afterEnd(ctx)
		}
		// After the commit: a child just begun is in the table by now.
		if r.takeSignal() || r.unseen || r.watches() {
			r.unseen = false
			if err := r.readRow(ctx); err != nil {
				return time.Time{}, err
			}
			continue
		}
		if err := ctx.Err(); err != nil {
			return time.Time{}, err // cut off is not at rest
		}
		if rest, until := r.atRest(); rest {
			return r.park(ctx, until)
		}
		if err := r.wait(ctx); err != nil {
			return time.Time{}, err
		}
	}
}

// abandon drops what is in memory: another engine has the execution now, or
// the database could not write.
func (r *run) abandon(err error) error {
	if fault.Is(err, fault.Stale) {
		r.engine.cfg.Log.Warn("lease lost, execution dropped", "execution_id", r.x.ID)
		return nil
	}
	return err
}

// turn moves the execution as far as it goes without waiting, commits, and
// starts the visits whose turn has come.
func (r *run) turn(ctx context.Context) error {
	for {
		r.advance()
		if r.broken != nil {
			return r.broken
		}
		if !r.over && r.share == nil && r.root.progress.Over() && len(r.active) == 0 && len(r.launch) == 0 {
			r.finish(execution.Completed, nil, r.outputOf(r.root))
		}
		full := r.batch.rows() >= maxBatch
		if err := r.commit(ctx, r.over); err != nil {
			return err
		}
		for _, v := range r.launch {
			v.begin()
		}
		r.launch = nil
		if err := r.cancelDropped(ctx); err != nil {
			return err
		}
		gathered, err := r.gather(ctx)
		if err != nil {
			return err
		}
		if !full && !gathered || r.over {
			return nil
		}
	}
}

// advance runs what is instant in place and prepares visits for the rest, as
// far as max_parallel and the batch allow.
func (r *run) advance() {
	for len(r.ready) > 0 && !r.over && r.broken == nil && !r.paused && !r.stopping() && r.batch.rows() < maxBatch {
		at := r.next()
		if at < 0 {
			return
		}
		t := r.ready[at]
		if at == 0 {
			r.ready = r.ready[1:]
		} else {
			r.ready = append(r.ready[:at:at], r.ready[at+1:]...)
		}
		if t.frame.closed {
			continue
		}
		r.visit(t)
	}
}

// next returns the first ready task that may start now, or -1: instant ones
// always, others while fewer than max_parallel are in flight.
func (r *run) next() int {
	if len(r.active)+len(r.launch) < r.maxParallel() {
		return 0
	}
	for i, t := range r.ready {
		if s := &r.program.Steps[t.step]; s.Kind.Instant || !s.Enabled {
			return i
		}
	}
	return -1
}

func (r *run) maxParallel() int {
	if n := r.chosenParallel(); n > 0 {
		return n
	}
	return r.engine.cfg.MaxParallel
}

// chosenParallel is how many nodes at a time the workflow allows; 0 when it
// does not say.
func (r *run) chosenParallel() int {
	if r.share != nil && r.share.MaxParallel > 0 {
		return r.share.MaxParallel
	}
	return r.program.Definition.Settings.MaxParallel
}

func (r *run) stopping() bool {
	select {
	case <-r.engine.stop:
		return true
	default:
		return false
	}
}

// wait blocks until something happened: a visit ended, a signal, a timer.
func (r *run) wait(ctx context.Context) error {
	timer := time.NewTimer(r.untilWake())
	defer timer.Stop()
	var stop <-chan struct{}
	if !r.stopping() {
		stop = r.engine.stop
	}
	select {
	case f := <-r.mailbox:
		f()
	case <-r.wakeUp:
	case <-timer.C:
	case <-stop:
	case <-ctx.Done():
		return ctx.Err()
	}
	for drained := false; !drained; {
		select {
		case f := <-r.mailbox:
			f()
		default:
			drained = true
		}
	}
	r.wakeDue()
	return nil
}

func (r *run) untilWake() time.Duration {
	until := time.Hour
	now := r.now()
	for _, at := range r.waiting {
		if !at.IsZero() {
			until = min(until, at.Sub(now))
		}
	}
	if !r.deadline.IsZero() {
		until = min(until, r.deadline.Sub(now))
	}
	if at := r.lingers(); at.After(now) {
		until = min(until, at.Sub(now))
	}
	if r.share != nil {
		until = min(until, r.share.look.Sub(now))
	}
	return max(until, 0)
}

// wakeDue puts back to work the nodes whose time has come.
func (r *run) wakeDue() {
	now := r.now()
	if !r.deadline.IsZero() && !now.Before(r.deadline) && !r.over {
		limit := time.Duration(r.program.Definition.Settings.TimeoutSeconds * float64(time.Second))
		r.finish(execution.Failed, &execution.Error{Code: "timeout", Message: "the execution ran longer than its limit of " + limit.String()}, value{})
		return
	}
	for t, at := range r.waiting {
		if at.IsZero() || now.Before(at) || r.paused {
			continue
		}
		delete(r.waiting, t)
		n := t.state()
		if n.run.Wait != nil && n.run.Wait.Reason != waitRetry {
			n.resume = &resume{Resume: node.Resume{Reason: waitTimer}}
		}
		r.ready = append(r.ready, t)
	}
}

// atRest reports whether nothing runs and nothing will before until (zero:
// before somebody signals).
func (r *run) atRest() (bool, time.Time) {
	if len(r.active) > 0 {
		return false, time.Time{}
	}
	if r.stopping() {
		return true, time.Time{}
	}
	if len(r.ready) > 0 && !r.paused {
		return false, time.Time{}
	}
	var until time.Time
	for _, at := range r.waiting {
		if !at.IsZero() && (until.IsZero() || at.Before(until)) && !r.paused {
			until = at
		}
	}
	if !r.deadline.IsZero() && (until.IsZero() || r.deadline.Before(until)) {
		until = r.deadline
	}
	if !until.IsZero() && until.Sub(r.now()) < r.engine.cfg.StayAwake || r.now().Before(r.lingers()) {
		return false, time.Time{}
	}
	return true, until
}

// park writes that the execution rests and gives up the lease. When a signal
// came meanwhile the execution is wanted again: then it must be claimed anew,
// since another engine may have it by now.
func (r *run) park(ctx context.Context, until time.Time) (time.Time, error) {
	status := execution.Waiting
	switch {
	case r.paused:
		status = execution.Paused
	case r.stopping():
		status, until = execution.Running, time.Time{}
	}
	r.x.WakeAt = until
	if r.x.Status != status {
		r.x.Status = status
		r.emitExecution("", "")
	}
	if err := r.commit(ctx, true); err != nil {
		return time.Time{}, r.abandon(err)
	}
	r.again = !r.close() && !r.stopping()
	return until, nil
}

// readRow takes in what others wrote about the execution.
func (r *run) readRow(ctx context.Context) error {
	x, err := r.engine.journal.Child(ctx, r.x.WorkspaceID, r.x.ID)
	if fault.Is(err, fault.NotFound) {
		r.over = true
		return nil
	}
	if err != nil {
		return err
	}
	if x.CancelRequested && !r.over {
		r.x.CancelRequested = true
		r.finish(execution.Cancelled, &execution.Error{Code: "cancelled", Message: "the execution was cancelled"}, value{})
		return nil
	}
	if orphan, err := r.orphaned(ctx); err != nil || orphan {
		return err
	}
	if x.PauseRequested != r.paused {
		if err := r.pauseShares(ctx, x.PauseRequested); err != nil {
			return err
		}
	}
	r.setPaused(x.PauseRequested)
	return r.lookAround(ctx)
}

// lookAround finds out what has come of what nodes wait for.
func (r *run) lookAround(ctx context.Context) error {
	if err := r.lookAtChildren(ctx); err != nil {
		return err
	}
	if err := r.lookAtShares(ctx); err != nil {
		return err
	}
	return r.lookAtAnswers(ctx)
}

func (r *run) setPaused(paused bool) {
	if paused == r.paused {
		return
	}
	r.paused = paused
	r.x.Status = execution.Running
	if paused {
		r.x.Status = execution.Paused
	}
	r.emitExecution("", "")
}
