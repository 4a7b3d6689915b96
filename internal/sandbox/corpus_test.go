package sandbox_test

import (
	"encoding/json"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/sandbox"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestTheCorpusIsContained runs code that has broken out of sandboxes, or
// brought their hosts down. A part whose name ends in "stopped" must end with a
// fault in time; one whose name ends in "harmless" must answer true.
func TestTheCorpusIsContained(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/corpus.txtar")
	if err != nil {
		t.Fatal(err)
	}
	s := open(t)
	limits := sandbox.Limits{Timeout: 300 * time.Millisecond, Memory: 16 << 20, Output: 4000}
	var before int64
	for round := range 2 { // what is made once is made in the first
		if round == 1 {
			before = resident(t)
		}
		for _, c := range archive.Files {
			began := time.Now()
			out, err := s.Run(t.Context(), string(c.Data), map[string]any{"input": 1}, limits)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%s took %s", c.Name, took)
			}
			switch {
			case strings.HasSuffix(c.Name, "stopped"):
				if fault.As(err) == nil {
					t.Errorf("%s: %v, %v", c.Name, out, err)
				}
			case err != nil:
				t.Errorf("%s: %v", c.Name, err)
			default:
				if text, err := json.Marshal(out.Value); err != nil || string(text) != "true" {
					t.Errorf("%s: answered %s (%v)", c.Name, text, err)
				}
			}
		}
	}
	if grown := resident(t) - before; grown > 16<<20 {
		t.Errorf("%d MiB are not given back", grown>>20)
	}
}

// resident is what the heap and the memory outside of it hold now.
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
