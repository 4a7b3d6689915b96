package agent

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

func TestToolsOfServersGetNamesThatProvidersTake(t *testing.T) {
	taken := map[string]bool{"calculator": true}
	long := "mcp/a server/" + strings.Repeat("x", 200)
	for _, name := range []string{"mcp/git hub/create.issue", "mcp/git.hub/create issue", "mcp/git_hub/create_issue", "mcp/ü/ö", "mcp/é/à", long + "1", long + "2"} {
		w := wire(name, taken)
		if taken[w] || !regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`).MatchString(w) {
			t.Errorf("%s is called %s", name, w)
		}
		if w != wire(name, taken) {
			t.Errorf("%s has two names", name)
		}
		taken[w] = true
	}
	if !taken["mcp_git_hub_create_issue"] {
		t.Errorf("the first of a name does not keep it: %v", taken)
	}
}

func TestSchemasOfServersAreOfferedAsObjects(t *testing.T) {
	for given, want := range map[string]string{`{"$schema":"x","properties":{}}`: `{"properties":{},"type":"object"}`, `true`: `{"type":"object"}`, `{"type":"object"}`: `{"type":"object"}`} {
		if got := objectSchema(json.RawMessage(given)); string(got) != want {
			t.Errorf("%s becomes %s", given, got)
		}
	}
}
