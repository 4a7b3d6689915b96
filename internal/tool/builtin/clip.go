package builtin

import (
	"fmt"
	"strings"
)

// clip shortens what a model is given, and says so.
func clip(s string, bytes int) string {
	if len(s) <= bytes {
		return s
	}
	return fmt.Sprintf("%s\n\n[cut: %d more bytes]", strings.ToValidUTF8(s[:bytes], ""), len(s)-bytes)
}
