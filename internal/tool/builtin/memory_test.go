package builtin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"agentstudio/internal/file/filetest"
	"agentstudio/internal/memory"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/tool"
	"agentstudio/internal/tool/builtin"
)

func TestAgentsRememberForThemselvesAndForAll(t *testing.T) {
	db := storetest.SQLite(t)
	filetest.Workspace(t, db, "w")
	notes := memory.NewService(store.NewMemories(db), memory.Config{NewID: filetest.IDs()})
	c := tool.NewCatalogue(builtin.Tools(builtin.Deps{Memory: notes})...)
	call := func(agent, name, args string) string {
		t.Helper()
		found, err := c.Find(name)
		if err == nil {
			err = c.Validate(name, json.RawMessage(args))
		}
		if err != nil {
			t.Fatal(err)
		}
		result, err := found.Run(t.Context(), tool.Call{WorkspaceID: "w", AgentID: agent, Args: json.RawMessage(args)})
		if err != nil {
			t.Fatal(err)
		}
		return result.Text
	}
	call("a", "memory_save", `{"key":"pet","text":"Ann has a cat."}`)
	call("a", "memory_save", `{"key":"office","text":"The office has a cat flap.","shared":true}`)
	if got := call("a", "memory_search", `{"query":"cat"}`); !strings.Contains(got, "pet (") || !strings.Contains(got, "office (") {
		t.Errorf("a remembers %q", got)
	}
	if got := call("b", "memory_search", `{"query":"cat"}`); strings.Contains(got, "pet") || !strings.Contains(got, "cat flap") {
		t.Errorf("b remembers %q", got)
	}
	if got := call("b", "memory_search", `{"query":"dog"}`); got != "Nothing is remembered of this." {
		t.Errorf("b remembers %q", got)
	}
}
