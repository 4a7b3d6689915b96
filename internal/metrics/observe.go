package metrics

import (
	"context"
	"strconv"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/usage"
)

// Request counts a request that was answered. size is negative when the caller
// has not told it; lasting ones are streams and sockets.
func (m *Metrics) Request(route, method string, status int, size int64, took time.Duration, lasting bool) {
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	if !lasting {
		m.requestSeconds.WithLabelValues(route, method).Observe(seconds(took))
	}
	if size >= 0 {
		m.requestBytes.Observe(float64(size))
	}
}

// SocketOpened counts a WebSocket connection.
func (m *Metrics) SocketOpened() { m.sockets.Inc() }

// SocketClosed counts the end of one.
func (m *Metrics) SocketClosed() { m.sockets.Dec() }

// Began counts an execution that has started, so long after it was to.
func (m *Metrics) Began(late time.Duration) { m.startLatency.Observe(seconds(late)) }

// Ended counts the end of an execution.
func (m *Metrics) Ended(status execution.Status, took time.Duration) {
	m.executions.WithLabelValues(string(status)).Inc()
	m.executionTime.Observe(seconds(took))
}

// Node counts a node that was settled.
func (m *Metrics) Node(kind string, status execution.NodeStatus) {
	m.nodes.WithLabelValues(kind, string(status)).Inc()
}

// Committed counts a common transaction.
func (m *Metrics) Committed(parts int, took time.Duration) {
	m.commitParts.Observe(float64(parts))
	m.commitSeconds.Observe(seconds(took))
}

// LeaseLost counts a lease that was not renewed in time.
func (m *Metrics) LeaseLost() { m.leaseLosses.Inc() }

// TakenOver counts executions taken from silent workers.
func (m *Metrics) TakenOver(executions int) { m.takenOver.Add(float64(executions)) }

// OutboundWait counts a call to others that waited for its turn, or was refused.
func (m *Metrics) OutboundWait(refused bool) {
	if refused {
		m.outboundRefused.Inc()
		return
	}
	m.outboundWaits.Inc()
}

// Sink counts calls to models before it hands their records on.
func (m *Metrics) Sink(next usage.Sink) usage.Sink { return &sink{m, next} }

type sink struct {
	m    *Metrics
	next usage.Sink
}

// Record implements usage.Sink.
func (s *sink) Record(ctx context.Context, r usage.Record) {
	s.next.Record(ctx, r)
	m, model := s.m, s.m.models.bound(r.Model) // people name models as they like
	m.modelCalls.WithLabelValues(r.Provider, model, string(r.Outcome)).Inc()
	if r.Outcome == usage.Failed {
		m.modelErrors.WithLabelValues(r.Provider, model).Inc()
	}
	for kind, n := range map[string]int64{"input": r.Input, "output": r.Output, "cache_read": r.CacheRead, "cache_write": r.CacheWrite} {
		if n > 0 {
			m.tokens.WithLabelValues(model, kind).Add(float64(n))
		}
	}
	if r.CostMicros != nil && *r.CostMicros > 0 {
		m.cost.WithLabelValues(model).Add(float64(*r.CostMicros) / 1e6)
	}
}
