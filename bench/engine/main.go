// Command engine measures the engine on the built binary and prints a table in
// Markdown: go run ./bench/engine -binary bin/agentstudio.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"agentstudio/bench/studio"
	"agentstudio/internal/store"
)

func main() {
	binary := flag.String("binary", "bin/agentstudio", "the built binary")
	executions := flag.Int("executions", 4000, "executions of the chain at saturation")
	calls := flag.Int("calls", 4000, "calls of the webhook")
	crowd := flag.Int("waiting", 0, "measure only so many executions that wait, and their timers")
	items := flag.Int("items", 0, "measure only a loop over so many items of five nodes each, in thousands of a thousand")
	only := flag.String("only", "", "measure only this: latency, chain, children, webhook, fan-out or waiting")
	database := flag.String("database", "", "address of an empty PostgreSQL database on this machine; SQLite when empty")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout, studio.Options{Binary: *binary}, *database, *only, *executions, *calls, *crowd, *items); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measure adds lines to the table.
type measure struct {
	name string
	run  func(context.Context) error
}

// figure is one line of the table.
type figure struct{ what, measured, target string }

func run(ctx context.Context, out io.Writer, o studio.Options, database, only string, executions, calls, crowd, items int) (err error) {
	if o.Dir, err = os.MkdirTemp("", "studio-bench-"); err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, os.RemoveAll(o.Dir)) }()
	b := &bench{ctx: ctx, engine: "SQLite"}
	if database != "" {
		b.engine, o.Env = "PostgreSQL, whose CPU is counted", []string{"DATABASE_URL=" + database}
		if b.db, err = store.Open(ctx, store.Config{URL: database}); err != nil {
			return err
		}
		defer func() { err = cmp.Or(err, b.db.Close()) }()
	}
	s, ready, err := restarts(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, s.Stop()) }()
	b.Studio = s
	b.add("start to ready (data directory there), median of 5", fmt.Sprintf("%d ms", ready.Milliseconds()), b.either("≤ 300 ms", "≤ 500 ms"))
	measures := []measure{{"idle", b.idle}, {"latency", b.latency}, {"chain", b.chain(executions)}, {"children", b.children(executions)},
		{"webhook", b.webhook(calls)}, {"fan-out", b.fanOut}, {"waiting", b.waiting}}
	if crowd > 0 {
		measures = []measure{{"idle", b.idle}, {"crowd", b.crowd(crowd)}}
	}
	if items > 0 {
		measures = []measure{{"items", b.items(items)}}
	}
	for _, m := range measures {
		if only != "" && m.name != only {
			continue
		}
		if err := m.run(ctx); err != nil {
			return err
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%s, %d cores, %s/%s, %s\n\n| what | measured | target |\n|---|---|---|\n", time.Now().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, b.engine)
	for _, f := range b.figures {
		fmt.Fprintf(&table, "| %s | %s | %s |\n", f.what, f.measured, f.target)
	}
	_, err = io.WriteString(out, table.String())
	return err
}

// restarts starts the server six times and returns the last one, signed in,
// and the median time to ready of the starts that found their data.
func restarts(ctx context.Context, o studio.Options) (*studio.Studio, time.Duration, error) {
	var times []time.Duration
	for i := range 6 {
		s, err := studio.Start(ctx, o)
		if err != nil {
			return nil, 0, err
		}
		if i > 0 {
			times = append(times, s.Ready)
		}
		if i == 5 {
			slices.Sort(times)
			return s, times[len(times)/2], s.SignIn(ctx, "bench@example.org")
		}
		if err := s.Stop(); err != nil {
			return nil, 0, err
		}
	}
	return nil, 0, nil
}

type bench struct {
	*studio.Studio
	ctx     context.Context //nolint:containedctx // of the whole measurement
	engine  string
	db      *store.DB // nil on SQLite
	figures []figure
}

// CPU is the processor time of the server, and of PostgreSQL where it is used.
func (b *bench) CPU() (time.Duration, error) {
	own, err := b.Studio.CPU()
	if err != nil || b.db == nil {
		return own, err
	}
	server, err := studio.PostgresCPU(b.ctx, b.db)
	return own + server, err
}

func (b *bench) add(what, measured, target string) {
	b.figures = append(b.figures, figure{what, measured, target})
}

// either returns the target for the database in use.
func (b *bench) either(sqlite, postgres string) string {
	if b.db != nil {
		return postgres
	}
	return sqlite
}

func (b *bench) idle(context.Context) error {
	bytes, err := b.Memory()
	b.add("resident memory, idle", mib(bytes), "60 MiB")
	return err
}

func mib(bytes int64) string { return fmt.Sprintf("%d MiB", bytes>>20) }

// node makes a node of a definition.
func node(id, kind string, config map[string]any) map[string]any {
	return map[string]any{"id": id, "kind": kind, "config": config}
}

// chain connects nodes one after the other.
func chain(name string, nodes ...map[string]any) map[string]any {
	var connections []map[string]any
	for i := 1; i < len(nodes); i++ {
		connections = append(connections, map[string]any{"source": nodes[i-1]["id"], "target": nodes[i]["id"]})
	}
	return map[string]any{"name": name, "nodes": nodes, "connections": connections}
}

// tenNodes is a chain of ten nodes that each compute something.
func tenNodes() map[string]any {
	nodes := []map[string]any{node("n0", "manual-trigger", map[string]any{})}
	for i := 1; i < 10; i++ {
		nodes = append(nodes, node(fmt.Sprintf("n%d", i), "set", map[string]any{"keep_input": true, "values": map[string]any{fmt.Sprintf("v%d", i): "{{ trigger.n + " + fmt.Sprint(i) + " }}"}}))
	}
	return chain("Chain of ten", nodes...)
}

type executionView struct {
	ID          string    `json:"id"`
	Status      string    `json:"status"`
	CreatedAt   time.Time `json:"created_at"`
	StartedAt   time.Time `json:"started_at"`
	CompletedAt time.Time `json:"completed_at"`
	DurationMS  int64     `json:"duration_ms"`
}

// latency starts executions one by one and looks at how long each waited. The
// studio's own times count milliseconds.
func (b *bench) latency(ctx context.Context) error {
	id, err := b.Create(ctx, tenNodes())
	if err != nil {
		return err
	}
	var waits, whole []time.Duration
	for range 200 {
		var x executionView
		began := time.Now()
		if err := b.Call(ctx, http.MethodPost, "/api/v1/executions", map[string]any{"workflow_id": id, "trigger_data": map[string]any{"n": 1}, "wait": 30}, &x); err != nil {
			return err
		}
		whole = append(whole, time.Since(began))
		waits = append(waits, x.StartedAt.Sub(x.CreatedAt))
	}
	b.add("accept → first node starts, p50 / p95 (to the millisecond)", fmt.Sprintf("%d / %d ms", at(waits, 50).Milliseconds(), at(waits, 95).Milliseconds()), b.either("≤ 2 / 10 ms", "≤ 5 / 20 ms"))
	b.add("POST with wait of a 10-node chain, whole call, p50 / p95", fmt.Sprintf("%.1f / %.1f ms", ms(at(whole, 50)), ms(at(whole, 95))), "")
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func at(times []time.Duration, percent int) time.Duration {
	slices.Sort(times)
	return times[min(len(times)-1, len(times)*percent/100)]
}

// each does n things with so many workers and returns the CPU time and the
// wall time the server took for them.
func (b *bench) each(n, workers int, do func(i int) error) (cpu, wall time.Duration, err error) {
	before, err := b.CPU()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	queue := make(chan int)
	errs := make(chan error, workers)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := range queue {
				if err := do(i); err != nil {
					select {
					case errs <- err:
					default:
					}
				}
			}
		})
	}
	for i := range n {
		queue <- i
	}
	close(queue)
	all.Wait()
	wall = time.Since(began)
	after, err := b.CPU()
	select {
	case failed := <-errs:
		err = failed
	default:
	}
	return after - before, wall, err
}

// chain saturates the server with executions of ten nodes, over the API.
func (b *bench) chain(n int) func(context.Context) error {
	return func(ctx context.Context) error {
		id, err := b.Create(ctx, tenNodes())
		if err != nil {
			return err
		}
		cpu, wall, err := b.each(n, 64, func(i int) error {
			var x executionView
			err := b.Call(ctx, http.MethodPost, "/api/v1/executions", map[string]any{"workflow_id": id, "trigger_data": map[string]any{"n": i}, "wait": 60}, &x)
			if err == nil && x.Status != "completed" {
				err = fmt.Errorf("execution %s is %s", x.ID, x.Status)
			}
			return err
		})
		b.add("10-node chain over the API, CPU per execution with its POST, at saturation", fmt.Sprintf("%.2f ms (%.0f/s)", ms(cpu)/float64(n), float64(n)/wall.Seconds()), "")
		return err
	}
}

// children saturates the engine alone: one execution starts the others, so
// that no HTTP is among what is counted. Each child is the chain of ten.
func (b *bench) children(n int) func(context.Context) error {
	return func(ctx context.Context) error {
		child, err := b.Create(ctx, tenNodes())
		if err != nil {
			return err
		}
		if err := b.publish(ctx, child); err != nil {
			return err
		}
		d := chain("Starter", node("start", "manual-trigger", map[string]any{}), node("each", "loop", map[string]any{"items": fmt.Sprintf("{{ 1..%d }}", n), "parallel": 256}))
		body := node("start-one", "run-workflow", map[string]any{"workflow_id": child, "wait": false, "input": map[string]any{"n": "{{ item }}"}})
		body["parent_id"] = "each"
		nodes, _ := d["nodes"].([]map[string]any)
		d["nodes"] = append(nodes, body)
		parent, err := b.Create(ctx, d)
		if err != nil {
			return err
		}
		before, err := b.CPU()
		if err != nil {
			return err
		}
		began := time.Now()
		var x executionView
		if err := b.Call(ctx, http.MethodPost, "/api/v1/executions", map[string]any{"workflow_id": parent, "wait": 60}, &x); err != nil {
			return err
		}
		if x.Status != "completed" {
			return fmt.Errorf("the execution that starts the others is %s", x.Status)
		}
		if err := b.until(ctx, "/api/v1/executions?limit=1&status=completed&workflow_id="+child, n); err != nil {
			return err
		}
		wall := time.Since(began)
		after, err := b.CPU()
		b.add("10-node chain, CPU per execution, at saturation: started by another execution, which is counted too",
			fmt.Sprintf("%.2f ms (%.0f/s)", ms(after-before)/float64(n), float64(n)/wall.Seconds()), b.either("a chain alone ≤ 0.3 ms", "a chain alone ≤ 0.7 ms"))
		return err
	}
}

func (b *bench) publish(ctx context.Context, workflow string) error {
	return b.Call(ctx, http.MethodPatch, "/api/v1/workflows/"+workflow+"/status", map[string]any{"status": "published"}, nil)
}

// until waits until a list has so many items.
func (b *bench) until(ctx context.Context, list string, n int) error {
	for {
		var page struct{ Total int }
		if err := b.Call(ctx, http.MethodGet, list, nil, &page); err != nil || page.Total >= n {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// webhook calls a workflow of three nodes that answers.
func (b *bench) webhook(n int) func(context.Context) error {
	return func(ctx context.Context) error {
		id, err := b.Create(ctx, chain("Hook", node("hook", "webhook-trigger", map[string]any{"path": "bench", "respond": "respond-node"}),
			node("a", "set", map[string]any{"values": map[string]any{"n": "{{ trigger.body.n }}"}}),
			node("b", "set", map[string]any{"keep_input": true, "values": map[string]any{"double": "{{ nodes.a.output.n * 2 }}"}}),
			node("c", "set", map[string]any{"keep_input": true, "values": map[string]any{"ok": true}}),
			node("answer", "respond", map[string]any{"status": 200, "body": "{{ nodes.c.output }}"})))
		if err != nil {
			return err
		}
		if err := b.publish(ctx, id); err != nil {
			return err
		}
		cpu, wall, err := b.each(n, 32, func(i int) error {
			var answer struct{ Double int }
			err := b.Call(ctx, http.MethodPost, "/hooks/bench/bench", map[string]any{"n": i}, &answer)
			if err == nil && answer.Double != 2*i {
				err = fmt.Errorf("call %d was answered %d", i, answer.Double)
			}
			return err
		})
		b.add("synchronous webhook → 3 nodes → respond, CPU per 1000", fmt.Sprintf("%.2f s (%.0f/s)", cpu.Seconds()*1000/float64(n), float64(n)/wall.Seconds()), b.either("≤ 0.6 s", "≤ 1.2 s"))
		return err
	}
}

// fanOut runs a loop over 1000 items whose rounds are merged again.
func (b *bench) fanOut(ctx context.Context) error {
	d := chain("Fan-out", node("start", "manual-trigger", map[string]any{}), node("each", "loop", map[string]any{"items": "{{ 1..1000 }}", "parallel": 64}),
		node("sum", "set", map[string]any{"values": map[string]any{"n": "{{ len(nodes.each.output.items) }}"}}))
	body := node("double", "set", map[string]any{"values": map[string]any{"n": "{{ item * 2 }}"}})
	body["parent_id"] = "each"
	nodes, _ := d["nodes"].([]map[string]any)
	d["nodes"] = append(nodes, body)
	id, err := b.Create(ctx, d)
	if err != nil {
		return err
	}
	var times []time.Duration
	for range 9 {
		var x executionView
		if err := b.Call(ctx, http.MethodPost, "/api/v1/executions", map[string]any{"workflow_id": id, "wait": 60}, &x); err != nil {
			return err
		}
		if x.Status != "completed" {
			return fmt.Errorf("the fan-out is %s", x.Status)
		}
		times = append(times, time.Duration(x.DurationMS)*time.Millisecond)
	}
	b.add("fan-out 1 → 1000 items → merge, median of 9", fmt.Sprintf("%d ms", at(times, 50).Milliseconds()), b.either("≤ 250 ms", "≤ 400 ms"))
	return nil
}

// waiting parks executions and weighs the server.
func (b *bench) waiting(ctx context.Context) error {
	id, err := b.Create(ctx, chain("Waits", node("start", "manual-trigger", map[string]any{}), node("wait", "wait", map[string]any{"seconds": 86400})))
	if err != nil {
		return err
	}
	const n = 10_000
	if _, _, err := b.each(n, 64, func(int) error {
		return b.Call(ctx, http.MethodPost, "/api/v1/executions", map[string]any{"workflow_id": id}, nil)
	}); err != nil {
		return err
	}
	if err := b.until(ctx, "/api/v1/executions?limit=1&status=waiting", n); err != nil {
		return err
	}
	busy, err := b.Memory()
	if err != nil {
		return err
	}
	// What the load took is given back within a few seconds of its end.
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(5 * time.Second):
	}
	rest, err := b.Memory()
	b.add("resident memory with 10,000 waiting executions, after all of the above: 5 s later / at once", mib(rest)+" / "+mib(busy), "100 MiB")
	return err
}
