package usage

import (
	"fmt"
	"slices"
	"time"

	"agentstudio/internal/fault"
)

// Scope says whose spending a budget bounds.
type Scope string

// The scopes.
const (
	OfWorkspace Scope = "workspace"
	OfWorkflow  Scope = "workflow"
	OfAgent     Scope = "agent" // and of the agents it calls
)

// Period is how long a budget lasts; it begins anew in UTC.
type Period string

// The periods.
const (
	Day   Period = "day"
	Month Period = "month"
)

// Span returns when the period around a moment begins and ends.
func (p Period) Span(now time.Time) (from, to time.Time) {
	y, m, d := now.UTC().Date()
	if p == Month {
		from = time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
		return from, from.AddDate(0, 1, 0)
	}
	from = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	return from, from.AddDate(0, 0, 1)
}

// NearPercent of a budget is when people are told.
const NearPercent = 80

// maxBudgets bounds the budgets of a workspace.
const maxBudgets = 100

// Budget bounds what is spent in a period. A bound of 0 is none.
type Budget struct {
	ID          string
	WorkspaceID string
	Scope       Scope
	TargetID    string // of the workflow or agent; empty for the workspace
	Period      Period
	MaxCost     int64 // micro-dollars
	MaxTokens   int64 // cached ones included
	Version     int64
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Spent is what of a budget is gone.
type Spent struct {
	Cost           int64 // micro-dollars
	Tokens         int64
	ReservedCost   int64 // by calls that are under way
	ReservedTokens int64
	Unpriced       int64 // calls whose price is not known: they are not in Cost
	From, To       time.Time
}

// Watched is a budget and what of it is gone.
type Watched struct {
	Budget
	Spent Spent
}

// Bounds reports whether a call counts for the budget.
func (b Budget) Bounds(workflowID string, agents []string) bool {
	switch b.Scope {
	case OfWorkflow:
		return b.TargetID == workflowID
	case OfAgent:
		return slices.Contains(agents, b.TargetID)
	}
	return true
}

// Reservation is what a call that is about to be made may come to.
type Reservation struct {
	ID          string
	WorkspaceID string
	WorkflowID  string
	Agents      []string // the agent and those above it
	Cost        int64    // micro-dollars; 0 when the price is not known
	Tokens      int64
	At          time.Time
	Until       time.Time // when it is let go, should its process have died
}

// Refuse says that a call would pass the budget, or nil.
func (b Budget) Refuse(s Spent, r Reservation) error {
	left := ""
	switch {
	case b.MaxCost > 0 && s.Cost+s.ReservedCost+r.Cost > b.MaxCost, b.MaxCost > 0 && s.Cost >= b.MaxCost:
		left = fmt.Sprintf("$%.4f of $%.4f are spent, $%.4f held by calls under way, and this call may cost $%.4f", dollars(s.Cost), dollars(b.MaxCost), dollars(s.ReservedCost), dollars(r.Cost))
	case b.MaxTokens > 0 && s.Tokens+s.ReservedTokens+r.Tokens > b.MaxTokens, b.MaxTokens > 0 && s.Tokens >= b.MaxTokens:
		left = fmt.Sprintf("%d of %d tokens are spent, %d held by calls under way, and this call may take %d", s.Tokens, b.MaxTokens, s.ReservedTokens, r.Tokens)
	default:
		return nil
	}
	return fault.New(fault.OverBudget, "the %s's budget for the %s does not allow this call to a model: %s. Raise the budget, lower max_tokens, or wait until %s",
		b.Scope, b.Period, left, s.To.Format("2006-01-02 15:04 UTC")).WithCode("budget_exceeded")
}

func dollars(micros int64) float64 { return float64(micros) / 1e6 }

// share returns how much of the budget is gone, in percent of what is nearest
// to its bound.
func (b Budget) share(s Spent) int64 {
	var most int64
	if b.MaxCost > 0 {
		most = s.Cost * 100 / b.MaxCost
	}
	if b.MaxTokens > 0 {
		most = max(most, s.Tokens*100/b.MaxTokens)
	}
	return most
}

// Near reports whether people are to be told that little is left.
func (b Budget) Near(s Spent) bool { return b.share(s) >= NearPercent }

// Reached reports whether nothing is left.
func (b Budget) Reached(s Spent) bool { return b.share(s) >= 100 }
