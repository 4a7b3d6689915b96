// Command fleet measures workers that share a PostgreSQL database: how the
// throughput grows with their number, and a fan-out of many children over
// them: scripts/with-services bash -c 'go run ./bench/fleet -database "$TEST_DATABASE_URL"'.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"agentstudio/bench/studio"
	"agentstudio/internal/store"
)

func main() {
	o := options{}
	flag.StringVar(&o.binary, "binary", "bin/agentstudio", "the built binary")
	flag.StringVar(&o.database, "database", "", "address of an empty PostgreSQL database on this machine")
	flag.IntVar(&o.most, "workers", 3, "how many workers there are at most")
	flag.IntVar(&o.executions, "executions", 3000, "executions of each measurement of throughput")
	flag.IntVar(&o.children, "children", 10_000, "children of the fan-out")
	flag.IntVar(&o.split, "split", 0, "only measure splits: this many items that compute, a tenth of them that call, over 1 to -workers workers")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	binary, database           string
	most, executions, children int
	split                      int
}

type fleet struct {
	options
	db      *store.DB
	server  *studio.Studio
	env     []string
	dir     string
	address string
	workers []*studio.Studio
}

func run(ctx context.Context, o options) (err error) {
	f := &fleet{options: o, env: []string{"DATABASE_URL=" + o.database, "STUDIO_CONCURRENCY=100"}}
	if f.db, err = store.Open(ctx, store.Config{URL: o.database}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.db.Close()) }()
	if f.dir, err = os.MkdirTemp("", "studio-fleet-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(f.dir)) }()
	stop, err := f.world(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if f.server, err = studio.Start(ctx, studio.Options{Binary: o.binary, Dir: f.dir, Env: append(f.env, "STUDIO_ENGINE=off")}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.server.Stop()) }()
	if err := errors.Join(f.server.SignIn(ctx, "fleet@example.org"), f.server.UseKey(ctx)); err != nil {
		return err
	}
	defer func() {
		for _, w := range f.workers {
			err = cmp.Or(err, w.Stop())
		}
	}()
	return f.measure(ctx)
}

// world is an address that answers after 50 ms.
func (f *fleet) world(ctx context.Context) (stop func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f.address = "http://" + l.Addr().String()
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(50 * time.Millisecond):
			w.WriteHeader(http.StatusNoContent)
		case <-r.Context().Done():
		}
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(l) }() // ends with Close below
	return func() { _ = server.Close(); <-ended }, nil
}

func (f *fleet) measure(ctx context.Context) error {
	if f.split > 0 {
		return f.splits(ctx)
	}
	computing, err := f.server.Create(ctx, chain(f.address, 9, 0))
	if err != nil {
		return err
	}
	waiting, err := f.server.Create(ctx, chain(f.address, 0, 4))
	if err != nil {
		return err
	}
	fmt.Println("| workers | chain of ten that computes | CPU of workers and PostgreSQL | four calls of 50 ms one after the other, 100 executions in memory per worker |\n|---|---|---|---|")
	for n := 1; n <= f.most; n++ {
		if err := f.another(ctx); err != nil {
			return err
		}
		busy, spent, err := f.throughput(ctx, computing)
		if err != nil {
			return err
		}
		idle, _, err := f.throughput(ctx, waiting)
		if err != nil {
			return err
		}
		fmt.Printf("| %d | %.0f/s | %.2f ms | %.0f/s |\n", n, busy, spent.Seconds()*1000/float64(f.executions), idle)
	}
	return f.fanOut(ctx)
}

// another adds a worker.
func (f *fleet) another(ctx context.Context) error {
	w, err := studio.StartWorker(ctx, studio.Options{Binary: f.binary, Dir: f.dir, Env: f.env})
	if err == nil {
		f.workers = append(f.workers, w)
	}
	return err
}

type object = map[string]any

// chain is a trigger, so many nodes that compute and so many that call.
func chain(address string, computing, calling int) object {
	nodes, connections := []object{{"id": "n0", "kind": "manual-trigger"}}, []object{}
	for i := 1; i <= computing+calling; i++ {
		id := fmt.Sprintf("n%d", i)
		one := object{"id": id, "kind": "set", "config": object{"keep_input": true, "values": object{fmt.Sprintf("v%d", i): fmt.Sprintf("{{ trigger.n + %d }}", i)}}}
		if i > computing {
			one = object{"id": id, "kind": "http-request", "config": object{"method": "POST", "url": address}}
		}
		nodes = append(nodes, one)
		connections = append(connections, object{"source": fmt.Sprintf("n%d", i-1), "target": id})
	}
	return object{"name": "Chain", "nodes": nodes, "connections": connections}
}

// spent is the processor time of the workers and the database.
func (f *fleet) spent(ctx context.Context) (time.Duration, error) {
	total, err := studio.PostgresCPU(ctx, f.db)
	for _, w := range f.workers {
		cpu, e := w.CPU()
		total, err = total+cpu, errors.Join(err, e)
	}
	return total, err
}

// throughput creates the executions while no worker may take them, lets them
// go at once, and says how many ended per second.
func (f *fleet) throughput(ctx context.Context, workflow string) (rate float64, cpu time.Duration, err error) {
	release := time.Now().Add(time.Hour)
	for range f.executions {
		if err := f.server.Call(ctx, http.MethodPost, "/api/v1/executions", object{"workflow_id": workflow, "trigger_data": object{"n": 1}, "scheduled_at": release}, nil); err != nil {
			return 0, 0, err
		}
	}
	before, err := f.spent(ctx)
	if err != nil {
		return 0, 0, err
	}
	if _, err := f.db.Read().ExecContext(ctx, `UPDATE executions SET scheduled_at = created_at, wake_at = created_at WHERE workflow_id = $1 AND status = 'pending'`, workflow); err != nil {
		return 0, 0, err
	}
	began, err := f.firstStart(ctx, workflow)
	if err != nil {
		return 0, 0, err
	}
	if err := f.untilNone(ctx, workflow, "status IN ('pending', 'running', 'waiting')"); err != nil {
		return 0, 0, err
	}
	wall := time.Since(began)
	after, err := f.spent(ctx)
	return float64(f.executions) / wall.Seconds(), after - before, err
}

// firstStart waits until the leader has looked and the first one runs.
func (f *fleet) firstStart(ctx context.Context, workflow string) (time.Time, error) {
	for {
		var n int
		err := f.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM executions WHERE workflow_id = $1 AND status = 'pending' AND epoch = 0 AND started_at = 0`, workflow).Scan(&n)
		if err != nil || n < f.executions {
			return time.Now(), err
		}
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (f *fleet) untilNone(ctx context.Context, workflow, where string) error {
	for {
		var n int
		err := f.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM executions WHERE workflow_id = $1 AND `+where, workflow).Scan(&n)
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// fanOut starts many children from one execution and compares each result.
func (f *fleet) fanOut(ctx context.Context) error {
	child, err := f.server.Create(ctx, object{"name": "Child", "nodes": []object{{"id": "start", "kind": "workflow-trigger"},
		{"id": "double", "kind": "set", "config": object{"values": object{"n": "{{ trigger.n * 2 }}"}}}}, "connections": []object{{"source": "start", "target": "double"}}})
	if err != nil {
		return err
	}
	if err := f.server.Call(ctx, http.MethodPatch, "/api/v1/workflows/"+child+"/status", object{"status": "published"}, nil); err != nil {
		return err
	}
	parent, err := f.server.Create(ctx, object{"name": "Parent", "nodes": []object{{"id": "start", "kind": "manual-trigger"},
		{"id": "each", "kind": "loop", "config": object{"items": fmt.Sprintf("{{ 1..%d }}", f.children), "parallel": 500}},
		{"id": "one", "kind": "run-workflow", "parent_id": "each", "config": object{"workflow_id": child, "wait": true, "input": object{"n": "{{ item }}"}}}},
		"connections": []object{{"source": "start", "target": "each"}}})
	if err != nil {
		return err
	}
	before := make([]time.Duration, len(f.workers))
	for i, w := range f.workers {
		if before[i], err = w.CPU(); err != nil {
			return err
		}
	}
	began := time.Now()
	var x struct{ ID string }
	if err := f.server.Call(ctx, http.MethodPost, "/api/v1/executions", object{"workflow_id": parent}, &x); err != nil {
		return err
	}
	if err := f.untilNone(ctx, parent, "status IN ('pending', 'running', 'waiting')"); err != nil {
		return err
	}
	wall := time.Since(began)
	var done struct {
		Status string
		Error  json.RawMessage
		Output struct {
			Items  []struct{ N int }
			Errors []any
		}
	}
	if err := f.server.Call(ctx, http.MethodGet, "/api/v1/executions/"+x.ID, nil, &done); err != nil {
		return err
	}
	wrong := 0
	for i, item := range done.Output.Items {
		if item.N != 2*(i+1) {
			wrong++
		}
	}
	fmt.Printf("\n%d children over %d workers: %s, %d results, %d wrong, %d errors, %.1f s; CPU of the workers:", f.children, len(f.workers), done.Status, len(done.Output.Items), wrong, len(done.Output.Errors), wall.Seconds())
	for i, w := range f.workers {
		after, err := w.CPU()
		if err != nil {
			return err
		}
		fmt.Printf(" %.1f s", (after - before[i]).Seconds())
	}
	fmt.Println()
	if done.Status == "failed" {
		fmt.Fprintf(os.Stderr, "%s\n", done.Error)
	}
	if done.Status != "completed" || wrong > 0 || len(done.Output.Items) != f.children {
		return errors.New("results are missing or wrong")
	}
	return nil
}
