package workflow

// UpTo returns a definition of the node and of everything that leads to it,
// with nothing of what comes after; nil when there is no such node. Loops are
// whole: for a node of a body it ends with the outermost loop around it.
func (d *Definition) UpTo(id string) *Definition {
	byID := make(map[string]*Node, len(d.Nodes))
	for i := range d.Nodes {
		byID[d.Nodes[i].ID] = &d.Nodes[i]
	}
	if byID[id] == nil {
		return nil
	}
	into := map[string][]string{}
	for _, c := range d.Connections {
		source, target := outermost(byID, c.Source), outermost(byID, c.Target)
		if source != target {
			into[target] = append(into[target], source)
		}
	}
	kept := map[string]bool{}
	todo := []string{outermost(byID, id)}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if kept[at] {
			continue
		}
		kept[at] = true
		todo = append(todo, into[at]...)
	}
	out := d.Clone()
	out.Nodes, out.Connections, out.Tests = out.Nodes[:0], out.Connections[:0], nil
	for _, n := range d.Clone().Nodes {
		if kept[outermost(byID, n.ID)] {
			out.Nodes = append(out.Nodes, n)
		}
	}
	for _, c := range d.Connections {
		if kept[outermost(byID, c.Source)] && kept[outermost(byID, c.Target)] {
			out.Connections = append(out.Connections, c)
		}
	}
	out.Normalise()
	return out
}

// outermost returns the node of the workflow itself that holds the node.
func outermost(byID map[string]*Node, id string) string {
	for range len(byID) { // a definition that was never compiled may hold itself
		n := byID[id]
		if n == nil || n.ParentID == "" {
			break
		}
		id = n.ParentID
	}
	return id
}
