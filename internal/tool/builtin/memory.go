package builtin

import (
	"context"
	"fmt"
	"strings"

	"agentstudio/internal/memory"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

// Memory is what agents note for later.
type Memory interface {
	Save(ctx context.Context, at memory.Scope, key, text string) (memory.Memory, error)
	Search(ctx context.Context, at memory.Scope, query string, limit int) ([]memory.Found, error)
}

type memorySaveArgs struct {
	Key    string `json:"key" jsonschema:"required,minLength=1,maxLength=200" jsonschema_description:"A short name of what this is about; saving under the same key again replaces it."`
	Text   string `json:"text" jsonschema:"required,minLength=1,maxLength=8000" jsonschema_description:"What is to be remembered, so that it is understood without this conversation."`
	Shared bool   `json:"shared,omitempty" jsonschema_description:"Whether every agent of the workspace is to find it; else this agent alone."`
}

type memorySearchArgs struct {
	Query string `json:"query,omitempty" jsonschema:"maxLength=1000" jsonschema_description:"Words of what is looked for; left out: the newest."`
	Num   int    `json:"num,omitempty" jsonschema:"minimum=1,maximum=20" jsonschema_description:"How many at most; 5 when left out."`
}

func memorySave(notes Memory) tool.Tool {
	t := tool.Define(tool.Spec{Name: "memory_save", Title: "Remember", Category: "memory", Risk: node.RiskLow, Effect: true, Restrictions: []string{"Stays inside its workspace."},
		Description: "Remembers a fact beyond this conversation, under a key."},
		func(ctx context.Context, call tool.Call, a memorySaveArgs) (tool.Result, error) {
			at := memory.Scope{WorkspaceID: call.WorkspaceID, AgentID: call.AgentID}
			if a.Shared {
				at.AgentID = ""
			}
			m, err := notes.Save(ctx, at, a.Key, a.Text)
			if err != nil {
				return tool.Result{}, err
			}
			return tool.Result{Text: "Remembered " + m.Key + ".", Value: map[string]any{"key": m.Key, "shared": m.AgentID == ""}}, nil
		})
	return needs(t, notes != nil, "memory")
}

func memorySearch(notes Memory) tool.Tool {
	t := tool.Define(tool.Spec{Name: "memory_search", Title: "Search memory", Category: "memory", Risk: node.RiskLow, Restrictions: []string{readsOnly, "Stays inside its workspace."},
		Description: "Finds facts that were remembered in earlier conversations, by their words."},
		func(ctx context.Context, call tool.Call, a memorySearchArgs) (tool.Result, error) {
			if a.Num == 0 {
				a.Num = 5
			}
			found, err := notes.Search(ctx, memory.Scope{WorkspaceID: call.WorkspaceID, AgentID: call.AgentID}, a.Query, a.Num)
			if err != nil {
				return tool.Result{}, err
			}
			var b strings.Builder
			list := make([]map[string]any, len(found))
			for i, m := range found {
				fmt.Fprintf(&b, "%s (%s): %s\n", m.Key, m.UpdatedAt.Format("2006-01-02"), m.Text)
				list[i] = map[string]any{"key": m.Key, "text": m.Text, "shared": m.AgentID == "", "updated_at": m.UpdatedAt, "score": m.Score}
			}
			if len(found) == 0 {
				b.WriteString("Nothing is remembered of this.")
			}
			return tool.Result{Text: b.String(), Value: map[string]any{"memories": list}}, nil
		})
	return needs(t, notes != nil, "memory")
}
