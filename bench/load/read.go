//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// warmUp is how long is read before it counts: connections are made, statements
// prepared and memory grown in that time.
const warmUp = 3 * time.Second

// read asks for pages of the API at a steady rate, each request with the key.
func (w *world) read(ctx context.Context, rate int, long time.Duration) (err error) {
	host := strings.TrimPrefix(w.s.URL, "http://")
	var requests [][]byte
	add := func(path string) {
		requests = append(requests, fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nAccept: application/json\r\n\r\n", path, host, w.s.Token))
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
	all, err := newAskers(host, requests)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	if _, err := all.ask(ctx, rate, warmUp); err != nil {
		return err
	}
	all.forget()
	before, err := w.s.CPU()
	if err != nil {
		return err
	}
	took, err := all.ask(ctx, rate, long)
	if err != nil {
		return err
	}
	cpu, n := w.used(before), len(all.times)
	report(fmt.Sprintf("reads: %d at %.0f/s (asked for %d/s), %.3f %% answered well; p50 %s, p95 %s, p99 %s, worst %s",
		n, float64(n)/took.Seconds(), rate, float64(all.well)*100/float64(n), at(all.times, 50), at(all.times, 95), at(all.times, 99), at(all.times, 100)),
		fmt.Sprintf("       the server's CPU: %s, %s per read; %d connections; resident %s", cpu.Round(time.Millisecond), (cpu/time.Duration(n)).Round(time.Microsecond), len(all.by), w.memory()))
	for status, times := range all.failures {
		report(fmt.Sprintf("       status %s: %d times", status, times))
	}
	return nil
}
