package store

import (
	"regexp"
	"strconv"
)

// placeholder finds the parameters of a text.
var placeholder = regexp.MustCompile(`\$(\d+)`)

// positional writes $1, $2, … as plain question marks where they come in
// order, once each, and returns any other text as it is. SQLite's driver looks
// up the name of each named parameter in a list, at a cost that grows with
// the square of their number; plain ones have no name.
func positional(text string) string {
	next := 1
	ordered := true
	out := placeholder.ReplaceAllStringFunc(text, func(p string) string {
		ordered = ordered && p == "$"+strconv.Itoa(next)
		next++
		return "?"
	})
	if !ordered {
		return text
	}
	return out
}

// boundOfList finds the parameter that bounds a list.
var boundOfList = regexp.MustCompile(`\bLIMIT (\$\d+)`)

// unfolded hides from SQLite that a bound is a parameter alone. It would look at
// its value when it plans, and so plan anew each time the statement is run.
func unfolded(text string) string { return boundOfList.ReplaceAllString(text, "LIMIT ${1} + 0") }
