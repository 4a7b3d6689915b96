package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"agentstudio/internal/fault"
)

// ToolLimit is how often one workspace may use a tool.
type ToolLimit struct {
	// Tool is the name of a built-in one, mcp/server/tool, mcp/server/* or mcp/*.
	Tool string
	Rate Rate // the zero Rate does not limit
}

// Tools returns the limits of tools. builtin are the names there are. It
// reports every fault it finds.
func (c *Config) Tools(builtin []string) ([]ToolLimit, error) {
	var out []ToolLimit
	var faults []error
	wrong := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("STUDIO_TOOL_LIMITS: "+format, args...))
	}
	seen := map[string]bool{}
	for _, text := range c.ToolLimits {
		name, rate, ok := strings.Cut(text, "=")
		name, rate = strings.TrimSpace(name), strings.TrimSpace(rate)
		if !ok || name == "" {
			wrong("%q is not of the form tool=20/1h", strings.TrimSpace(text))
			continue
		}
		l := ToolLimit{Tool: name}
		if err := l.Rate.UnmarshalText([]byte(rate)); err != nil || rate == "" {
			wrong("%s: %q is not a rate such as 20/1h, 60/1m, or off", name, rate)
		}
		switch {
		case seen[name]:
			wrong("%s is limited twice", name)
		case strings.Contains(name, "/"):
			if !isMCPPattern(name) {
				wrong("%s: tools of MCP servers are written mcp/server/tool, mcp/server/* or mcp/*", name)
			}
		case !slices.Contains(builtin, name):
			wrong("there is no tool %q%s", name, fault.DidYouMean(name, builtin))
		}
		seen[name] = true
		out = append(out, l)
	}
	if faults != nil {
		return nil, errors.Join(faults...)
	}
	return out, nil
}

func isMCPPattern(name string) bool {
	parts := strings.SplitN(name, "/", 3)
	switch {
	case parts[0] != "mcp" || parts[1] == "":
		return false
	case len(parts) == 2:
		return parts[1] == "*"
	}
	return !strings.Contains(parts[1], "*") && parts[2] != "" && (parts[2] == "*" || !strings.Contains(parts[2], "*"))
}
