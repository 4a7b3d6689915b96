package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/sandbox"
)

// workers returns the processes that this one has started, as Linux lists them.
func workers(t *testing.T) (pids []int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("processes are listed on Linux only")
	}
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread is gone
		}
		for _, pid := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(pid)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, n)
		}
	}
	return pids
}

func TestWorkersAreUsedAgainAndEndWithTheSandbox(t *testing.T) {
	s := open(t)
	for i := range 3 {
		if out, err := s.Run(t.Context(), `return input + 1`, map[string]any{"input": i}, sandbox.Limits{}); err != nil || out.Value != float64(i+1) {
			t.Fatalf("%v, %v", out.Value, err)
		}
	}
	if got := workers(t); len(got) != 1 {
		t.Errorf("%d workers for programs one after the other", len(got))
	}
	s.Close()
	if got := workers(t); len(got) != 0 {
		t.Errorf("%d workers are left", len(got))
	}
}

func TestAWorkerThatDiedWhileIdleIsReplaced(t *testing.T) {
	s := open(t)
	for range 2 {
		if out, err := s.Run(t.Context(), `return 7`, nil, sandbox.Limits{}); err != nil || out.Value != 7.0 {
			t.Fatalf("%v, %v", out.Value, err)
		}
		for _, pid := range workers(t) {
			p, err := os.FindProcess(pid)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Kill(); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(10 * time.Second); !gone(pid) && time.Now().Before(deadline); {
				runtime.Gosched()
			}
		}
	}
}

// gone reports whether a process has ended; somebody may still have to wait for it.
func gone(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(text), ") ")
	return err != nil || strings.HasPrefix(after, "Z")
}

func TestCodeWithinOneCallOfTheInterpreterIsStoppedInTime(t *testing.T) {
	s := open(t)
	began := time.Now()
	_, err := s.Run(t.Context(), `return [].indexOf.call({length: 2 ** 53 - 1}, 1)`, nil, sandbox.Limits{Timeout: 100 * time.Millisecond})
	if took := time.Since(began); !fault.Is(err, fault.Timeout) || took > 5*time.Second {
		t.Errorf("%v after %s", err, took)
	}
	if out, err := s.Run(t.Context(), `return 1`, nil, sandbox.Limits{}); err != nil || out.Value != 1.0 {
		t.Errorf("afterwards: %v, %v", out.Value, err)
	}
}

func TestManyProgramsTakeTurns(t *testing.T) {
	s := open(t)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if out, err := s.Run(t.Context(), `return input * 2`, map[string]any{"input": i}, sandbox.Limits{}); err != nil || out.Value != float64(2*i) {
				t.Errorf("%v, %v", out.Value, err)
			}
		})
	}
	all.Wait()
	if most, got := max(4, 2*runtime.NumCPU()), len(workers(t)); got > most {
		t.Errorf("%d workers, want %d at most", got, most)
	}
}

func TestWaitingForATurnEndsWithTheCaller(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := sandbox.New(sandbox.Config{Command: []string{self, worker}, Most: 1})
	t.Cleanup(s.Close)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	for range 2 {
		go func() {
			_, err := s.Run(ctx, `while (true) {}`, nil, sandbox.Limits{Timeout: time.Minute})
			ended <- err
		}()
	}
	cancel()
	for range 2 {
		if err := <-ended; !fault.Is(err, fault.Cancelled) {
			t.Errorf("got %v", err)
		}
	}
}

func TestAWorkerKnowsNothingOfOurEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_SERVER", "x")
	s := open(t)
	if _, err := s.Run(t.Context(), `return 1`, nil, sandbox.Limits{}); err != nil {
		t.Fatal(err)
	}
	for _, pid := range workers(t) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || strings.Contains(string(text), "SECRET_OF_THE_SERVER") {
			t.Errorf("the environment of a worker: %q, %v", text, err)
		}
	}
}
