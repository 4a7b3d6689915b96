//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// read asks for pages of the API at a steady rate, each request with the key.
func (w *world) read(ctx context.Context, rate int, long time.Duration) error {
	header := http.Header{"Authorization": {"Bearer " + w.s.Token}}
	var targets []vegeta.Target
	add := func(path string) {
		targets = append(targets, vegeta.Target{Method: http.MethodGet, URL: w.s.URL + path, Header: header})
	}
	for i := range 100 { // what a studio with an open list and an open execution asks for
		x, f := w.executions[(i*7)%len(w.executions)], w.workflows[i%len(w.workflows)]
		add("/api/v1/executions/" + x)
		add("/api/v1/executions/" + x + "/nodes")
		add("/api/v1/workflows/" + f)
		add("/api/v1/auth/me")
		if i%2 == 0 {
			add("/api/v1/executions?limit=20")
			add("/api/v1/workflows?limit=20")
		}
	}
	before, err := w.s.CPU()
	if err != nil {
		return err
	}
	attacker := vegeta.NewAttacker(vegeta.Workers(64), vegeta.MaxWorkers(512), vegeta.Connections(512), vegeta.Timeout(10*time.Second))
	var m vegeta.Metrics
	for r := range attacker.Attack(vegeta.NewStaticTargeter(targets...), vegeta.Rate{Freq: rate, Per: time.Second}, long, "reads") {
		m.Add(r)
		if ctx.Err() != nil {
			attacker.Stop()
		}
	}
	m.Close()
	cpu := w.used(before)
	report(fmt.Sprintf("reads: %d at %.0f/s (asked for %d/s), %.3f %% answered well; p50 %s, p95 %s, p99 %s, worst %s",
		m.Requests, m.Throughput, rate, m.Success*100, m.Latencies.P50.Round(10*time.Microsecond), m.Latencies.P95.Round(10*time.Microsecond),
		m.Latencies.P99.Round(10*time.Microsecond), m.Latencies.Max.Round(time.Millisecond)),
		fmt.Sprintf("       the server's CPU: %s, %s per read; resident %s", cpu.Round(time.Millisecond), (cpu/time.Duration(max(m.Requests, 1))).Round(time.Microsecond), w.memory()))
	for _, e := range m.Errors[:min(len(m.Errors), 3)] {
		report("       " + e)
	}
	return ctx.Err()
}
