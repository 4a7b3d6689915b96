package builtin

import (
	"context"
	"fmt"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

type switchCase struct {
	Name      string          `json:"name" jsonschema:"required,title=Name" jsonschema_description:"The name of its handle."`
	Condition node.Expression `json:"condition" jsonschema:"required,title=Condition"`
}

type switchConfig struct {
	Cases []switchCase `json:"cases" jsonschema:"required,title=Cases,minItems=1,maxItems=100"`
	Mode  string       `json:"mode,omitempty" jsonschema:"title=Mode,enum=first,enum=all,default=first" jsonschema_description:"Take the first case that holds, or every one."`
}

const switchDefault = "default"

// Handles returns one handle per case, and the default.
func (c switchConfig) Handles() []node.Handle {
	handles := make([]node.Handle, 0, len(c.Cases)+1)
	for _, one := range c.Cases {
		handles = append(handles, node.Handle{Name: one.Name})
	}
	return append(handles, node.Handle{Name: switchDefault, Title: "Otherwise"})
}

// Check finds names that are missing, doubled or reserved.
func (c switchConfig) Check() []fault.Detail {
	var found []fault.Detail
	seen := map[string]bool{switchDefault: true, node.ErrorHandle: true}
	for i, one := range c.Cases {
		at := fmt.Sprintf("cases[%d].name", i)
		switch {
		case one.Name == "":
			found = append(found, fault.Detail{Location: at, Code: "missing_name", Message: "every case needs a name"})
		case seen[one.Name]:
			found = append(found, fault.Detail{Location: at, Code: "name_taken", Message: "the name is taken by another case, or is one of default and error", Value: one.Name})
		}
		seen[one.Name] = true
	}
	return found
}

func switchKind() node.Type {
	return node.Define(node.Spec{
		Kind: "switch", Title: "Switch", Group: node.Logic, Category: "branch", Icon: "split",
		Description: "Chooses between several ways.",
		Outputs:     []node.Handle{{Name: switchDefault, Title: "Otherwise"}},
		Instant:     true, Risk: node.RiskLow,
		Docs: `Tries its cases in order and passes what arrived on to the handle of the first that holds (mode first) or of
every one that holds (mode all); to ` + "`default`" + ` when none does.

` + "```yaml" + `
config:
  cases:
    - {name: urgent, condition: "{{ trigger.priority > 7 }}"}
    - {name: normal, condition: "{{ trigger.priority > 3 }}"}
` + "```",
	}, runSwitch)
}

func runSwitch(ctx context.Context, c node.Call, cfg switchConfig) (node.Result, error) {
	var taken []string
	for i, one := range cfg.Cases {
		yes, err := isTrue(ctx, c, fmt.Sprintf("cases[%d].condition", i), one.Condition, nil)
		if err != nil {
			return node.Result{}, err
		}
		if !yes {
			continue
		}
		taken = append(taken, one.Name)
		if cfg.Mode != "all" {
			break
		}
	}
	if len(taken) == 0 {
		taken = []string{switchDefault}
	}
	return node.OutputOn(taken, c.Input), nil
}
