package store

import (
	"slices"
	"strconv"
	"strings"
)

// conditions are what the rows of a list must meet. Only those that are asked
// for stand in the text: one that holds for every row costs each of them a
// look, and hides from the planner what an index could do. A copy is
// independent as long as only one of the two grows.
type conditions struct {
	texts []string
	args  []any
}

// add takes a condition with a ? for each of its values.
func (c *conditions) add(text string, values ...any) {
	texts, args := slices.Clone(c.texts), slices.Clone(c.args)
	var out strings.Builder
	for _, r := range text {
		if r != '?' {
			out.WriteRune(r)
			continue
		}
		args = append(args, values[0])
		values = values[1:]
		out.WriteString("$" + strconv.Itoa(len(args)))
	}
	c.texts, c.args = append(texts, out.String()), args
}

// where is the clause; empty without conditions.
func (c *conditions) where() string {
	if len(c.texts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.texts, " AND ")
}

// page is the clause in an order, for a page of the rows, with its values.
func (c *conditions) page(limit, offset int, order string) (text string, args []any) {
	n := len(c.args)
	return c.where() + order + " LIMIT $" + strconv.Itoa(n+1) + " OFFSET $" + strconv.Itoa(n+2), append(slices.Clone(c.args), limit, offset)
}
