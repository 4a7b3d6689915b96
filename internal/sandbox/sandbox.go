// Package sandbox runs JavaScript that is not trusted: without network, disk
// or any function of the host, and within bounds of time, memory and output, in
// processes of its own that are killed when they do not keep them.
package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"agentstudio/internal/fault"

	"modernc.org/quickjs"
)

// Limits bound one run. Zero fields take their defaults.
type Limits struct {
	Timeout time.Duration // 5 s
	Memory  int           // bytes of the interpreter's heap; 32 MiB
	Output  int           // bytes of the result as JSON; 1 MiB
	Lines   int           // of console output kept; 200
}

// Filled returns the limits with the defaults where they say nothing.
func (l Limits) Filled() Limits {
	if l.Timeout <= 0 {
		l.Timeout = 5 * time.Second
	}
	if l.Memory <= 0 {
		l.Memory = 32 << 20
	}
	if l.Output <= 0 {
		l.Output = 1 << 20
	}
	if l.Lines <= 0 {
		l.Lines = 200
	}
	return l
}

// Outcome is what a run left behind.
type Outcome struct {
	Value   any      // what the code returned, through JSON; nil for undefined
	Console []string // lines of console.log and its kin
}

// Local runs code in this process. What the interpreter does within one call of
// its own, such as a search through an object that says it is endless, cannot be
// stopped there: it is for workers, which can be killed, and for tests.
type Local struct{}

// Run runs the code as Sandbox.Run does.
func (Local) Run(ctx context.Context, code string, scope map[string]any, limits Limits) (Outcome, error) {
	limits = limits.Filled()
	program, err := wrap(code, scope, limits)
	if err != nil {
		return Outcome{}, err
	}
	text, err := interpret(ctx, program, limits)
	switch {
	case ctx.Err() != nil:
		return Outcome{}, stopped(ctx)
	case err != nil:
		return Outcome{}, explain(err, limits)
	}
	return read(text, limits)
}

func stopped(ctx context.Context) error {
	return fault.Wrap(fault.Cancelled, context.Cause(ctx), "the code was stopped")
}

// maxDepth is how deep calls nest. The interpreter means bytes of its stack by
// it, but grows its own by one for a call; of ours each takes some kilobytes.
const maxDepth = 8 << 10

// interpret runs a program in an interpreter of its own, until ctx ends.
func interpret(ctx context.Context, program string, limits Limits) (text string, err error) {
	vm, err := quickjs.NewVM()
	if err != nil {
		return "", fmt.Errorf("start the interpreter: %w", err)
	}
	defer func() {
		// The engine panics when it runs out of memory at a bad moment.
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %v", broke, p)
		}
		err = errors.Join(err, vm.Close())
	}()
	vm.SetMemoryLimit(uintptr(limits.Memory))
	vm.SetMaxStackSize(maxDepth)
	if err := vm.SetEvalTimeout(limits.Timeout); err != nil {
		return "", err
	}
	settled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { vm.Interrupt(); close(settled) })
	text, err = evaluate(vm, program)
	if !stop() {
		<-settled
	}
	return text, err
}

// wrap builds the program. Nothing of the host is reachable from it: the
// scope goes in as JSON and the result comes out as JSON.
func wrap(code string, scope map[string]any, limits Limits) (string, error) {
	names := make([]string, 0, len(scope))
	for name := range scope {
		names = append(names, name)
	}
	slices.Sort(names)
	values := make([]string, len(names))
	for i, name := range names {
		text, err := json.Marshal(scope[name])
		if err != nil {
			return "", fmt.Errorf("pass %s to the code: %w", name, err)
		}
		// U+2028 and U+2029 are escaped by encoding/json: the text is JavaScript too.
		values[i] = string(text)
	}
	return fmt.Sprintf(`var __r = {lines: []};
globalThis.console = (() => {
  const say = (...a) => { if (__r.lines.length < %d) __r.lines.push(a.map(v => typeof v === "string" ? v : (JSON.stringify(v) ?? String(v))).join(" ").slice(0, 2000)); };
  return Object.freeze({log: say, info: say, warn: say, error: say, debug: say});
})();
(async function(%s) {"use strict";
%s
})(%s).then(v => { __r.value = v === undefined ? null : v; }, e => { __r.error = e instanceof Error ? e.name + ": " + e.message + "\n" + (e.stack || "").slice(0, 2000) : "thrown: " + String(e); });
`, limits.Lines, strings.Join(names, ", "), code, strings.Join(values, ", ")), nil
}

// firstLine is where the user's code begins in the program.
const firstLine = 7

func evaluate(vm *quickjs.VM, program string) (string, error) {
	if _, err := vm.Eval(program, 0); err != nil {
		return "", err
	}
	if _, err := vm.ExecutePendingJobs(); err != nil {
		return "", err
	}
	text, err := vm.Eval(`JSON.stringify(__r)`, 0)
	if err != nil {
		return "", err
	}
	s, ok := text.(string)
	if !ok {
		return "", errors.New("the result cannot be written as JSON")
	}
	return s, nil
}

func read(text string, limits Limits) (Outcome, error) {
	var r struct {
		Lines []string        `json:"lines"`
		Value json.RawMessage `json:"value"`
		Error string          `json:"error"`
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return Outcome{}, fmt.Errorf("read the result: %w", err)
	}
	switch {
	case r.Error != "":
		return Outcome{Console: r.Lines}, explain(errors.New(r.Error), limits)
	case r.Value == nil:
		return Outcome{Console: r.Lines}, fault.New(fault.Invalid, "the code waits for something that never comes: there is no network and no timer in the sandbox").WithCode("sandbox")
	case len(r.Value) > limits.Output:
		return Outcome{Console: r.Lines}, fault.New(fault.Invalid, "the code returned %d bytes, more than the %d allowed", len(r.Value), limits.Output).WithCode("sandbox")
	}
	out := Outcome{Console: r.Lines}
	return out, json.Unmarshal(r.Value, &out.Value)
}

// thrown names the error and the line of the code it comes from.
func thrown(text string) error {
	message, stack, _ := strings.Cut(text, "\n")
	if line := lineOf(stack); line > 0 {
		message += fmt.Sprintf(" (line %d)", line)
	}
	return fault.New(fault.Invalid, "the code failed: %s", message).WithCode("sandbox")
}

// lineOf finds the first position in the user's code of a stack trace, whose
// positions look like "<evalScript>:8:12" or "<input>:8:12".
func lineOf(stack string) int {
	for _, frame := range strings.Split(stack, "\n") {
		_, at, ok := strings.Cut(frame, ">:")
		var line int
		if !ok {
			continue
		}
		if _, err := fmt.Sscanf(at, "%d", &line); err == nil && line >= firstLine {
			return line - firstLine + 1
		}
	}
	return 0
}

// broke begins the words of an interpreter that came to no end of its own.
const broke = "the interpreter broke"

func explain(err error, limits Limits) error {
	text := err.Error()
	switch {
	case strings.HasPrefix(text, broke):
		return fault.Wrap(fault.Invalid, err, "the code used up its memory or broke the interpreter").WithCode("sandbox")
	case strings.Contains(text, "InternalError: interrupted"):
		return fault.Wrap(fault.Timeout, err, "the code ran longer than %s", limits.Timeout)
	case strings.Contains(text, "out of memory"):
		return fault.Wrap(fault.Invalid, err, "the code used more than %d MiB of memory", limits.Memory>>20).WithCode("sandbox")
	case strings.Contains(text, "stack overflow"), strings.Contains(text, "call stack"):
		return fault.Wrap(fault.Invalid, err, "the code calls itself too deeply").WithCode("sandbox")
	}
	return thrown(text)
}
