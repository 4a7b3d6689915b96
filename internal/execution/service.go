package execution

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/schema"
	"agentstudio/internal/workflow"

	"github.com/maypok86/otter/v2"
)

// Programs finds the versions executions start with.
type Programs interface {
	Definitions
	Live(ctx context.Context, workspaceID, workflowID string) (int, error)
	Newest(ctx context.Context, workspaceID, workflowID string) (int, error)
	// Saved returns a version as it stands; it need not be valid.
	Saved(ctx context.Context, workspaceID, workflowID string, version int) (*workflow.Definition, error)
	Compile(d *workflow.Definition) (*workflow.Program, workflow.Report)
	// Freed returns the nodes that only administrators may let do what they do,
	// and that were not in before like this.
	Freed(before, d *workflow.Definition) []fault.Detail
}

// Listener hears of committed events.
type Listener interface {
	Subscribe(rooms ...string) event.Subscription
}

// Config adjusts a Service. NewID must be set.
type Config struct {
	NewID func() string
	Now   func() time.Time
	// Leased is the name of the engine that runs what is created here, when
	// the dispatcher is in this process; empty leaves executions unclaimed, for
	// whichever worker comes first.
	Leased string
	// Host returns the name under which this process may run an execution that
	// somebody here waits for, without a dispatch entry; "" when it may not.
	// nil: never.
	Host func() string
	// MaxTrigger bounds the trigger data, in bytes; 10 MiB.
	MaxTrigger int
}

// Service holds the use cases of executions. It is safe for concurrent use.
type Service struct {
	store    Store
	programs Programs
	announce Announcer
	bus      Listener
	cfg      Config
	schemas  schema.Cache
	waiters  waiters
	// owners remembers whose executions are, which never changes. What is
	// deleted is not found by the query that follows.
	owners *otter.Cache[string, string]
}

// maxOwners bounds what is remembered, about 100 bytes each.
const maxOwners = 20_000

// NewService returns the use cases.
func NewService(store Store, programs Programs, announce Announcer, bus Listener, cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxTrigger <= 0 {
		cfg.MaxTrigger = 10 << 20
	}
	owners := otter.Must(&otter.Options[string, string]{MaximumSize: maxOwners, Executor: func(upkeep func()) { upkeep() }})
	return &Service{store: store, programs: programs, announce: announce, bus: bus, cfg: cfg, owners: owners}
}

// StartInput says what to run.
type StartInput struct {
	WorkspaceID    string
	WorkflowID     string
	Version        int    // 0: the newest for people, the published one for triggers
	TriggerType    string // "" means manual
	StartNode      string // "" lets the trigger type choose
	TriggerData    json.RawMessage
	Priority       int
	ScheduledAt    time.Time
	IdempotencyKey string
	// DedupeKey is the trigger's expression of what repeated deliveries of one
	// event have in common; a delivery whose value was seen starts nothing.
	DedupeKey node.Expression
	// Once, when set, is what the happening behind this start is known by: a
	// second start of the same one answers the first execution.
	Once string
	// ID is the execution's id, for starts that have an identity of their own;
	// empty makes one.
	ID string
	// TryOut runs the newest version when none is published.
	TryOut bool
	// DryRun reaches nothing outside; PinnedOutputs, by node id, stand in for
	// nodes that would.
	DryRun        bool
	PinnedOutputs map[string]json.RawMessage
	// Until is the id of the node after which it ends: that node and what leads
	// to it run, from a definition of the execution's own. Empty runs all.
	Until string
	// ParentID and Depth say which execution this one follows.
	ParentID string
	Depth    int
}

// Start accepts an execution: when it returns without error, the execution is
// committed and will run. created is false when the idempotency key answered
// an earlier one. Conflict: the workflow is not valid; Invalid: the data breaks
// the trigger's schema.
func (s *Service) Start(ctx context.Context, by access.Actor, in StartInput) (x *Execution, created bool, err error) {
	if err := by.Need(in.WorkspaceID, access.Execute); err != nil {
		return nil, false, err
	}
	e, err := s.prepare(ctx, by, in)
	if err != nil {
		return nil, false, err
	}
	id, created, err := s.store.Create(ctx, *e)
	if err != nil {
		return nil, false, err
	}
	if !created || e.Place != nil { // with a place the store decides how it begins
		x, err := s.store.Find(ctx, in.WorkspaceID, id)
		return x, created, err
	}
	s.Accepted(e)
	return &e.Execution, true, nil
}

// Prepare builds the execution that Start would create, for callers that
// create it in a transaction of their own and then call Accepted.
func (s *Service) Prepare(ctx context.Context, by access.Actor, in StartInput) (*New, error) {
	if err := by.Need(in.WorkspaceID, access.Execute); err != nil {
		return nil, err
	}
	return s.prepare(ctx, by, in)
}

// Accepted hands an execution whose row is committed to the engine. One that
// needs a place is handed over by the store, once it has one.
func (s *Service) Accepted(n *New) {
	if n.Place != nil {
		return
	}
	fresh := n.Execution
	s.announce.Announce(Ticket{ID: n.ID, WorkspaceID: n.WorkspaceID, Priority: n.Priority, At: n.ScheduledAt, Fresh: &fresh, Hosted: n.Hosted})
}

// Look has the engine read an execution's row again.
func (s *Service) Look(workspaceID, id string) {
	s.announce.Announce(Ticket{ID: id, WorkspaceID: workspaceID})
}

func (s *Service) prepare(ctx context.Context, by access.Actor, in StartInput) (*New, error) {
	if in.TriggerType == "" {
		in.TriggerType = "manual"
	}
	if err := s.check(in); err != nil {
		return nil, err
	}
	version := in.Version
	var err error
	if version == 0 {
		version, err = s.version(ctx, by, in)
	}
	if err != nil {
		return nil, err
	}
	e := &New{IdempotencyKey: in.IdempotencyKey}
	p, err := s.program(ctx, in, version, e)
	if err != nil {
		return nil, err
	}
	start, ok := p.StartFor(in.TriggerType, in.StartNode)
	if !ok && in.Until != "" {
		return nil, fault.InvalidInput(fault.Detail{Location: "body.until", Code: "not_reached", Message: "the trigger that is started from does not lead to this node: connect them, or choose another start_node", Value: in.Until})
	}
	if !ok {
		return nil, fault.InvalidInput(fault.Detail{Location: "body.start_node", Code: "unknown_node", Message: "the workflow has no such trigger that is enabled"})
	}
	if len(in.TriggerData) == 0 {
		in.TriggerData = json.RawMessage("{}")
	}
	if err := s.checkTrigger(start, in.TriggerData); err != nil {
		return nil, err
	}
	if in.ID == "" {
		in.ID = s.cfg.NewID()
	}
	e.Execution = Execution{ID: in.ID, WorkspaceID: in.WorkspaceID, WorkflowID: in.WorkflowID, WorkflowName: p.Definition.Name, WorkflowVersion: version,
		UserID: by.UserID, APIKeyID: by.APIKeyID, Status: Pending, TriggerType: in.TriggerType, StartNode: start.Node.ID, TriggerData: in.TriggerData, Priority: in.Priority,
		TotalNodes: len(p.Steps), ParentID: in.ParentID, Depth: in.Depth, ScheduledAt: in.ScheduledAt, CreatedAt: s.cfg.Now().UTC(), Epoch: 1, Worker: s.cfg.Leased,
		DryRun: in.DryRun, Pinned: in.PinnedOutputs, Lineage: e.Lineage}
	if err := checkDry(p, start, &e.Execution); err != nil {
		return nil, err
	}
	if e.Place, err = s.place(p, in); err != nil {
		return nil, err
	}
	if in.IdempotencyKey != "" {
		e.RequestHash = requestHash(in)
	}
	if in.Once != "" {
		happenedOnce(e, "once", in.Once)
	}
	if in.DedupeKey != "" {
		return e, dedupe(e, start, in)
	}
	return e, nil
}

// program returns what an execution of the version runs.
func (s *Service) program(ctx context.Context, in StartInput, version int, e *New) (*workflow.Program, error) {
	if in.Until == "" {
		return s.programs.Program(ctx, in.WorkspaceID, in.WorkflowID, version)
	}
	d, err := s.programs.Saved(ctx, in.WorkspaceID, in.WorkflowID, version)
	if err != nil {
		return nil, err
	}
	e.Lineage = &Lineage{}
	return s.upTo(d, in.Until, e)
}

// place returns what the execution needs before it runs. A dry run disturbs
// nobody and waits for nobody.
func (s *Service) place(p *workflow.Program, in StartInput) (*Place, error) {
	if in.DryRun {
		return nil, nil //nolint:nilnil // it needs none
	}
	place, err := PlaceFor(p, in.WorkflowID, in.TriggerData)
	if place != nil {
		place.Record = happens(in.TriggerType)
	}
	return place, err
}

// happens reports whether executions of the trigger type begin without anybody
// who hears that they cannot.
func happens(triggerType string) bool {
	return triggerType == "schedule" || triggerType == "event" || triggerType == "file"
}

func (s *Service) check(in StartInput) error {
	var faults []fault.Detail
	if in.Priority < 0 || in.Priority > 10 {
		faults = append(faults, fault.Detail{Location: "body.priority", Code: "out_of_range", Message: "priority is between 0 and 10", Value: in.Priority})
	}
	if len(in.TriggerData) > s.cfg.MaxTrigger {
		return fault.New(fault.TooLarge, "the trigger data is over %d MiB: upload a file and pass its id", s.cfg.MaxTrigger>>20)
	}
	if len(in.IdempotencyKey) > 255 {
		faults = append(faults, fault.Detail{Location: "header.Idempotency-Key", Code: "too_long", Message: "an idempotency key has at most 255 characters"})
	}
	if len(in.PinnedOutputs) > 0 && !in.DryRun {
		faults = append(faults, fault.Detail{Location: "body.pinned_outputs", Code: "dry_run_only", Message: "outputs are pinned for a dry run only: set dry_run, or pin them in the workflow"})
	}
	known := false
	for _, t := range TriggerTypes() {
		known = known || t == in.TriggerType
	}
	if !known {
		faults = append(faults, fault.Detail{Location: "body.trigger_type", Code: "unknown", Message: fmt.Sprintf("trigger_type is one of %v", TriggerTypes()), Value: in.TriggerType})
	}
	if len(faults) > 0 {
		return fault.InvalidInput(faults...)
	}
	return nil
}

// version picks what runs when the caller does not say: people try out the
// newest version, triggers run the published one. A person who talks to a draft
// tries it out as well.
func (s *Service) version(ctx context.Context, by access.Actor, in StartInput) (int, error) {
	if in.TriggerType == "manual" || in.TriggerType == "api" {
		return s.programs.Newest(ctx, in.WorkspaceID, in.WorkflowID)
	}
	version, err := s.programs.Live(ctx, in.WorkspaceID, in.WorkflowID)
	if f := fault.As(err); f != nil && f.Code == "not_published" && (in.TryOut || in.TriggerType == "chat" && !by.System) {
		return s.programs.Newest(ctx, in.WorkspaceID, in.WorkflowID)
	}
	return version, err
}

// Find returns an execution.
func (s *Service) Find(ctx context.Context, by access.Actor, id string) (*Execution, error) {
	workspace, err := s.authorise(ctx, by, id, access.Read)
	if err != nil {
		return nil, err
	}
	return s.store.Find(ctx, workspace, id)
}

// authorise returns the workspace of an execution in which the actor may do
// what is asked.
func (s *Service) authorise(ctx context.Context, by access.Actor, id string, p access.Permission) (string, error) {
	workspace, known := s.owners.GetIfPresent(id)
	if !known {
		var err error
		if workspace, err = s.store.Workspace(ctx, id); err != nil {
			return "", err
		}
		s.owners.Set(id, workspace)
	}
	return workspace, by.Need(workspace, p)
}

// List returns a page of a workspace's executions, newest first.
func (s *Service) List(ctx context.Context, by access.Actor, workspaceID string, f Filter) (Page, error) {
	if err := by.Need(workspaceID, access.Read); err != nil {
		return Page{}, err
	}
	return s.store.List(ctx, workspaceID, f)
}

// WithNodes returns an execution with some of its nodes, in the order they
// started, and how many there are.
func (s *Service) WithNodes(ctx context.Context, by access.Actor, id string, limit, offset int) (x *Execution, nodes []NodeRun, total int, err error) {
	workspace, err := s.authorise(ctx, by, id, access.Read)
	if err != nil {
		return nil, nil, 0, err
	}
	if x, err = s.store.Find(ctx, workspace, id); err != nil {
		return nil, nil, 0, err
	}
	nodes, total, err = s.store.NodeRunsOf(ctx, x, limit, offset)
	return x, nodes, total, err
}

// NodeDetail is everything known of one node's run.
type NodeDetail struct {
	NodeRun
	Input json.RawMessage
	Steps []StepRecord
}

// Node returns one node's run with its input, its whole output and its steps.
func (s *Service) Node(ctx context.Context, by access.Actor, id, nodeRunID string) (*NodeDetail, error) {
	workspace, err := s.authorise(ctx, by, id, access.Read)
	if err != nil {
		return nil, err
	}
	n, err := s.store.NodeRun(ctx, workspace, id, nodeRunID)
	if err != nil {
		return nil, err
	}
	out := &NodeDetail{NodeRun: *n}
	if out.Output == nil && n.OutputRef != "" && n.Status.Over() {
		if out.Output, err = s.store.Payload(ctx, workspace, n.OutputRef); err != nil {
			return nil, err
		}
	}
	if out.Steps, err = s.store.Steps(ctx, workspace, id, n.NodeID, n.Iteration); err != nil {
		return nil, err
	}
	out.Input, err = s.inputOf(ctx, workspace, id, n)
	return out, err
}

// inputOf puts together what arrived at a node from what its sources left.
func (s *Service) inputOf(ctx context.Context, workspace, id string, n *NodeRun) (json.RawMessage, error) {
	x, err := s.store.Find(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	p, err := ProgramOf(ctx, s.programs, x)
	if fault.Is(err, fault.NotFound) {
		return nil, nil // the workflow is gone: its graph with it
	}
	if err != nil {
		return nil, err
	}
	step, ok := p.Step(n.NodeID)
	if !ok || len(step.In) == 0 {
		return nil, nil
	}
	rows, err := s.store.NodeRuns(ctx, workspace, id, n.Iteration)
	if err != nil {
		return nil, err
	}
	arrived := map[string]json.RawMessage{}
	for _, e := range step.In {
		source := p.Steps[p.Edges[e].Source].Node.ID
		for _, row := range rows {
			if row.NodeID != source || row.Output == nil && row.OutputRef == "" {
				continue
			}
			output := row.Output
			if output == nil {
				if output, err = s.store.Payload(ctx, workspace, row.OutputRef); err != nil {
					return nil, err
				}
			}
			arrived[source] = output
			if len(step.In) == 1 {
				return output, nil
			}
		}
	}
	if len(arrived) == 0 {
		return nil, nil
	}
	return json.Marshal(arrived)
}

// Events returns stored events after a seq, at most limit.
func (s *Service) Events(ctx context.Context, by access.Actor, id string, after int64, limit int) ([]event.Event, error) {
	workspace, err := s.authorise(ctx, by, id, access.Read)
	if err != nil {
		return nil, err
	}
	return s.store.Events(ctx, workspace, id, after, limit)
}

// Logs returns lines of the log after a seq, at most f.Limit.
func (s *Service) Logs(ctx context.Context, by access.Actor, id string, f LogFilter) ([]LogEntry, error) {
	workspace, err := s.authorise(ctx, by, id, access.Read)
	if err != nil {
		return nil, err
	}
	return s.store.Logs(ctx, workspace, id, f)
}

// Cancel asks for the end of an execution. The engine stops it within a
// second; the execution returned is as it was when asked.
func (s *Service) Cancel(ctx context.Context, by access.Actor, id string) (*Execution, error) {
	return s.request(ctx, by, id, s.store.RequestCancel)
}

// Pause keeps further nodes from starting; what runs ends.
func (s *Service) Pause(ctx context.Context, by access.Actor, id string) (*Execution, error) {
	return s.request(ctx, by, id, func(ctx context.Context, workspace, id string) (*Execution, error) {
		return s.store.RequestPause(ctx, workspace, id, true)
	})
}

// Resume takes a pause back.
func (s *Service) Resume(ctx context.Context, by access.Actor, id string) (*Execution, error) {
	return s.request(ctx, by, id, func(ctx context.Context, workspace, id string) (*Execution, error) {
		return s.store.RequestPause(ctx, workspace, id, false)
	})
}

func (s *Service) request(ctx context.Context, by access.Actor, id string, ask func(context.Context, string, string) (*Execution, error)) (*Execution, error) {
	workspace, err := s.authorise(ctx, by, id, access.Execute)
	if err != nil {
		return nil, err
	}
	sub := s.bus.Subscribe(event.ExecutionRoom(id))
	defer sub.Close()
	x, err := ask(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	s.announce.Announce(Ticket{ID: id, WorkspaceID: workspace, Priority: x.Priority})
	s.settle(ctx, sub, time.Second)
	return s.store.Find(ctx, workspace, id)
}

// settle waits a moment for the engine to take the request in, so that the
// answer usually shows its effect.
func (s *Service) settle(ctx context.Context, sub event.Subscription, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case e := <-sub.C():
			if e.Type == event.ExecutionUpdate {
				return
			}
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Delete removes a finished execution with everything that belongs to it.
func (s *Service) Delete(ctx context.Context, by access.Actor, id string) error {
	workspace, err := s.authorise(ctx, by, id, access.Execute)
	if err != nil {
		return err
	}
	return s.store.Delete(ctx, workspace, id)
}
