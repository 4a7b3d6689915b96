package agent

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"agentstudio/internal/expr"
	"agentstudio/internal/fault"
	"agentstudio/internal/schema"
)

// checker gathers everything wrong with a definition, each with its place in
// the body of a request.
type checker struct {
	runner *Runner
	faults []fault.Detail
}

func (c *checker) find(place, code, format string, args ...any) {
	c.faults = append(c.faults, fault.Detail{Location: "body." + place, Code: code, Message: fmt.Sprintf(format, args...)})
}

// text bounds a text, in characters.
func (c *checker) text(place, s string, low, high int) {
	switch n := utf8.RuneCountInString(s); {
	case n < low:
		c.find(place, "too_short", "at least %d characters, not only spaces", low)
	case n > high:
		c.find(place, "too_long", "at most %d characters, there are %d", high, n)
	}
	if strings.Contains(s, "\x00") {
		c.find(place, "not_text", "a text may not hold the NUL character")
	}
}

// check returns everything wrong with a normalised definition, but for what
// other agents have to do with it.
func (r *Runner) check(d *Definition) []fault.Detail {
	c := &checker{runner: r}
	c.text("name", d.Name, 1, 255)
	c.text("description", d.Description, 0, 10_000)
	c.text("system_prompt", d.SystemPrompt, 0, maxInstructions)
	if !slices.Contains(Types(), d.Type) {
		c.find("type", "unknown", "the type %q is unknown; there are %v", d.Type, Types())
	}
	if !slices.Contains(Roles(), d.Role) {
		c.find("role", "unknown", "the role %q is unknown; there are %v", d.Role, Roles())
	}
	c.models(d.Models)
	c.answer(d)
	c.tools("tools", d.Tools, maxTools)
	c.permissions(d.Permissions)
	c.limits(d.Limits)
	c.variables(d)
	c.others(d)
	c.objects(d)
	if len(d.Tags) > maxTags {
		c.find("tags", "too_many", "at most %d tags", maxTags)
	}
	for i, t := range d.Tags {
		c.text(fmt.Sprintf("tags[%d]", i), t, 1, 64)
	}
	return c.faults
}

func (c *checker) models(names []string) {
	if len(names) > maxModels {
		c.find("model", "too_many", "at most %d models", maxModels)
		return
	}
	for i, name := range names {
		place := "model"
		if len(names) > 1 {
			place = fmt.Sprintf("model[%d]", i)
		}
		if _, err := c.runner.models.Model([]string{name}); err != nil {
			c.find(place, "unknown_model", "%s", fault.Message(err))
		}
	}
}

func (c *checker) answer(d *Definition) {
	if t := d.Temperature; t != nil && (*t < 0 || *t > 2) {
		c.find("temperature", "out_of_range", "a temperature is between 0 and 2")
	}
	if d.MaxTokens < 0 || d.MaxTokens > 200_000 {
		c.find("max_tokens", "out_of_range", "between 1 and 200000, or left out for the provider's default")
	}
	c.memory(d.Memory)
}

func (c *checker) memory(m Memory) {
	if at := m.SummaryAt; at != 0 && (at < 0.1 || at > 0.9) {
		c.find("memory.summary_at", "out_of_range", "between 0.1 and 0.9, or left out for %g", defaultSummaryAt)
	}
	if m.SummaryAt != 0 && !m.Summary {
		c.find("memory.summary_at", "without_summary", "this is for memory.summary: set it to true, or leave this out")
	}
	if m.Summary && m.Window != 0 {
		c.find("memory.window", "not_both", "turns are forgotten (window) or summed up (summary): leave one out")
	}
	if m.Window < 0 || m.Window > 1_000 {
		c.find("memory.window", "out_of_range", "between 1 and 1000 turns, or left out for as many as fit")
	}
}

func (c *checker) tools(place string, names []string, most int) {
	if len(names) > most {
		c.find(place, "too_many", "at most %d tools", most)
		return
	}
	for i, name := range names {
		here := fmt.Sprintf("%s[%d]", place, i)
		if c.runner.sourced(name) {
			continue // the workspace says whether it may be meant
		}
		if _, err := c.runner.tools.Find(name); err != nil {
			c.find(here, "unknown_tool", "%s", fault.Message(err))
		}
		if slices.Contains(names[:i], name) {
			c.find(here, "twice", "the tool %s is listed twice: leave one out", name)
		}
	}
}

func (c *checker) permissions(p Permissions) {
	if !slices.Contains(modes(), p.Mode) {
		c.find("permissions.mode", "unknown", "the mode %q is unknown; there are %v", p.Mode, modes())
	}
	c.tools("permissions.allow", p.Allow, maxTools)
	c.tools("permissions.deny", p.Deny, maxTools)
	c.tools("permissions.ask", p.Ask, maxTools)
}

func (c *checker) limits(l Limits) {
	if l.MaxSteps < 0 || l.MaxSteps > 200 {
		c.find("limits.max_steps", "out_of_range", "between 1 and 200, or left out for %d", defaultSteps)
	}
	if l.MaxCost < 0 {
		c.find("limits.max_cost_usd", "out_of_range", "at least 0; 0 or left out is no limit")
	}
	if l.MaxTokens < 0 {
		c.find("limits.max_tokens", "out_of_range", "at least 1, or left out for no limit")
	}
	if l.Timeout < 0 || l.Timeout > 24*time.Hour {
		c.find("limits.timeout_seconds", "out_of_range", "between 1 and 86400, or left out for the node's own")
	}
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

func (c *checker) variables(d *Definition) {
	if len(d.Variables) > maxVariables {
		c.find("variables", "too_many", "at most %d variables", maxVariables)
		return
	}
	var names []string
	for i, v := range d.Variables {
		place := fmt.Sprintf("variables[%d].name", i)
		switch {
		case !variableName.MatchString(v.Name):
			c.find(place, "bad_name", "a name begins with a letter and has letters, digits and _ only, at most 64")
		case slices.Contains(expr.Roots(), v.Name):
			c.find(place, "bad_name", "the name %s has a meaning in workflows: choose another", v.Name)
		case slices.Contains(names, v.Name):
			c.find(place, "twice", "the variable %s is listed twice: leave one out", v.Name)
		}
		names = append(names, v.Name)
		c.text(fmt.Sprintf("variables[%d].description", i), v.Description, 0, 1_000)
	}
	if _, err := instructions(d.SystemPrompt, names); err != nil {
		c.find("system_prompt", "bad_expression", "%s", fault.Message(err))
	}
}

// others is a field that names agents.
type others struct {
	field string
	ids   []string
}

func (d *Definition) lists() []others {
	return []others{{"sub_agents", d.SubAgents}, {"handoffs", d.Handoffs}}
}

func (c *checker) others(d *Definition) {
	for _, list := range d.lists() {
		if len(list.ids) > maxOthers {
			c.find(list.field, "too_many", "at most %d agents", maxOthers)
		}
		for i, id := range list.ids {
			if slices.Contains(list.ids[:i], id) {
				c.find(fmt.Sprintf("%s[%d]", list.field, i), "twice", "the agent is listed twice: leave one out")
			}
		}
	}
}

func (c *checker) objects(d *Definition) {
	for _, object := range []struct {
		field string
		text  json.RawMessage
	}{{"output_schema", d.OutputSchema}, {"script", d.Script}, {"metadata", d.Metadata}} {
		if len(object.text) > maxObject {
			c.find(object.field, "too_long", "at most %d KiB", maxObject>>10)
		}
	}
	if len(d.OutputSchema) == 0 {
		return
	}
	if _, err := schema.Compile(d.OutputSchema); err != nil {
		c.find("output_schema", "bad_schema", "this is no JSON Schema: %s", err)
	}
}

// instructions compiles a system prompt that may read the variables, and
// nothing else.
func instructions(text string, variables []string) (*expr.Template, error) {
	t, err := expr.Parse(text, expr.Names{Extra: variables})
	if err != nil {
		return nil, err
	}
	if roots := t.Refs().Roots; len(roots) > 0 {
		known := "it has none: add one to variables"
		if len(variables) > 0 {
			known = strings.Join(variables, ", ")
		}
		return nil, fault.New(fault.Invalid, "the name %s is unknown here: a saved agent reads its own variables only (%s)", roots[0], known).WithCode("unknown_name")
	}
	return t, nil
}
