package builtin

import (
	"time"

	"agentstudio/internal/limit"
)

// How often a workspace may use a tool where the operator says nothing: those
// that compute, or stay inside the workspace, have no limit.

func perMinute(n int) limit.Rate { return limit.Rate{Requests: n, Per: time.Minute} }

func perHour(n int) limit.Rate { return limit.Rate{Requests: n, Per: time.Hour} }

// Restrictions that several tools share.
const (
	publicOnly    = "Reaches public addresses only, and those the operator allows."
	inWorkspace   = "Sees the files of its workspace only."
	readsOnly     = "Reads only."
	withinBudgets = "Held against the workspace's budgets before it is made."
)
