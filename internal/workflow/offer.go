package workflow

import (
	"context"
	"slices"

	"agentstudio/internal/access"
	"agentstudio/internal/node"
)

// maxOffers bounds the published workflows that are looked at.
const maxOffers = 1000

// Offer is a published workflow as those see it who may start it.
type Offer struct {
	WorkflowID  string
	Name        string
	Description string // of the trigger, else of the workflow
	Version     int    // the published one
	NodeID      string // of the trigger
	InputSchema map[string]any
	Ends        []string // ids of the nodes that lead nowhere: their output is the workflow's
}

// Offered returns the workspace's published workflows that an execution of the
// trigger type may start, the oldest first: those with an enabled trigger whose
// kind is meant for it.
func (s *Service) Offered(ctx context.Context, by access.Actor, workspaceID, triggerType string) ([]Offer, error) {
	out := []Offer{}
	for offset := 0; offset < maxOffers; offset += 100 {
		page, total, err := s.List(ctx, by, workspaceID, Filter{Status: Published, Sort: "created_at", Limit: 100, Offset: offset})
		if err != nil {
			return nil, err
		}
		for _, w := range page {
			p, err := s.library.Program(ctx, workspaceID, w.ID, w.PublishedVersion)
			if err != nil {
				if ctx.Err() != nil {
					return nil, err
				}
				continue // it cannot run any more, or is gone
			}
			if o, ok := p.offer(triggerType); ok {
				o.WorkflowID, o.Version = w.ID, w.PublishedVersion
				out = append(out, o)
			}
		}
		if offset+len(page) >= total || len(page) == 0 {
			break
		}
	}
	return out, nil
}

func (p *Program) offer(triggerType string) (Offer, bool) {
	for _, step := range p.Triggers() {
		if !slices.Contains(step.Kind.Starts, triggerType) {
			continue
		}
		o := Offer{Name: p.Definition.Name, Description: p.Definition.Description, NodeID: step.Node.ID, InputSchema: step.InputSchema()}
		if d, ok := step.decoded.(node.Purposed); ok && d.Purpose() != "" {
			o.Description = d.Purpose()
		}
		for _, sink := range p.Scopes[0].Sinks {
			o.Ends = append(o.Ends, p.Steps[sink].Node.ID)
		}
		return o, true
	}
	return Offer{}, false
}
