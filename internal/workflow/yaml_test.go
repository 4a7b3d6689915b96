package workflow_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"
)

func TestHostileYAMLIsRefusedAtOnce(t *testing.T) {
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 9; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	codec := workflow.NewCodec()
	for name, text := range map[string]string{
		"brackets": strings.Repeat("[", 200_000), "braces": "a: " + strings.Repeat("{", 200_000), "dashes": strings.Repeat("- ", 200_000) + "a",
		"padded dashes": strings.Repeat("-"+strings.Repeat(" ", 50), 50_000) + "a", "questions": strings.Repeat("? ", 200_000), "aliases of aliases": bomb,
		"an alias": "name: &n x\ndescription: *n\nnodes: []",
	} {
		started := time.Now()
		_, err := codec.Decode([]byte(text))
		if !fault.Is(err, fault.Malformed) {
			t.Errorf("%s: got %v", name, err)
		}
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
	if _, err := codec.Decode([]byte(strings.Repeat("x", 6<<20))); !fault.Is(err, fault.TooLarge) {
		t.Errorf("6 MiB: got %v", err)
	}
	d, err := codec.Decode([]byte("name: fine\nnodes:\n- {id: a, kind: set, config: {values: {text: \"see [1] and {x} * y & z\"}}}\n"))
	if err != nil || d.Nodes[0].ID != "a" {
		t.Errorf("got %+v, %v", d, err)
	}
}
