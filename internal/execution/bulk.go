package execution

import (
	"context"
	"fmt"
	"strings"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
)

// MaxBulk bounds the executions that are started at once.
const MaxBulk = 1_000

// Started is what a start of many came to for one of them.
type Started struct {
	ID      string
	Created bool // false: its idempotency key answered an earlier one
}

// StartAll accepts executions as Start does, in one transaction: all of them or
// none. Invalid, or Conflict where only places are missing: none is started,
// and every fault is named by the index of its item.
func (s *Service) StartAll(ctx context.Context, by access.Actor, workspaceID string, items []StartInput) ([]Started, error) {
	if err := by.Need(workspaceID, access.Execute); err != nil {
		return nil, err
	}
	if len(items) < 1 || len(items) > MaxBulk {
		return nil, fault.InvalidInput(fault.Detail{Location: "body.items", Code: "out_of_range", Message: fmt.Sprintf("1 to %d executions are started at once", MaxBulk)})
	}
	news := make([]New, len(items))
	var faults []fault.Detail
	for i, in := range items {
		in.WorkspaceID = workspaceID
		n, err := s.prepare(ctx, by, in)
		f := fault.As(err)
		if err != nil && (f == nil || f.Kind == fault.Unavailable) {
			return nil, err
		}
		if err != nil {
			faults = append(faults, itemFaults(i, f)...)
			continue
		}
		news[i] = *n
	}
	if len(faults) > 0 {
		return nil, fault.InvalidInput(faults...)
	}
	ids, created, err := s.store.CreateAll(ctx, news)
	if err != nil {
		return nil, err
	}
	out := make([]Started, len(ids))
	for i, id := range ids {
		out[i] = Started{id, created[i]}
		if created[i] {
			s.Accepted(&news[i])
		}
	}
	return out, nil
}

// itemFaults names what is wrong with one of many.
func itemFaults(i int, f *fault.Error) []fault.Detail {
	item := fmt.Sprintf("body.items[%d]", i)
	if len(f.Details) == 0 {
		code := f.Code
		if code == "" {
			code = string(f.Kind)
		}
		return []fault.Detail{{Location: item, Code: code, Message: f.Message}}
	}
	out := make([]fault.Detail, len(f.Details))
	for at, d := range f.Details {
		switch rest, inBody := strings.CutPrefix(d.Location, "body"); {
		case inBody:
			d.Location = item + rest
		case d.Location == "header.Idempotency-Key":
			d.Location = item + ".idempotency_key"
		default:
			d.Location = item + ".workflow_id: " + d.Location
		}
		out[at] = d
	}
	return out
}
