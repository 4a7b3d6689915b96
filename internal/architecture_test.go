// Package internal_test holds the drawing of the floors (README.md) as a rule.
package internal_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mayImport says for every package which others of ours it may import. The
// floors, from the ground up; what stands beside a package on the same floor
// is listed where it is allowed. A package that is missing here fails.
func mayImport() map[string]string {
	const contracts = "fault jsonvalue access event node tool llm schema expr signature"
	const nouns = contracts + " workspace schedule workflow execution account usage limit file memory"
	const adapter = nouns // an adapter knows the nouns, never another adapter
	return map[string]string{
		"fault": "",

		"jsonvalue": "",

		"schema":    "",
		"access":    "fault",
		"event":     "",
		"node":      "fault jsonvalue schema",
		"llm":       "fault usage",
		"tool":      "fault access schema node usage limit",
		"expr":      "fault",
		"workspace": "fault access",
		"account":   "fault access",
		"usage":     "fault access event workspace",
		"limit":     "",
		"file":      "fault access workspace",
		"memory":    "fault",
		"signature": "",
		"schedule":  "fault node",
		"workflow":  "fault access event node schema expr workspace schedule",
		"execution": "fault access event node schema workspace workflow",

		"engine":    "fault jsonvalue event node expr workflow execution",
		"agent":     "fault access node llm tool schema expr workspace usage",
		"toolbox":   "fault access node llm tool usage",
		"chat":      "fault access event llm node workflow execution agent",
		"mcp":       "fault access node tool schema limit workspace",
		"courier":   "fault execution",
		"retention": "execution",
		"backup":    "fault",
		"trigger":   "fault access event node schedule workflow execution",

		"store":          adapter + " agent mcp",
		"api":            adapter + " agent mcp toolbox chat",
		"mail":           "fault",
		"outbound":       "fault limit",
		"metrics":        "execution usage",
		"telemetry":      "fault execution node llm tool",
		"sandbox":        "fault",
		"demo":           "fault",
		"blob":           "fault",
		"database":       "fault",
		"websearch":      "fault outbound",
		"webread":        "fault outbound",
		"media":          "fault llm usage",
		"dispatch/local": "fault execution",
		"dispatch/river": "fault execution",
		"bus/memory":     "event",
		"bus/postgres":   "event bus/memory",
		"bus/redis":      "event bus/memory",
		"limit/redis":    "limit",
		"mcp/client":     "fault mcp",
		"mcp/bridge":     "",
		"mcp/server":     "fault access event workflow execution",
		"llm/anthropic":  "fault llm",
		"llm/openai":     "fault llm",
		"llm/scripted":   "fault llm schema",
		"node/builtin":   "fault node llm tool usage schema schedule signature agent file demo outbound sandbox websearch webread",
		"tool/builtin":   "fault access node tool llm limit schema file memory database demo media outbound sandbox websearch webread",

		"config": "fault",
		"app":    "*",

		// What only tests import.
		"store/storetest":       "store",
		"blob/blobtest":         "blob fault",
		"file/filetest":         "file blob store store/storetest",
		"bus/bustest":           "event",
		"limit/limittest":       "limit",
		"redistest":             "",
		"node/nodetest":         "fault node expr",
		"outbound/outboundtest": "fault outbound",
		"llm/llmtest":           "fault llm usage",
		"dispatch/dispatchtest": "fault execution event",
	}
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p goPackage
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		found = append(found, p)
	}
	return found
}

func TestImportsPointDown(t *testing.T) {
	const prefix = "agentstudio/internal/"
	table := mayImport()
	for _, p := range packages(t) {
		name, ok := strings.CutPrefix(p.ImportPath, prefix)
		if !ok {
			continue // the package of this test
		}
		row, listed := table[name]
		if !listed {
			t.Errorf("package %s is not in the table: say which floor it stands on", name)
			continue
		}
		for _, imported := range p.Imports {
			other, ours := strings.CutPrefix(imported, prefix)
			if ours && row != "*" && !slices.Contains(strings.Fields(row), other) {
				t.Errorf("%s imports %s, which is not below it", name, other)
			}
		}
	}
}

func TestGroundAndContractsUseNoAdapters(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "agentstudio/internal/")
		if !slices.Contains([]string{"fault", "access", "event", "workspace", "account", "schedule", "workflow", "execution", "usage"}, name) {
			continue
		}
		for _, imported := range p.Imports {
			if imported == "database/sql" || imported == "net/http" || imported == "os" {
				t.Errorf("%s stands on the language floor and imports %s", name, imported)
			}
		}
	}
}

// goFiles calls see with every Go file of the project, generated ones apart.
func goFiles(t *testing.T, see func(path string, text []byte)) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.Contains(path, ".gen.") {
			return nil
		}
		text, err := os.ReadFile(path)
		see(filepath.ToSlash(path), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoFileIsOverFiveHundredLines(t *testing.T) {
	goFiles(t, func(path string, text []byte) {
		if n := bytes.Count(text, []byte("\n")); n > 500 {
			t.Errorf("%s has %d lines: cut it where a reader would look for the other half", path, n)
		}
	})
}

// kindName finds the kind a file of node/builtin defines.
func kindName() *regexp.Regexp { return regexp.MustCompile(`node\.Spec\{\s*Kind:\s+"([a-z-]+)"`) }

func TestTheEngineKnowsNoKindByName(t *testing.T) {
	var kinds []string
	goFiles(t, func(path string, text []byte) {
		if !strings.HasPrefix(path, "../internal/node/builtin/") {
			return
		}
		for _, m := range kindName().FindAllSubmatch(text, -1) {
			kinds = append(kinds, string(m[1]))
		}
	})
	if len(kinds) < 15 {
		t.Fatalf("found only the kinds %v", kinds)
	}
	goFiles(t, func(path string, text []byte) {
		if strings.HasSuffix(path, "_test.go") ||
			!strings.HasPrefix(path, "../internal/engine/") && !strings.HasPrefix(path, "../internal/execution/") && !strings.HasPrefix(path, "../internal/workflow/") {
			return
		}
		for _, k := range kinds {
			// One-word kinds are English words too: only the hyphenated ones and
			// comparisons with a kind give themselves away.
			if strings.Contains(k, "-") && bytes.Contains(text, []byte(`"`+k+`"`)) || regexp.MustCompile(`[kK]ind\s*[!=]=\s*"`+k+`"`).Match(text) {
				t.Errorf("%s names the kind %s", path, k)
			}
		}
	})
}
