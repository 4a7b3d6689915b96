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
