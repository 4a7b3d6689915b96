package sandbox_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/sandbox"
)

func TestCodeSeesItsScopeAndReturnsAValue(t *testing.T) {
	for code, want := range map[string]string{
		`return input.n * 2`: `42`,
		`const r = await Promise.resolve(input.list.map(x => x + 1)); return {r, t: trigger}`: `{"r":[2,3],"t":"go"}`,
		`return`:                              `null`,
		`return null`:                         `null`,
		"// a comment at the end\nreturn 'é'": `"é"`,
		`return [typeof require, typeof process, typeof fetch, typeof std, typeof os, typeof setTimeout, typeof Deno].filter(t => t !== 'undefined')`: `[]`,
	} {
		out, err := open(t).Run(t.Context(), code, map[string]any{"input": map[string]any{"n": 21, "list": []int{1, 2}}, "trigger": "go"}, sandbox.Limits{})
		if err != nil {
			t.Errorf("%s: %v", code, err)
			continue
		}
		if got, err := json.Marshal(out.Value); err != nil || string(got) != want {
			t.Errorf("%s: got %s (%v), want %s", code, got, err, want)
		}
	}
}

func TestConsoleIsKeptAndBounded(t *testing.T) {
	out, err := open(t).Run(t.Context(), `for (let i = 0; i < 10; i++) console.log("line", i, {a: i})`, nil, sandbox.Limits{Lines: 3})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Console) != 3 || out.Console[1] != `line 1 {"a":1}` {
		t.Errorf("got %q", out.Console)
	}
}

func TestCodeThatMisbehavesIsStopped(t *testing.T) {
	for name, c := range map[string]struct {
		code  string
		kind  fault.Kind
		words string
	}{
		"endless loop":    {`while (true) {}`, fault.Timeout, "longer than"},
		"memory":          {`let s = "x"; while (true) s += s`, fault.Invalid, ""},
		"arrays":          {`const a = []; while (true) a.push(new Array(10000).fill(1))`, fault.Invalid, ""},
		"recursion":       {`const f = () => f() + 1; return f()`, fault.Invalid, "too deeply"},
		"throws":          {"\nthrow new Error('no luck')", fault.Invalid, "no luck (line 2)"},
		"unknown name":    {`return nope.x`, fault.Invalid, "nope"},
		"syntax":          {`return (`, fault.Invalid, ""},
		"waits for ever":  {`await new Promise(() => {})`, fault.Invalid, "never comes"},
		"too much output": {`return "x".repeat(5000)`, fault.Invalid, "more than the 4000 allowed"},
		"cyclic output":   {`const a = {}; a.a = a; return a`, fault.Invalid, "circular"},
		"closes the wrap": {`}); globalThis.x = 1; (function() {`, fault.Invalid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t).Run(t.Context(), c.code, nil, sandbox.Limits{Timeout: 300 * time.Millisecond, Memory: 16 << 20, Output: 4000})
			if f := fault.As(err); f == nil || f.Kind != c.kind && f.Kind != fault.Timeout || !strings.Contains(f.Message, c.words) {
				t.Errorf("got %v, want %s with %q", err, c.kind, c.words)
			}
		})
	}
}

func TestCancelStopsRunningCode(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := open(t).Run(ctx, `while (true) {}`, nil, sandbox.Limits{Timeout: time.Minute})
	if !fault.Is(err, fault.Cancelled) || time.Since(began) > 10*time.Second {
		t.Errorf("got %v after %s", err, time.Since(began))
	}
}
