package execution

import (
	"context"
	"encoding/json"
	"strings"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/workspace"
)

// The bounds of a decision.
const (
	maxComment  = 4_000
	maxDecision = 256 << 10 // bytes of its data
)

// maxOpenAsks is how many open asks of an execution are looked at.
const maxOpenAsks = 1_000

// Decision is a person's answer.
type Decision struct {
	ExecutionID string
	NodeID      string
	Iteration   string // of the node; "" is also any, when only one waits
	AskID       string // which one, when the node has asked several
	Approve     bool
	Comment     string
	Data        json.RawMessage // must fit the form, where there is one
}

// Callback takes in the call of an address that a node waits for. The key is
// the right to call. NotFound: there is no such address; Conflict: it has been
// called, or nobody waits any more.
func (s *Service) Callback(ctx context.Context, key string, data json.RawMessage) (*Ask, error) {
	if len(data) > s.cfg.MaxTrigger {
		return nil, fault.New(fault.TooLarge, "the call is over %d MiB: upload a file and pass its id", s.cfg.MaxTrigger>>20)
	}
	a, err := s.AskByKey(ctx, key)
	if err != nil {
		return nil, err
	}
	a.Data = data
	return a, s.answer(ctx, a, nil)
}

// AskByKey returns what the key of an address stands for. The key is the
// permission to see it.
func (s *Service) AskByKey(ctx context.Context, key string) (*Ask, error) {
	if key == "" {
		return nil, fault.New(fault.NotFound, "there is no such address")
	}
	return s.store.AskByKey(ctx, key)
}

// Decide answers what a node asks of people. Invalid: the data does not fit the
// form; Forbidden: others are to decide; Conflict: nothing is asked, or it is
// answered already.
func (s *Service) Decide(ctx context.Context, by access.Actor, d Decision) (*Ask, error) {
	workspace, err := s.authorise(ctx, by, d.ExecutionID, access.Execute)
	if err != nil {
		return nil, err
	}
	a, err := s.chosen(ctx, workspace, d)
	if err != nil {
		return nil, err
	}
	return a, s.decide(ctx, by, a, d)
}

// chosen finds the one ask that a decision is about.
func (s *Service) chosen(ctx context.Context, workspace string, d Decision) (*Ask, error) {
	if d.AskID != "" {
		a, err := s.store.Ask(ctx, workspace, d.AskID)
		if err != nil {
			return nil, err
		}
		if a.ExecutionID != d.ExecutionID || a.NodeID != d.NodeID || a.Callable {
			return nil, fault.New(fault.NotFound, "this node asks no such thing")
		}
		return a, nil
	}
	asks, err := s.store.AsksOf(ctx, workspace, d.ExecutionID, maxOpenAsks)
	if err != nil {
		return nil, err
	}
	var found *Ask
	for i := range asks {
		if asks[i].NodeID != d.NodeID || asks[i].Callable || d.Iteration != "" && asks[i].Iteration != d.Iteration {
			continue
		}
		if found != nil {
			return nil, fault.New(fault.Conflict, "the node waits for several decisions: say which with ask_id").WithCode("several")
		}
		found = &asks[i]
	}
	if found == nil {
		return nil, s.nothingAsked(ctx, workspace, d)
	}
	return found, nil
}

// nothingAsked says in which state a node is that waits for no decision.
func (s *Service) nothingAsked(ctx context.Context, workspace string, d Decision) error {
	rows, err := s.store.NodeRuns(ctx, workspace, d.ExecutionID, d.Iteration)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.NodeID == d.NodeID {
			return fault.New(fault.Conflict, "the node waits for no decision: it is %s", row.Status).WithCode("not_waiting")
		}
	}
	x, err := s.store.Find(ctx, workspace, d.ExecutionID)
	if err != nil {
		return err
	}
	return fault.New(fault.Conflict, "the node waits for no decision; the execution is %s", x.Status).WithCode("not_waiting")
}

func (s *Service) decide(ctx context.Context, by access.Actor, a *Ask, d Decision) error {
	if err := a.mayAnswer(by); err != nil {
		return err
	}
	if err := a.State(s.cfg.Now()); err != nil {
		return err
	}
	if err := s.checkDecision(a, d); err != nil {
		return err
	}
	a.Decision, a.Comment, a.Data = node.Rejected, strings.TrimSpace(d.Comment), d.Data
	if d.Approve {
		a.Decision = node.Approved
	}
	a.AnsweredBy, a.AnsweredEmail = by.UserID, by.Email
	summary := map[string]any{"execution_id": a.ExecutionID, "node_id": a.NodeID, "workflow": a.WorkflowName, "kind": a.Kind, "decision": a.Decision}
	if a.Iteration != "" {
		summary["iteration"] = a.Iteration
	}
	if a.Comment != "" {
		summary["comment"] = a.Comment
	}
	if len(a.Data) > 0 && len(a.Data) <= 4<<10 {
		summary["data"] = a.Data
	}
	entry := workspace.NewActivity(by, a.WorkspaceID, a.Kind+"."+a.Decision, "execution", a.ExecutionID, nil, summary, s.cfg.Now().UTC())
	return s.answer(ctx, a, &entry)
}

// checkDecision holds the data against the form.
func (s *Service) checkDecision(a *Ask, d Decision) error {
	if len(d.Comment) > maxComment {
		return fault.InvalidInput(fault.Detail{Location: "body.comment", Code: "too_long", Message: "a comment has at most 4000 characters"})
	}
	if len(d.Data) > maxDecision {
		return fault.New(fault.TooLarge, "the data of a decision is at most %d KiB", maxDecision>>10)
	}
	missing := len(d.Data) == 0
	if len(a.Form) == 0 || missing && (a.FormOptional || !d.Approve) {
		return nil
	}
	rules, err := s.schemas.Compile(a.Form)
	if err != nil {
		return fault.New(fault.Conflict, "the form of the node cannot be used: %s", err)
	}
	var v any = map[string]any{}
	if !missing {
		if err := json.Unmarshal(d.Data, &v); err != nil {
			return fault.InvalidInput(fault.Detail{Location: "body.data", Code: "not_json", Message: "the data is not JSON"})
		}
	}
	var faults []fault.Detail
	for _, f := range rules.Validate(v) {
		location := "body.data"
		if f.Path != "" {
			location += "." + f.Path
		}
		faults = append(faults, fault.Detail{Location: location, Code: "form", Message: f.Message})
	}
	if faults != nil {
		return fault.InvalidInput(faults...)
	}
	return nil
}

func (s *Service) answer(ctx context.Context, a *Ask, entry *workspace.Activity) error {
	now := s.cfg.Now().UTC()
	if err := a.State(now); err != nil {
		return err
	}
	a.AnsweredAt = now
	if err := s.store.Answer(ctx, *a, entry); err != nil {
		return err
	}
	a.Status = AskAnswered
	s.announce.Announce(Ticket{ID: a.ExecutionID, WorkspaceID: a.WorkspaceID})
	return nil
}

// Approvals returns what waits in a workspace for the actor's decision, oldest
// first, and how much there is.
func (s *Service) Approvals(ctx context.Context, by access.Actor, workspaceID string, limit, offset int) ([]Ask, int, error) {
	if err := by.Need(workspaceID, access.Read); err != nil {
		return nil, 0, err
	}
	if mayDecide := by.Need(workspaceID, access.Execute) == nil; !mayDecide {
		return []Ask{}, 0, nil // nothing waits for those who may not decide
	}
	return s.store.AsksFor(ctx, workspaceID, names(by.UserID, by.Email, by.Roles[workspaceID]), limit, offset)
}

// OpenAsks returns what the nodes of an execution wait for from outside, the
// first 1000. Who may not execute does not see the keys of addresses.
func (s *Service) OpenAsks(ctx context.Context, by access.Actor, id string) ([]Ask, error) {
	workspace, err := s.authorise(ctx, by, id, access.Read)
	if err != nil {
		return nil, err
	}
	asks, err := s.store.AsksOf(ctx, workspace, id, maxOpenAsks)
	if by.Need(workspace, access.Execute) != nil {
		for i := range asks {
			asks[i].Key = ""
		}
	}
	return asks, err
}
