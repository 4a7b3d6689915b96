package schema

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// inWords says what to do about a fault rather than which rule it broke.
func inWords(fault jsonschema.ErrorKind) string {
	switch k := fault.(type) {
	case *kind.MinLength:
		if k.Got == 0 {
			return "this must not be empty"
		}
		return fmt.Sprintf("this must have at least %s; it has %d", counted(k.Want, "character"), k.Got)
	case *kind.MaxLength:
		return fmt.Sprintf("this must have at most %s; it has %d", counted(k.Want, "character"), k.Got)
	case *kind.MinItems:
		if k.Got == 0 && k.Want == 1 {
			return "this must not be empty: add an item"
		}
		return fmt.Sprintf("this must have at least %s; it has %d", counted(k.Want, "item"), k.Got)
	case *kind.MaxItems:
		return fmt.Sprintf("this must have at most %s; it has %d", counted(k.Want, "item"), k.Got)
	case *kind.MinProperties:
		return fmt.Sprintf("this must have at least %s; it has %d", counted(k.Want, "field"), k.Got)
	case *kind.MaxProperties:
		return fmt.Sprintf("this must have at most %s; it has %d", counted(k.Want, "field"), k.Got)
	case *kind.Minimum:
		return fmt.Sprintf("this must be at least %s, not %s", number(k.Want), number(k.Got))
	case *kind.Maximum:
		return fmt.Sprintf("this must be at most %s, not %s", number(k.Want), number(k.Got))
	case *kind.ExclusiveMinimum:
		return fmt.Sprintf("this must be more than %s, not %s", number(k.Want), number(k.Got))
	case *kind.ExclusiveMaximum:
		return fmt.Sprintf("this must be less than %s, not %s", number(k.Want), number(k.Got))
	case *kind.Type:
		return fmt.Sprintf("this must be of type %s, not %s", strings.Join(k.Want, " or "), k.Got)
	}
	return fault.LocalizedString(message.NewPrinter(language.English))
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// number writes a number as people do.
func number(n *big.Rat) string {
	f, _ := n.Float64()
	return strconv.FormatFloat(f, 'f', -1, 64)
}
