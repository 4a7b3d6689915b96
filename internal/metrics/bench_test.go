package metrics_test

import (
	"testing"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/metrics"
)

// BenchmarkExecution is what counting one execution of ten nodes costs.
func BenchmarkExecution(b *testing.B) {
	m := metrics.New(metrics.Sources{})
	b.ReportAllocs()
	for b.Loop() {
		m.Began(time.Millisecond)
		for range 10 {
			m.Node("set", execution.NodeCompleted)
		}
		m.Ended(execution.Completed, time.Second)
	}
}

// BenchmarkRequest is what counting one request costs.
func BenchmarkRequest(b *testing.B) {
	m := metrics.New(metrics.Sources{})
	b.ReportAllocs()
	for b.Loop() {
		m.Request("/api/v1/executions/{id}", "GET", 200, 0, time.Millisecond, false)
	}
}
