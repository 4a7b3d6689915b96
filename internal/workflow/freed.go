package workflow

import (
	"encoding/json"
	"fmt"
	"reflect"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

// Freed returns the nodes that do without anybody's consent what others ask
// for, as only administrators may let them, and that are not in before with the
// same configuration; before may be nil.
func Freed(before, d *Definition, kinds *node.Kinds) []fault.Detail {
	known := map[string]Node{}
	if before != nil {
		for _, n := range before.Nodes {
			known[n.ID] = n
		}
	}
	var found []fault.Detail
	for i, n := range d.Nodes {
		t, ok := kinds.Find(n.Kind)
		if !ok {
			continue
		}
		if was, old := known[n.ID]; old && was.Kind == n.Kind && sameJSON(was.Config, n.Config) {
			continue
		}
		if why := frees(t, n.Config); why != "" {
			found = append(found, fault.Detail{Location: fmt.Sprintf("body.nodes[%d].config", i), Code: "needs_admin", Message: "the node " + n.ID + " " + why})
		}
	}
	return found
}

// frees is what a configuration lets its node do without consent, as far as it
// can be read: the rest of it may be wrong, or known only when it runs.
func frees(t node.Type, config map[string]any) string {
	if !reflect.PointerTo(t.ConfigType()).Implements(reflect.TypeFor[node.Freeing]()) {
		return ""
	}
	text, err := json.Marshal(withoutTemplates(config))
	if err != nil {
		return ""
	}
	cfg := reflect.New(t.ConfigType()).Interface()
	_ = json.Unmarshal(text, cfg) // what can be read
	if f, ok := cfg.(node.Freeing); ok {
		return f.Frees()
	}
	return ""
}

// needFreed returns Forbidden when the actor may not let the nodes do what they do.
func needFreed(by access.Actor, workspaceID string, found []fault.Detail) error {
	if len(found) == 0 || by.Need(workspaceID, access.Bypass) == nil {
		return nil
	}
	f := fault.New(fault.Forbidden, "only administrators of the workspace, signed in, may save or publish this: %s", found[0].Message).WithCode("needs_admin")
	f.Details = found
	return f
}

// Freed returns the nodes that are freed in the definition and were not before.
func (l *Library) Freed(before, d *Definition) []fault.Detail { return Freed(before, d, l.kinds) }
