package main

import (
	"bufio"
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/app"
	"agentstudio/internal/config"
	"agentstudio/internal/execution"
	"agentstudio/internal/store/storetest"
)

// startWorker starts the program as a worker and returns once it is ready.
func startWorker(t *testing.T, env []string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "agentstudio") // the test binary is the program when it is called so
	if err := os.Symlink(self, name); err != nil {
		t.Fatal(err)
	}
	worker := exec.CommandContext(t.Context(), name, "worker", "--data-dir", t.TempDir())
	worker.Env = append(os.Environ(), env...)
	said, err := worker.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = worker.Process.Kill() // it may have ended
		_ = worker.Wait()
	})
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		t.Log(lines.Text())
		if strings.Contains(lines.Text(), "is ready") {
			go func() {
				for lines.Scan() { //nolint:revive // what it says is not read, but must go somewhere
				}
			}()
			return worker
		}
	}
	t.Fatal("the worker ended before it was ready")
	return nil
}

func TestAnotherWorkerGoesOnAfterOneIsKilled(t *testing.T) {
	calls, hang := atomic.Int32{}, make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}
	}))
	defer api.Close()
	defer close(hang)
	url := storetest.PostgresURL(t)
	env := []string{"DATABASE_URL=" + url, "STUDIO_ALLOW_PRIVATE_NETWORKS=" + api.Listener.Addr().String()}
	workers := map[int]*exec.Cmd{}
	for range 2 {
		w := startWorker(t, env)
		workers[w.Process.Pid] = w
	}
	studio := serveOnly(t, url)
	by, err := studio.Operator(t.Context(), localAddress)
	if err != nil {
		t.Fatal(err)
	}
	d, err := studio.Codec.Decode([]byte(`
name: call
nodes:
  - {id: start, kind: manual-trigger}
  - {id: before, kind: set, config: {values: {v: 1}}}
  - {id: call, kind: http-request, config: {url: "` + api.URL + `"}}
connections: [{source: start, target: before}, {source: before, target: call}]
`))
	if err != nil {
		t.Fatal(err)
	}
	w, err := studio.Workflows.Create(t.Context(), by, by.Personal, d)
	if err != nil {
		t.Fatal(err)
	}
	x, _, err := studio.Executions.Start(t.Context(), by, execution.StartInput{WorkspaceID: by.Personal, WorkflowID: w.ID})
	if err != nil {
		t.Fatal(err)
	}
	until(t, 10*time.Second, func() bool { return calls.Load() == 1 })
	if err := workers[holder(t, url, x.ID)].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	until(t, 25*time.Second, func() bool {
		again, err := studio.Executions.Find(t.Context(), by, x.ID)
		return err == nil && again.Status == execution.Completed
	})
	if took := time.Since(killed); took > 15*time.Second {
		t.Errorf("it took %s until it had run elsewhere", took)
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("the call was made %d times", n)
	}
}

// serveOnly opens a studio that runs no executions itself.
func serveOnly(t *testing.T, url string) *app.App {
	t.Helper()
	cfg := config.Config{DataDir: t.TempDir(), DatabaseURL: config.Secret(url), Engine: "off", MaxActive: 8, MaxBodyMiB: 1, PublicURL: "http://x.test",
		EmailFrom: "Studio <studio@x.test>"}
	studio, err := app.Open(t.Context(), cfg, app.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- studio.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := studio.Close(); err != nil {
			t.Error(err)
		}
	})
	return studio
}

// holder returns the process that holds an execution.
func holder(t *testing.T, url, id string) int {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var name string
	if err := db.QueryRowContext(t.Context(), `SELECT w.name FROM workers w JOIN executions e ON e.worker = w.id WHERE e.id = $1`, id).Scan(&name); err != nil {
		t.Fatal(err)
	}
	_, pid, _ := strings.Cut(name, "/")
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func until(t *testing.T, limit time.Duration, holds func() bool) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it did not happen within %s", limit)
		}
	}
}
