package app

import (
	"strings"
	"time"

	"agentstudio/internal/config"
	"agentstudio/internal/limit"
	"agentstudio/internal/tool"
	tools "agentstudio/internal/tool/builtin"
)

// mcpLimit is how often a workspace may use one tool of an MCP server where the
// operator says nothing.
func mcpLimit() limit.Rate { return limit.Rate{Requests: 120, Per: time.Minute} }

// toolLimits are the operator's limits of tools, by name or pattern.
type toolLimits map[string]limit.Rate

// newToolLimits reads them, and reports every fault of the setting.
func newToolLimits(cfg config.Config) (toolLimits, error) {
	given, err := cfg.Tools(tool.NewCatalogue(tools.Tools(tools.Deps{})...).Names())
	if err != nil {
		return nil, err
	}
	l := toolLimits{}
	for _, one := range given {
		l[one.Tool] = limit.Rate{Requests: one.Rate.Requests, Per: one.Rate.Per}
	}
	return l, nil
}

// CheckTools reports every fault of the settings that name tools.
func CheckTools(cfg config.Config) error {
	_, err := newToolLimits(cfg)
	return err
}

// on gives tools the operator's limits, where there are some.
func (l toolLimits) on(all []tool.Tool) []tool.Tool {
	for i := range all {
		if rate, set := l[all[i].Name]; set {
			all[i].Limit = rate
		}
	}
	return all
}

// mcp is the limit of a tool of an MCP server: the most exact one that fits.
func (l toolLimits) mcp(name string) limit.Rate {
	patterns := []string{name}
	if parts := strings.SplitN(name, "/", 3); len(parts) == 3 {
		patterns = append(patterns, parts[0]+"/"+parts[1]+"/*")
	}
	for _, p := range append(patterns, "mcp/*") {
		if rate, set := l[p]; set {
			return rate
		}
	}
	return mcpLimit()
}
