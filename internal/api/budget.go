package api

import (
	"context"
	"math"
	"strconv"

	"agentstudio/internal/access"
	"agentstudio/internal/usage"
)

// Budget bounds what calls to models may spend in a period.
type Budget struct {
	ID          string       `json:"id"`
	WorkspaceID string       `json:"workspace_id"`
	Scope       usage.Scope  `json:"scope" enum:"workspace,workflow,agent"`
	TargetID    *string      `json:"target_id" doc:"The workflow or agent; null for the workspace"`
	Period      usage.Period `json:"period" enum:"day,month"`
	MaxCostUSD  *float64     `json:"max_cost_usd" doc:"null: no bound"`
	MaxTokens   *int64       `json:"max_tokens" doc:"Cached ones included; null: no bound"`
	Spent       BudgetSpent  `json:"spent"`
	Version     int64        `json:"version"`
	CreatedAt   Time         `json:"created_at"`
	UpdatedAt   Time         `json:"updated_at"`
}

// BudgetSpent is what of a budget is gone in the present period.
type BudgetSpent struct {
	CostUSD         float64 `json:"cost_usd"`
	Tokens          int64   `json:"tokens"`
	ReservedCostUSD float64 `json:"reserved_cost_usd" doc:"Held by calls that are under way"`
	ReservedTokens  int64   `json:"reserved_tokens"`
	UnpricedCalls   int64   `json:"unpriced_calls" doc:"Their price is not known: they are not in cost_usd"`
	From            Time    `json:"from"`
	To              Time    `json:"to"`
}

func viewBudget(w usage.Watched) Budget {
	out := Budget{ID: w.ID, WorkspaceID: w.WorkspaceID, Scope: w.Scope, TargetID: optional(w.TargetID), Period: w.Period, Version: w.Version, CreatedAt: Time(w.CreatedAt), UpdatedAt: Time(w.UpdatedAt),
		Spent: BudgetSpent{CostUSD: dollars(w.Spent.Cost), Tokens: w.Spent.Tokens, ReservedCostUSD: dollars(w.Spent.ReservedCost), ReservedTokens: w.Spent.ReservedTokens,
			UnpricedCalls: w.Spent.Unpriced, From: Time(w.Spent.From), To: Time(w.Spent.To)}}
	if w.MaxCost > 0 {
		cost := dollars(w.MaxCost)
		out.MaxCostUSD = &cost
	}
	if w.MaxTokens > 0 {
		out.MaxTokens = &w.MaxTokens
	}
	return out
}

type oneBudget struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     Budget
}

func answerBudget(w usage.Watched, err error) (*oneBudget, error) {
	if err != nil {
		return nil, err
	}
	return &oneBudget{ETag: quoted(strconv.FormatInt(w.Version, 10)), Body: viewBudget(w)}, nil
}

func (s *Server) budgetRoutes() {
	register(s, op{Method: "GET", Path: "/budgets", ID: "list-budgets", Tag: "budgets", Summary: "Budgets of a workspace, with what of each is gone"}, s.listBudgets)
	register(s, op{Method: "POST", Path: "/budgets", ID: "create-budget", Tag: "budgets", Status: 201, Creates: true, Summary: "Bound what is spent in a period",
		Notes: "A call to a model that could pass a budget is not made: its execution fails with budget_exceeded."}, s.createBudget)
	register(s, op{Method: "GET", Path: "/budgets/{id}", ID: "get-budget", Tag: "budgets", Summary: "One budget"}, s.getBudget)
	register(s, op{Method: "PATCH", Path: "/budgets/{id}", ID: "update-budget", Tag: "budgets", Summary: "Change the bounds that are sent; 0 takes one away"}, s.updateBudget)
	register(s, op{Method: "DELETE", Path: "/budgets/{id}", ID: "delete-budget", Tag: "budgets", Status: 204, Summary: "Delete a budget"}, s.deleteBudget)
}

func (s *Server) listBudgets(ctx context.Context, by access.Actor, in *InWorkspace) (*Body[List[Budget]], error) {
	all, err := s.Budgets.List(ctx, by, workspaceOr(by, in.WorkspaceID))
	if err != nil {
		return nil, err
	}
	return &Body[List[Budget]]{List[Budget]{Items: views(all, viewBudget), Total: len(all)}}, nil
}

type createBudgetInput struct {
	Body struct {
		WorkspaceID string  `json:"workspace_id,omitempty" format:"uuid" doc:"Left out: the personal workspace"`
		Scope       string  `json:"scope" enum:"workspace,workflow,agent"`
		TargetID    string  `json:"target_id,omitempty" format:"uuid" doc:"The workflow or agent; an agent's budget counts those it calls"`
		Period      string  `json:"period" enum:"day,month" doc:"In UTC"`
		MaxCostUSD  float64 `json:"max_cost_usd,omitempty" minimum:"0" maximum:"1000000000"`
		MaxTokens   int64   `json:"max_tokens,omitempty" minimum:"0"`
	}
}

func micros(usd float64) int64 { return int64(math.Round(usd * 1e6)) }

func (s *Server) createBudget(ctx context.Context, by access.Actor, in *createBudgetInput) (*oneBudget, error) {
	b := in.Body
	out, err := answerBudget(s.Budgets.Add(ctx, by, usage.Budget{WorkspaceID: workspaceOr(by, b.WorkspaceID), Scope: usage.Scope(b.Scope), TargetID: b.TargetID,
		Period: usage.Period(b.Period), MaxCost: micros(b.MaxCostUSD), MaxTokens: b.MaxTokens}))
	if err == nil {
		out.Location = base + "/budgets/" + out.Body.ID
	}
	return out, err
}

func (s *Server) getBudget(ctx context.Context, by access.Actor, in *IDPath) (*oneBudget, error) {
	return answerBudget(s.Budgets.Find(ctx, by, in.ID))
}

type updateBudgetInput struct {
	IDPath
	Match
	Body struct {
		MaxCostUSD *float64 `json:"max_cost_usd,omitempty" minimum:"0" maximum:"1000000000"`
		MaxTokens  *int64   `json:"max_tokens,omitempty" minimum:"0"`
	}
}

func (s *Server) updateBudget(ctx context.Context, by access.Actor, in *updateBudgetInput) (*oneBudget, error) {
	var cost *int64
	if in.Body.MaxCostUSD != nil {
		n := micros(*in.Body.MaxCostUSD)
		cost = &n
	}
	return answerBudget(s.Budgets.Change(ctx, by, in.ID, in.version(), cost, in.Body.MaxTokens))
}

func (s *Server) deleteBudget(ctx context.Context, by access.Actor, in *IDPath) (*none, error) {
	return nil, s.Budgets.Remove(ctx, by, in.ID)
}
