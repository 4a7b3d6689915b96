package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/bus/memory"
	"agentstudio/internal/dispatch/local"
	"agentstudio/internal/engine"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/node/builtin"
	"agentstudio/internal/store"
	"agentstudio/internal/workflow"

	"github.com/google/uuid"
)

// studio is a whole engine on a real database, without HTTP.
type studio struct {
	t     testing.TB
	db    *store.DB
	bus   *memory.Bus
	kinds *node.Kinds
	store *store.Executions
	disp  dispatcher
	eng   *engine.Engine

	mu       sync.Mutex
	programs map[string]*workflow.Program
	stop     func()
}

func (s *studio) Program(_ context.Context, _, id string, _ int) (*workflow.Program, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.programs[id]; p != nil {
		return p, nil
	}
	return nil, fault.New(fault.NotFound, "no workflow %s", id)
}

func (s *studio) Edited(ctx context.Context, workspaceID, _ string) (*workflow.Program, error) {
	if p, err := s.Program(ctx, workspaceID, "edited", 1); err == nil {
		return p, nil
	}
	return nil, fault.New(fault.NotFound, "nothing is edited here")
}

func (s *studio) Live(context.Context, string, string) (int, error) { return 1, nil }

// probe lets tests decide what a node does.
type probeConfig struct {
	Name  string `json:"name,omitempty"`
	Value any    `json:"value,omitempty"`
}

type probes struct {
	mu   sync.Mutex
	runs map[string]int
	do   map[string]func(context.Context, node.Call, probeConfig) (node.Result, error)
	// splitFrom is the engine's SplitFrom.
	splitFrom int
}

func (p *probes) on(name string, do func(context.Context, node.Call, probeConfig) (node.Result, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.do[name] = do
}

func (p *probes) count(key string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs[key]
}

func (p *probes) kind(name string, crash node.CrashPolicy) node.Type {
	return node.Define(node.Spec{Kind: name, Title: "Probe", Group: node.Action, Effect: true, OnCrash: crash},
		func(ctx context.Context, c node.Call, cfg probeConfig) (node.Result, error) {
			p.mu.Lock()
			p.runs[c.NodeID+"/"+c.Iteration]++
			p.runs[c.NodeID]++
			do := p.do[c.NodeID]
			p.mu.Unlock()
			if do == nil {
				if cfg.Value == nil {
					return node.Output("", c.Input), nil
				}
				return node.Output("", cfg.Value), nil
			}
			return do(ctx, c, cfg)
		})
}

func newProbes() *probes {
	return &probes{runs: map[string]int{}, do: map[string]func(context.Context, node.Call, probeConfig) (node.Result, error){}}
}

// dispatcher is what drives the engine.
type dispatcher interface {
	execution.Announcer
	run(ctx, drain context.Context, e *engine.Engine) error
}

type embedded struct{ *local.Dispatcher }

func (d embedded) run(ctx, drain context.Context, e *engine.Engine) error {
	return d.Run(ctx, drain, e)
}

// start brings a studio up on the database, as a new process would.
func start(t testing.TB, db *store.DB, p *probes, programs map[string]*workflow.Program) *studio {
	t.Helper()
	journal := store.NewExecutions(db, nil, time.Now)
	d := local.New(journal, local.Config{Log: slog.New(slog.DiscardHandler), Retry: 10 * time.Millisecond})
	journal.Tell(d)
	return startWith(t, db, p, programs, journal, embedded{d}, "local", nil)
}

// carrier reaches other processes with what is published.
type carrier func(local *memory.Bus) event.Bus

// startWith brings a studio up on a dispatcher, and a bus over the local one
// when there are other processes to reach.
func startWith(t testing.TB, db *store.DB, p *probes, programs map[string]*workflow.Program, journal *store.Executions, d dispatcher, worker string, over carrier) *studio {
	t.Helper()
	s := &studio{t: t, db: db, bus: memory.New(4096), programs: programs}
	var bus event.Bus = s.bus
	if over != nil {
		bus = over(s.bus)
	}
	if s.programs == nil {
		s.programs = map[string]*workflow.Program{}
	}
	s.kinds = node.NewKinds(append(builtin.Kinds(builtin.Deps{}), p.kind("probe", node.CrashRerun), p.kind("once", node.CrashFail))...)
	s.store, s.disp = journal, d
	quiet := slog.New(slog.DiscardHandler)
	s.eng = engine.New(s.store, s, bus, s.disp, s.store, engine.Config{Worker: worker, Log: quiet, NewID: newID, StayAwake: 50 * time.Millisecond, SplitFrom: p.splitFrom, SplitAlone: true})
	ctx, cancel := context.WithCancel(context.Background())
	writerCtx, stopWriter := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	writer := make(chan struct{})
	go func() { defer close(writer); _ = s.store.Run(writerCtx) }()
	wg.Go(func() { _ = s.disp.run(ctx, ctx, s.eng) })
	s.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		stopWriter()
		<-writer
	})
	t.Cleanup(s.stop)
	return s
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// define compiles a workflow written as YAML and returns its id.
func (s *studio) define(text string) string {
	s.t.Helper()
	def, err := workflow.NewCodec().Decode([]byte(text))
	if err != nil {
		s.t.Fatal(err)
	}
	p, report := workflow.Compile(def, s.kinds)
	if p == nil {
		s.t.Fatalf("workflow is not valid: %+v", report.Errors)
	}
	id := def.Name
	s.mu.Lock()
	s.programs[id] = p
	s.mu.Unlock()
	return id
}

func (s *studio) create(id string, trigger any) *execution.Execution {
	s.t.Helper()
	data, err := json.Marshal(trigger)
	if err != nil {
		s.t.Fatal(err)
	}
	x := execution.Execution{ID: newID(), WorkspaceID: "w", WorkflowID: id, WorkflowName: id, WorkflowVersion: 1, Status: execution.Pending,
		TriggerType: "manual", TriggerData: data, CreatedAt: time.Now(), Epoch: 1, Worker: "local"}
	if _, _, err := s.store.Create(context.Background(), execution.New{Execution: x}); err != nil {
		s.t.Fatal(err)
	}
	s.disp.Announce(execution.Ticket{ID: x.ID, WorkspaceID: "w", Fresh: &x})
	return &x
}

func (s *studio) find(id string) *execution.Execution {
	s.t.Helper()
	x, err := s.store.Find(context.Background(), "w", id)
	if err != nil {
		s.t.Fatal(err)
	}
	return x
}

// until waits for events of the execution until the condition holds.
func (s *studio) until(id string, what string, holds func(*execution.Execution) bool) *execution.Execution {
	s.t.Helper()
	sub := s.bus.Subscribe(event.ExecutionRoom(id))
	defer sub.Close()
	deadline := time.After(20 * time.Second)
	for {
		if x := s.find(id); holds(x) {
			return x
		}
		select {
		case <-sub.C():
		case <-deadline:
			s.t.Fatalf("execution %s never was %s: %+v %+v", id, what, s.find(id), s.find(id).Error)
		}
	}
}

func (s *studio) wait(id string) *execution.Execution {
	s.t.Helper()
	return s.until(id, "over", func(x *execution.Execution) bool { return x.Status.Over() })
}

func (s *studio) run(yaml string, trigger any) *execution.Execution {
	s.t.Helper()
	return s.wait(s.create(s.define(yaml), trigger).ID)
}

func (s *studio) nodes(id string) map[string]execution.NodeRun {
	s.t.Helper()
	runs, _, err := s.store.AllNodeRuns(context.Background(), "w", id, 100_000, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]execution.NodeRun{}
	for _, n := range runs {
		key := n.NodeID
		if n.Iteration != "" {
			key += "/" + n.Iteration
		}
		out[key] = n
	}
	return out
}

func (s *studio) expectStatus(x *execution.Execution, want execution.Status) {
	s.t.Helper()
	if x.Status != want {
		s.t.Fatalf("status is %s (%+v), want %s", x.Status, x.Error, want)
	}
}

func expectJSON(t testing.TB, got json.RawMessage, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(g) != fmt.Sprint(w) {
		t.Fatalf("got %s, want %s", got, want)
	}
}
