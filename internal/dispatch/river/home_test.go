package river_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

// host creates an execution that the process runs itself.
func (p *process) host() (execution.Execution, error) {
	p.world.mu.Lock()
	p.world.count++
	n := p.world.count
	p.world.mu.Unlock()
	x := execution.Execution{ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", n), WorkspaceID: "w", WorkflowID: "f", WorkflowName: "f", WorkflowVersion: 1,
		Status: execution.Pending, TriggerType: "webhook", StartNode: "s", TriggerData: []byte("{}"), CreatedAt: time.Now(), Epoch: 1, Worker: p.d.Host()}
	if x.Worker == "" {
		return x, fault.New(fault.Unavailable, "it takes no guests")
	}
	_, _, err := p.journal.Create(context.Background(), execution.New{Execution: x, Hosted: true})
	return x, err
}

func (p *process) announce(x execution.Execution) {
	p.d.Announce(execution.Ticket{ID: x.ID, WorkspaceID: x.WorkspaceID, Fresh: &x, Hosted: true})
}

// jobs is how many jobs the execution ever had.
func (p *process) jobs(id string) (n int) {
	if err := p.db.Read().QueryRowContext(context.Background(), `SELECT count(*) FROM river_job WHERE args->>'id' = $1`, id).Scan(&n); err != nil {
		p.t.Error(err)
	}
	return n
}

func TestAHostedExecutionRunsWhereItWasCreatedWithoutAJob(t *testing.T) {
	w := newWorld(t)
	w.do = func(_ context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		return p.finish(x)
	}
	first := w.start("first")
	w.start("second")
	for range 20 {
		x, err := first.host()
		if err != nil {
			t.Fatal(err)
		}
		first.announce(x)
		w.until("it ran", func() bool { return first.status(x.ID) == execution.Completed })
		w.mu.Lock()
		if got := fmt.Sprint(w.began[x.ID]); got != "[first]" {
			t.Errorf("it ran on %s", got)
		}
		w.mu.Unlock()
		if n := first.jobs(x.ID); n != 0 {
			t.Errorf("it had %d jobs", n)
		}
	}
}

func TestAHostedExecutionOfASilentProcessRunsOnAnother(t *testing.T) {
	w := newWorld(t)
	freed := make(chan struct{})
	late := make(chan error, 1)
	w.do = func(ctx context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		if p.name == "first" {
			select {
			case <-freed:
			case <-t.Context().Done(): // the test has failed
			}
			late <- p.finish(x)
			return ctx.Err()
		}
		return p.finish(x)
	}
	first := w.start("first")
	second := w.start("second")
	x, err := first.host()
	if err != nil {
		t.Fatal(err)
	}
	first.announce(x)
	w.until("it runs", func() bool { return len(w.began[x.ID]) == 1 })
	first.cut.sever()
	w.until("it ran elsewhere", func() bool { return second.status(x.ID) == execution.Completed })
	close(freed)
	if err := <-late; !fault.Is(err, fault.Stale) {
		t.Errorf("the commit of the first is %v", err)
	}
	first.cut.mend()
}

func TestAHostedExecutionThatNobodyStartedRunsAllTheSame(t *testing.T) {
	w := newWorld(t)
	w.do = func(_ context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		return p.finish(x)
	}
	first := w.start("first")
	x, err := first.host() // and the process forgets to announce it
	if err != nil {
		t.Fatal(err)
	}
	w.until("it ran", func() bool { return first.status(x.ID) == execution.Completed })
}

func TestAHostedExecutionIsHandedOnByAProcessThatStops(t *testing.T) {
	w := newWorld(t)
	w.do = func(ctx context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		if p.name == "first" {
			<-ctx.Done()
			return ctx.Err()
		}
		return p.finish(x)
	}
	first := w.start("first")
	second := w.start("second")
	x, err := first.host()
	if err != nil {
		t.Fatal(err)
	}
	first.announce(x)
	w.until("it runs", func() bool { return len(w.began[x.ID]) == 1 })
	first.stop()
	if host := first.d.Host(); host != "" {
		t.Errorf("a process that has stopped still hosts as %s", host)
	}
	w.until("it ran elsewhere", func() bool { return second.status(x.ID) == execution.Completed })
}

func TestAProcessWithoutALeaseCreatesNothingForItself(t *testing.T) {
	w := newWorld(t)
	w.do = func(_ context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		return p.finish(x)
	}
	first := w.start("first")
	first.cut.sever()
	w.until("others may take over", func() bool {
		silent, _, err := first.leases.TakeOver(context.Background())
		return err == nil && len(silent) == 1
	})
	x, err := first.host()
	switch {
	case fault.Is(err, fault.Unavailable): // it has noticed
	case fault.Is(err, fault.Stale):
		if status := first.status(x.ID); status != "" {
			t.Errorf("what was refused is %s", status)
		}
	default:
		t.Errorf("creating it answered %v", err)
	}
	first.cut.mend()
}

func TestAProcessTakesOnlySoManyGuests(t *testing.T) {
	w := newWorld(t)
	freed := make(chan struct{})
	w.do = func(_ context.Context, p *process, x *execution.Execution, _ <-chan struct{}) error {
		select {
		case <-freed:
		case <-t.Context().Done(): // the test has failed
		}
		return p.finish(x)
	}
	first := w.start("first")
	var guests []string
	for range maxActive / 4 {
		x, err := first.host()
		if err != nil {
			t.Fatal(err)
		}
		first.announce(x)
		guests = append(guests, x.ID)
	}
	w.until("they run", func() bool { return len(w.began) == len(guests) })
	if host := first.d.Host(); host != "" {
		t.Error("it takes more guests than it has room for")
	}
	close(freed)
	w.until("there is room again", func() bool { return first.d.Host() != "" })
	for _, id := range guests {
		w.until("it has ended", func() bool { return first.status(id) == execution.Completed })
	}
}
