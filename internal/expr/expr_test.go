package expr

import (
	"slices"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/fault"

	"github.com/google/go-cmp/cmp"
)

var sample = Env{
	"trigger": map[string]any{"topic": "tea", "n": 3.0, "list": []any{1.0, 2.0}, "nothing": nil},
	"nodes":   map[string]any{"read-page": map[string]any{"output": map[string]any{"title": "T"}}, "a": map[string]any{"output": 5.0}},
	"item":    map[string]any{"price": 9.5},
	"index":   2,
	"input":   nil,
	"vars":    map[string]any{},
}

func TestTemplatesKeepTypesAndInterpolateText(t *testing.T) {
	for _, c := range []struct {
		source string
		want   any
	}{
		{"plain", "plain"},
		{"{{ trigger.n }}", 3.0},
		{"{{ trigger.list }}", []any{1.0, 2.0}},
		{"{{ nil }}", nil},
		{"n={{ trigger.n }} l={{ trigger.list }} x={{ trigger.nothing }}.", "n=3 l=[1,2] x=."},
		{"{{ {'a': {'b': '}}'}} | json }}", `{"a":{"b":"}}"}}`},
		{"{{ nodes.read-page.output.title }}", "T"},
		{"{{ nodes.a.output - 1 }}", 4.0},
		{"{{ trigger.topic | upper }}", "TEA"},
		{"{{ trigger.missing.deep | default('x') }}", "x"},
		{"{{ trigger.nothing?.deep }}", nil},
		{"{{ 'abcdef' | truncate(3) }}", "abc…"},
		{"{{ 'a' | base64 }}", "YQ=="},
		{"{{ '2026-03-04T05:06:07Z' | date('YYYY/MM/DD HH:mm') }}", "2026/03/04 05:06"},
		{"{{ 0 | date('2006') }}", "1970"},
		{"{{ let x = 2; x * index }}", 4},
		{"{{ map(trigger.list, # * 2) }}", []any{2.0, 4.0}},
		{"{{ filter(trigger.list, {# > 1}) | len }}", 1},
		{"{{ item.price > 9 and trigger.topic == 'tea' }}", true},
	} {
		tpl, err := Parse(c.source, Names{Nodes: []string{"read-page", "a"}})
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		got, err := tpl.Eval(sample)
		if err != nil || !cmp.Equal(got, c.want) {
			t.Errorf("%s: got %#v (%v), want %#v", c.source, got, err, c.want)
		}
	}
}

func TestUnknownNamesAreRefusedWithASuggestion(t *testing.T) {
	for source, want := range map[string]string{
		"{{ triger.topic }}":           "did you mean trigger",
		"{{ nodes.reed-page.output }}": "does not name a node",
		"{{ nodes.read_page.output }}": "did you mean read-page",
		"{{ trigger. }}":               "does not compile",
		"{{ secrets.key }}":            "marked for them",
		"{{ env.HOME }}":               "operator allows",
		"{{ }}":                        "is empty",
		"{{ trigger.topic":             "no closing",
		"{{ __tick(1, 2) + zzz }}":     "unknown",
		"{{ upper( }}":                 "does not compile",
	} {
		_, err := Parse(source, Names{Nodes: []string{"read-page"}})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", source, err, want)
		}
	}
}

func TestNullStepNamesThePath(t *testing.T) {
	tpl, err := Parse("{{ trigger.customer.name.first }}", Names{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tpl.Eval(sample)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "trigger.customer.name") {
		t.Fatalf("got %v", err)
	}
}

func TestRunawayExpressionsAreStopped(t *testing.T) {
	big := make([]any, 20_000)
	for i := range big {
		big[i] = i
	}
	env := Env{"trigger": big}
	for _, source := range []string{
		"{{ all(trigger, {let a = #; all(trigger, {# != -1 - a})}) }}",
		"{{ repeat('x', 1000000000) }}",
		"{{ map(1..100000000, #) }}",
	} {
		tpl, err := Parse(source, Names{})
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		start := time.Now()
		if _, err := tpl.Eval(env); err == nil {
			t.Errorf("%s: ended well", source)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s: took %s", source, took)
		}
	}
}

func TestValueCompilesTreesAndReportsEveryProblem(t *testing.T) {
	raw := map[string]any{
		"url": "https://x/{{ trigger.topic }}", "n": 3.0,
		"body":  map[string]any{"list": []any{"{{ trigger.n }}", "b"}},
		"cases": []any{map[string]any{"condition": "{{ item.x }}", "name": "{{ trigger.topic }}"}},
		"token": "{{ secrets.api }}",
	}
	field := func(path string) Field {
		switch path {
		case "cases.condition":
			return Untouched
		case "token":
			return WithSecret
		}
		return Templated
	}
	v, problems := CompileValue(raw, Names{}, field)
	if problems != nil {
		t.Fatal(problems)
	}
	env := Env{"trigger": sample["trigger"], "secrets": map[string]any{"api": "s"}}
	got, err := v.Eval(env)
	want := map[string]any{
		"url": "https://x/tea", "n": 3.0, "body": map[string]any{"list": []any{3.0, "b"}},
		"cases": []any{map[string]any{"condition": "{{ item.x }}", "name": "tea"}}, "token": "s",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	_, problems = CompileValue(map[string]any{"a": "{{ x1 }}", "b": []any{"{{ x2 }}"}}, Names{}, func(string) Field { return Templated })
	if len(problems) != 2 || problems[0].Path != "a" || problems[1].Path != "b[0]" {
		t.Fatalf("got %v", problems)
	}
}

func TestRefsNameTheNodesRead(t *testing.T) {
	tpl, err := Parse("{{ nodes.b.output }}{{ nodes['a'].output }} {{ input }}", Names{})
	if err != nil {
		t.Fatal(err)
	}
	r := tpl.Refs()
	if diff := cmp.Diff([]string{"a", "b"}, r.Nodes); diff != "" || !slices.Contains(r.Roots, "input") || r.AllNodes {
		t.Fatal(diff, r)
	}
	tpl, _ = Parse("{{ keys(nodes) }}", Names{})
	if !tpl.Refs().AllNodes {
		t.Fatal("keys(nodes) reads them all")
	}
}

func BenchmarkEval(b *testing.B) {
	tpl, _ := Parse("{{ trigger.topic }} and {{ nodes.a.output + 1 }}", Names{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tpl.Eval(sample); err != nil {
			b.Fatal(err)
		}
	}
}
