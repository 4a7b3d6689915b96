package execution

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/workspace"
)

// AskStatus is where an ask stands.
type AskStatus string

// The statuses: open → answered | expired | closed.
const (
	AskOpen     AskStatus = "open"
	AskAnswered AskStatus = "answered"
	AskExpired  AskStatus = "expired"
	AskClosed   AskStatus = "closed" // its node or execution ended without it
)

// Ask is what a waiting node has asked for. It is answered once at most.
type Ask struct {
	ID           string
	WorkspaceID  string
	WorkflowID   string
	WorkflowName string
	ExecutionID  string
	NodeID       string
	NodeTitle    string
	Iteration    string
	Name         string
	Kind         string
	Callable     bool   // whoever has the key of its address answers
	Key          string // "" for those who may not see it
	Message      string
	Subject      json.RawMessage
	Form         json.RawMessage
	FormOptional bool
	Approvers    []string
	CreatedAt    time.Time
	ExpiresAt    time.Time // zero: never
	Status       AskStatus

	Decision      string // node.Approved, node.Rejected; "" of a call
	Comment       string
	Data          json.RawMessage
	AnsweredBy    string // user id; "" of a call
	AnsweredEmail string
	AnsweredAt    time.Time
}

// NodeRef names a node in one of its iterations.
type NodeRef struct{ NodeID, Iteration string }

// Asks is what the use cases need of the table of asks.
type Asks interface {
	// Ask returns one by its id, AskByKey by the key of its address.
	Ask(ctx context.Context, workspaceID, id string) (*Ask, error)
	AskByKey(ctx context.Context, key string) (*Ask, error)
	// AsksOf returns the open asks of an execution, oldest first, at most limit.
	AsksOf(ctx context.Context, workspaceID, executionID string, limit int) ([]Ask, error)
	// AsksFor returns the open asks of a workspace that one of who may answer,
	// oldest first, and how many there are.
	AsksFor(ctx context.Context, workspaceID string, who []string, limit, offset int) ([]Ask, int, error)
	// Answer keeps an answer, with the entry for the log where there is one, and
	// has the execution go on: all in one transaction. Conflict: it is answered
	// or expired already, or its execution is over.
	Answer(ctx context.Context, a Ask, entry *workspace.Activity) error
	// MemberByEmail returns the id and role of a member; NotFound: none has the
	// address.
	MemberByEmail(ctx context.Context, workspaceID, email string) (userID string, role access.Role, err error)
}

// whoever stands for everybody who may execute.
const whoever = "*"

// Who returns the entries of approvers that the ask is to be found by.
func (a *Ask) Who() []string {
	switch {
	case a.Callable:
		return nil
	case len(a.Approvers) == 0:
		return []string{whoever}
	}
	return a.Approvers
}

// names returns what approvers may call a member by. A role stands for the
// stronger ones too.
func names(userID, email string, role access.Role) []string {
	out := []string{whoever, userID, email}
	roles := access.Roles()
	for _, weaker := range roles[max(slices.Index(roles, role), 0):] {
		out = append(out, string(weaker))
	}
	return out
}

// mayAnswer is Forbidden when the ask is for others.
func (a *Ask) mayAnswer(by access.Actor) error {
	mine := names(by.UserID, by.Email, by.Roles[a.WorkspaceID])
	if slices.ContainsFunc(a.Who(), func(who string) bool { return slices.Contains(mine, who) }) {
		return nil
	}
	return fault.New(fault.Forbidden, "this is for others to decide: only its approvers may")
}

// State says why an ask takes no answer, as a Conflict; nil while it does.
func (a *Ask) State(now time.Time) error {
	switch {
	case a.Status == AskAnswered && a.Decision != "":
		return fault.New(fault.Conflict, "this is %s already, by %s", a.Decision, a.By()).WithCode(a.Decision)
	case a.Status == AskAnswered:
		return fault.New(fault.Conflict, "this has been called already: an address is good for one call").WithCode("answered")
	case a.Status == AskClosed:
		return fault.New(fault.Conflict, "nobody waits for this any more: its execution went on or ended without it").WithCode("closed")
	case a.Status == AskExpired, !a.ExpiresAt.IsZero() && !now.Before(a.ExpiresAt):
		return fault.New(fault.Conflict, "it is too late: this has expired").WithCode("expired")
	}
	return nil
}

// By names who answered.
func (a *Ask) By() string {
	if a.AnsweredEmail != "" {
		return a.AnsweredEmail
	}
	return a.AnsweredBy
}

// Outcome is what the node learns; nil while nothing came of it.
func (a *Ask) Outcome() *node.Answer {
	if a.Status != AskAnswered && a.Status != AskExpired {
		return nil
	}
	out := &node.Answer{Expired: a.Status == AskExpired, Decision: a.Decision, Comment: a.Comment, By: a.By(), Asked: a.CreatedAt, At: a.AnsweredAt}
	if len(a.Data) > 0 {
		_ = json.Unmarshal(a.Data, &out.Data) // was checked when it was taken in
	}
	return out
}

// Letter tells one approver of an ask.
type Letter struct {
	AskID    string
	Address  string
	DueAt    time.Time
	Attempts int
}
