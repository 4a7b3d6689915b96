//go:build linux

// Command load puts the built binary under the load of many users on one
// machine: reads of the API at a steady rate, sockets that listen to one
// workspace while executions run, and sessions that do nothing:
//
//	go run ./bench/load -binary bin/agentstudio                    on SQLite
//	go run ./bench/load -binary bin/agentstudio -database URL      on PostgreSQL
//
// Load and server share the machine, so the figures are those of both.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"agentstudio/bench/studio"
)

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/agentstudio", "the built binary")
	flag.StringVar(&o.database, "database", "", "address of an empty PostgreSQL database; SQLite when empty")
	flag.IntVar(&o.rate, "rate", 5_000, "reads of the API per second; 0: none")
	flag.DurationVar(&o.reading, "for", 20*time.Second, "how long to read")
	flag.IntVar(&o.listeners, "listeners", 5_000, "sockets that listen to the workspace; 0: none")
	flag.IntVar(&o.sessions, "sessions", 10_000, "sessions that are signed in, with an idle socket each; 0: none")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

type options struct {
	binary, database string
	rate             int
	reading          time.Duration
	listeners        int
	sessions         int
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "studio-load-")
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, os.RemoveAll(dir)) }()
	start := studio.Options{Binary: o.binary, Dir: dir}
	if o.database != "" {
		start.Env = []string{"DATABASE_URL=" + o.database}
	}
	s, err := studio.Start(ctx, start)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	w, err := furnish(ctx, s)
	if err != nil {
		return err
	}
	if o.rate > 0 {
		if err := w.read(ctx, o.rate, o.reading); err != nil {
			return err
		}
	}
	if o.listeners > 0 {
		if err := w.listen(ctx, o.listeners); err != nil {
			return err
		}
	}
	if o.sessions > 0 {
		return w.idle(ctx, o.sessions)
	}
	return nil
}

// world is a workspace in which something is going on.
type world struct {
	s          *studio.Studio
	workspace  string
	workflows  []string
	executions []string
}

// furnish fills a workspace with twenty workflows and five hundred executions.
func furnish(ctx context.Context, s *studio.Studio) (*world, error) {
	if err := errors.Join(s.SignIn(ctx, "load@example.org"), s.UseKey(ctx)); err != nil {
		return nil, err
	}
	w := &world{s: s}
	for i := range 20 {
		id, err := s.Create(ctx, map[string]any{"name": fmt.Sprintf("Workflow %d", i),
			"nodes": []map[string]any{
				{"id": "start", "kind": "manual-trigger", "config": map[string]any{}},
				{"id": "a", "kind": "set", "config": map[string]any{"values": map[string]any{"n": "{{ trigger.n }}"}}},
				{"id": "b", "kind": "set", "config": map[string]any{"values": map[string]any{"double": "{{ nodes.a.output.n * 2 }}"}}},
			},
			"connections": []map[string]any{{"source": "start", "target": "a"}, {"source": "a", "target": "b"}}})
		if err != nil {
			return nil, err
		}
		w.workflows = append(w.workflows, id)
	}
	for i := range 500 {
		x, err := w.execute(ctx, i)
		if err != nil {
			return nil, err
		}
		w.workspace = x.WorkspaceID
		w.executions = append(w.executions, x.ID)
	}
	return w, nil
}

type execution struct {
	ID          string `json:"id"`
	WorkspaceID string `json:"workspace_id"`
	Status      string `json:"status"`
}

// execute runs a workflow to its end.
func (w *world) execute(ctx context.Context, i int) (x execution, err error) {
	err = w.s.Call(ctx, http.MethodPost, "/api/v1/executions",
		map[string]any{"workflow_id": w.workflows[i%len(w.workflows)], "trigger_data": map[string]any{"n": i}, "wait": 30}, &x)
	if err == nil && x.Status != "completed" {
		err = fmt.Errorf("execution %s is %s", x.ID, x.Status)
	}
	return x, err
}

// at returns a percentile.
func at(times []time.Duration, percent int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[min(len(times)*percent/100, len(times)-1)].Round(10 * time.Microsecond)
}

// used returns what the server's process has used of the processor since.
func (w *world) used(since time.Duration) time.Duration {
	now, err := w.s.CPU()
	if err != nil {
		return 0
	}
	return now - since
}

func (w *world) memory() string {
	bytes, err := w.s.Memory()
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}

func report(lines ...string) { fmt.Println(strings.Join(lines, "\n")) }
