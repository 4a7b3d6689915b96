package builtin

import (
	"context"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

type fileTriggerConfig struct {
	Path string `json:"path,omitempty" jsonschema:"title=Path,default=**,maxLength=512" jsonschema_description:"Which files: invoices/*.pdf, or reports/** for every file below a folder."`
}

func (c fileTriggerConfig) pattern() string { return strings.TrimPrefix(orDefault(c.Path, "**"), "/") }

// Check finds patterns that cannot be read.
func (c fileTriggerConfig) Check() []fault.Detail {
	if node.ValidPattern(c.pattern()) {
		return nil
	}
	return []fault.Detail{{Location: "path", Code: "bad_pattern", Message: "this is no pattern of a path: write it like invoices/*.pdf or reports/**", Value: c.Path}}
}

// Arm returns the files that publishing waits for.
func (c fileTriggerConfig) Arm() node.Arming {
	return node.Arming{Listens: []node.Listener{{Event: node.FileArrived, Subject: c.pattern()}}}
}

func fileTrigger() node.Type {
	return node.Define(node.Spec{
		Kind: "file-trigger", Title: "File", Group: node.Trigger, Category: "start", Icon: "file-input",
		Description: "Starts the workflow when a file arrives in the workspace.",
		NoInput:     true, Starts: []string{"file"}, Instant: true, Risk: node.RiskLow,
		Docs: `Starts when a file is written to the workspace's files, new or anew. Its output, and ` + "`trigger`" + `, is
` + "`{event, path, name, folder, execution_id}`" + `; a file node reads the content.

In a path, * and ? stand for anything within one folder, ** for any number of folders. A workflow is never started by a
file it has written itself.

` + "```yaml" + `
config: {path: "invoices/**/*.pdf"}
` + "```",
	}, func(_ context.Context, c node.Call, _ fileTriggerConfig) (node.Result, error) {
		return node.Output("", c.Trigger), nil
	})
}
