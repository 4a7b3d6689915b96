package builtin_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"agentstudio/internal/node"
)

// helpers are the files of the package that hold no kind.
var helpers = []string{"agent_presets.go", "builtin.go", "items.go", "judge.go", "listing.go"}

func TestEveryFileHoldsTheKindItIsNamedFor(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	kinds := testKinds(t)
	var found []string
	for _, f := range files {
		name := f.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || slices.Contains(helpers, name) {
			continue
		}
		kind := strings.ReplaceAll(strings.TrimSuffix(name, ".go"), "_", "-")
		found = append(found, kind)
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`Kind:\s+"` + kind + `"`).Match(source) {
			t.Errorf("%s does not define the kind %q", name, kind)
		}
		if _, listed := kinds.Find(kind); !listed {
			t.Errorf("%s defines a kind that is not in the list of Kinds", name)
		}
	}
	if len(found) != len(kinds.All()) {
		t.Errorf("%d files hold kinds, %d kinds are listed", len(found), len(kinds.All()))
	}
}

func TestEveryKindIsDescribed(t *testing.T) {
	for _, kind := range testKinds(t).All() {
		spec := kind.Spec()
		if spec.Title == "" || spec.Description == "" || spec.Docs == "" || spec.Group == "" || spec.Icon == "" || spec.Risk == "" {
			t.Errorf("%s: title, description, docs, group, icon and risk are for people; one is missing", spec.Kind)
		}
		if spec.Instant && spec.Effect {
			t.Errorf("%s: a kind with an effect outside is never instant", spec.Kind)
		}
		if spec.NoInput != (spec.Group == node.Trigger) {
			t.Errorf("%s: triggers, and only they, have no input", spec.Kind)
		}
		var schema struct {
			Type       string `json:"type"`
			Properties map[string]struct {
				Title string `json:"title"`
			} `json:"properties"`
		}
		if err := json.Unmarshal(kind.Schema(), &schema); err != nil || schema.Type != "object" {
			t.Errorf("%s: the schema is %s (%v)", spec.Kind, kind.Schema(), err)
		}
		for field, p := range schema.Properties {
			if p.Title == "" {
				t.Errorf("%s: the field %s has no title for its form", spec.Kind, field)
			}
		}
	}
}

func TestPresetsLackNothingButWhatAPersonFillsIn(t *testing.T) {
	names := map[string]bool{}
	for _, kind := range testKinds(t).All() {
		for _, p := range kind.Spec().Presets {
			name := kind.Spec().Kind + ":" + p.Name
			if p.Name == "" || p.Title == "" || p.Description == "" || p.Icon == "" || names[name] {
				t.Errorf("%s: a preset has a name of its own, a title, a description and an icon", name)
			}
			names[name] = true
			config := map[string]any{"prompt": "filled in"}
			for field, value := range p.Config {
				config[field] = value
			}
			for _, f := range kind.Faults(config) {
				t.Errorf("%s: %s", name, f)
			}
		}
	}
	if len(names) == 0 {
		t.Error("no kind has presets")
	}
}
