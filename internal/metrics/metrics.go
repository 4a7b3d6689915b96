// Package metrics counts what the studio does, for Prometheus. The rooms that
// do it say so through small interfaces of their own, which Metrics implements;
// nobody else knows Prometheus.
package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics is what one process counts. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	requests        *prometheus.CounterVec
	requestSeconds  *prometheus.HistogramVec
	requestBytes    prometheus.Histogram
	sockets         prometheus.Gauge
	executions      *prometheus.CounterVec
	executionTime   prometheus.Histogram
	startLatency    prometheus.Histogram
	nodes           *prometheus.CounterVec
	leaseLosses     prometheus.Counter
	takenOver       prometheus.Counter
	commitParts     prometheus.Histogram
	commitSeconds   prometheus.Histogram
	modelCalls      *prometheus.CounterVec
	modelErrors     *prometheus.CounterVec
	tokens          *prometheus.CounterVec
	cost            *prometheus.CounterVec
	outboundWaits   prometheus.Counter
	outboundRefused prometheus.Counter

	models names
}

// New returns metrics with a registry of their own, that of the process and of
// Go's runtime among them. What is only known when somebody looks comes from
// the sources.
func New(sources Sources) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), models: names{known: map[string]bool{}}}
	m.http()
	m.work()
	m.money()
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newLooker(sources))
	return m
}

func (m *Metrics) http() {
	quick := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	m.requests = m.counters("http_requests_total", "Requests answered, by the pattern of their route.", "route", "method", "status")
	m.requestSeconds = m.histograms("http_request_duration_seconds", "Time to answer a request; without streams and sockets, which last.", quick, "route", "method")
	m.requestBytes = m.histogram("http_request_size_bytes", "Size of request bodies, where the caller has told it.", prometheus.ExponentialBuckets(256, 4, 9))
	m.sockets = m.gauge("websocket_connections", "WebSocket connections that are open.")
	m.outboundWaits = m.counter("outbound_limit_waits_total", "Calls to others that waited for their turn under STUDIO_OUTBOUND_LIMITS.")
	m.outboundRefused = m.counter("outbound_limit_refusals_total", "Calls to others that failed because their turn was too far off.")
}

func (m *Metrics) work() {
	long := []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400}
	m.executions = m.counters("workflow_executions_total", "Executions that ended in this process, by how.", "status")
	m.executionTime = m.histogram("workflow_execution_duration_seconds", "Time from the start of an execution to its end, waits included.", long)
	m.startLatency = m.histogram("execution_start_latency_seconds", "Time from when an execution was to start until it did.", long)
	m.nodes = m.counters("node_executions_total", "Nodes that were settled in this process, by how; those of loops once a round.", "kind", "status")
	m.leaseLosses = m.counter("worker_lease_losses_total", "Times this process could not renew its lease and dropped what it ran.")
	m.takenOver = m.counter("executions_taken_over_total", "Executions that this process took from workers that were silent, for any worker to go on with.")
	m.commitParts = m.histogram("db_commit_batch_size", "Commits of executions that were written in one transaction.", prometheus.ExponentialBuckets(1, 2, 10))
	m.commitSeconds = m.histogram("db_commit_duration_seconds", "Time of a transaction that writes commits of executions.", prometheus.ExponentialBuckets(.0005, 2, 15))
}

func (m *Metrics) money() {
	m.modelCalls = m.counters("ai_api_calls_total", "Calls to models, retries counted one by one.", "provider", "model", "status")
	m.modelErrors = m.counters("ai_api_errors_total", "Calls to models that failed.", "provider", "model")
	m.tokens = m.counters("ai_tokens_consumed_total", "Tokens: input (without the cache), output, cache_read, cache_write.", "model", "kind")
	m.cost = m.counters("ai_cost_usd_total", "Cost of calls to models whose price is known, in US dollars.", "model")
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	m.registry.MustRegister(g)
	return g
}

func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	m.registry.MustRegister(h)
	return h
}

func (m *Metrics) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(h)
	return h
}

// maxNames bounds the values of a label that people can make up.
const maxNames = 200

// names lets so many values of a label through; the rest are "other".
type names struct {
	mu    sync.Mutex
	known map[string]bool
}

func (n *names) bound(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known[name] {
		return name
	}
	if len(n.known) >= maxNames || len(name) > 100 {
		return "other"
	}
	n.known[name] = true
	return name
}

func seconds(d time.Duration) float64 { return max(0, d).Seconds() }
