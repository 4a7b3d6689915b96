package workflow

import (
	"encoding/json"
	"reflect"
	"sort"
)

// Diff tells how two definitions differ, by node and field.
type Diff struct {
	Fields      []FieldChange      `json:"fields"` // of the workflow itself
	Nodes       []NodeChange       `json:"nodes"`
	Connections []ConnectionChange `json:"connections"`
}

// FieldChange is a field with its values before and after; a missing value is null.
type FieldChange struct {
	Path string `json:"path"` // "config.url"
	From any    `json:"from"`
	To   any    `json:"to"`
}

// NodeChange is a node that was added, removed or changed.
type NodeChange struct {
	ID     string        `json:"id"`
	Change string        `json:"change"` // added, removed, changed
	Fields []FieldChange `json:"fields"`
}

// ConnectionChange is a connection that was added or removed.
type ConnectionChange struct {
	Change string `json:"change"`
	Connection
}

// Compare returns what leads from one definition to the other, in a stable order.
func Compare(from, to *Definition) Diff {
	out := Diff{Fields: []FieldChange{}, Nodes: []NodeChange{}, Connections: []ConnectionChange{}}
	a, b := asMap(from), asMap(to)
	for _, key := range []string{"nodes", "connections"} {
		delete(a, key)
		delete(b, key)
	}
	compareValues("", a, b, &out.Fields)
	out.Nodes = compareNodes(from.Nodes, to.Nodes)
	for _, c := range from.Connections {
		if !hasConnection(to.Connections, c) {
			out.Connections = append(out.Connections, ConnectionChange{"removed", c})
		}
	}
	for _, c := range to.Connections {
		if !hasConnection(from.Connections, c) {
			out.Connections = append(out.Connections, ConnectionChange{"added", c})
		}
	}
	return out
}

func compareNodes(from, to []Node) []NodeChange {
	out := []NodeChange{}
	old := map[string]Node{}
	for _, n := range from {
		old[n.ID] = n
	}
	kept := map[string]bool{}
	for _, n := range to {
		kept[n.ID] = true
		before, existed := old[n.ID]
		if !existed {
			out = append(out, NodeChange{ID: n.ID, Change: "added", Fields: []FieldChange{}})
			continue
		}
		fields := []FieldChange{}
		compareValues("", asMap(before), asMap(n), &fields)
		if len(fields) > 0 {
			out = append(out, NodeChange{ID: n.ID, Change: "changed", Fields: fields})
		}
	}
	for _, n := range from {
		if !kept[n.ID] {
			out = append(out, NodeChange{ID: n.ID, Change: "removed", Fields: []FieldChange{}})
		}
	}
	return out
}

func hasConnection(list []Connection, c Connection) bool {
	for _, other := range list {
		if other.Source == c.Source && other.Target == c.Target && orDefault(other.SourceHandle, "output") == orDefault(c.SourceHandle, "output") &&
			orDefault(other.TargetHandle, "input") == orDefault(c.TargetHandle, "input") {
			return true
		}
	}
	return false
}

func compareValues(path string, a, b any, out *[]FieldChange) {
	x, xIsMap := a.(map[string]any)
	y, yIsMap := b.(map[string]any)
	if !xIsMap || !yIsMap {
		if !reflect.DeepEqual(a, b) {
			*out = append(*out, FieldChange{Path: path, From: a, To: b})
		}
		return
	}
	keys := map[string]bool{}
	for k := range x {
		keys[k] = true
	}
	for k := range y {
		keys[k] = true
	}
	sorted := make([]string, 0, len(keys))
	for k := range keys {
		sorted = append(sorted, k)
	}
	sort.Strings(sorted)
	for _, k := range sorted {
		compareValues(joinPath(path, k), x[k], y[k], out)
	}
}

// asMap returns a value as JSON sees it.
func asMap(v any) map[string]any {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out map[string]any
	if json.Unmarshal(text, &out) != nil {
		return nil
	}
	return out
}
