package builtin

import (
	"context"
	"fmt"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

type route struct {
	Name        string `json:"name" jsonschema:"required,title=Name,minLength=1,maxLength=128" jsonschema_description:"The name of its handle."`
	Description string `json:"description,omitempty" jsonschema:"title=When to take it" jsonschema_extras:"widget=textarea"`
}

type routerConfig struct {
	Content      any     `json:"content" jsonschema:"required,title=What is looked at" jsonschema_extras:"widget=textarea"`
	Routes       []route `json:"routes" jsonschema:"required,title=Routes,minItems=1,maxItems=50"`
	Instructions string  `json:"instructions,omitempty" jsonschema:"title=What to go by" jsonschema_extras:"widget=textarea"`
	judgeConfig
}

// routerDefault is the way of what fits no route.
const routerDefault = "default"

// Handles returns one handle per route, and that of what fits none.
func (c routerConfig) Handles() []node.Handle {
	handles := make([]node.Handle, 0, len(c.Routes)+1)
	for _, r := range c.Routes {
		handles = append(handles, node.Handle{Name: r.Name})
	}
	return append(handles, node.Handle{Name: routerDefault, Title: "None of them"})
}

// Check finds names that are doubled or reserved.
func (c routerConfig) Check() []fault.Detail {
	var found []fault.Detail
	seen := map[string]bool{routerDefault: true, node.ErrorHandle: true}
	for i, r := range c.Routes {
		if seen[r.Name] {
			found = append(found, fault.Detail{Location: fmt.Sprintf("routes[%d].name", i), Code: "name_taken", Message: "the name is taken by another route, or is one of default and error", Value: r.Name})
		}
		seen[r.Name] = true
	}
	return found
}

func router(runner Agent) node.Type {
	return node.Define(judgeSpec(node.Spec{
		Kind: "router", Title: "Router", Icon: "signpost",
		Description: "A model picks which way to go.",
		Outputs:     []node.Handle{{Name: routerDefault, Title: "None of them"}},
		Docs: `Shows a model the content and the routes, and goes the one it picks; ` + "`default`" + ` when none fits. Where a condition can
be written down, ` + "`switch`" + ` is faster and costs nothing.

Answers ` + "`{route, reason, content, model, usage, cost_usd}`" + `.

` + "```yaml" + `
config:
  content: "{{ trigger.body.message }}"
  routes:
    - {name: billing, description: Money, invoices, refunds}
    - {name: bug, description: Something does not work}
` + "```",
	}), func(ctx context.Context, c node.Call, cfg routerConfig) (node.Result, error) {
		if err := nothingToLookAt("content", cfg.Content, cfg.Images); err != nil {
			return node.Result{}, err
		}
		content, err := shown(cfg.Content)
		if err != nil {
			return node.Result{}, err
		}
		names := make([]string, 0, len(cfg.Routes)+1)
		var system strings.Builder
		system.WriteString("You decide where something goes. Pick the one route that fits it best.\n")
		for _, r := range cfg.Routes {
			names = append(names, r.Name)
			fmt.Fprintf(&system, "\n- %s: %s", r.Name, r.Description)
		}
		names = append(names, routerDefault)
		system.WriteString("\n- " + routerDefault + ": none of the others fits")
		if cfg.Instructions != "" {
			system.WriteString("\n\n" + cfg.Instructions)
		}
		out, err := judge(ctx, runner, c, cfg.judgeConfig, system.String(), content,
			object(map[string]any{"route": map[string]any{"type": "string", "enum": names}, "reason": map[string]any{"type": "string", "description": "One sentence."}}))
		if err != nil {
			return node.Result{}, err
		}
		var picked struct{ Route, Reason string }
		if err := read(out, &picked); err != nil {
			return node.Result{}, err
		}
		return node.OutputOn([]string{picked.Route}, noted(out, map[string]any{"route": picked.Route, "reason": picked.Reason, "content": cfg.Content})), nil
	})
}
