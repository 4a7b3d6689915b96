package sandbox_test

import (
	"os"
	"testing"

	"agentstudio/internal/sandbox"
)

// worker is the argument that makes the test's program a worker.
const worker = "sandbox-worker"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == worker {
		os.Exit(sandbox.Serve(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

func open(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := sandbox.New(sandbox.Config{Command: []string{self, worker}})
	t.Cleanup(s.Close)
	return s
}
