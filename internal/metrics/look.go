package metrics

import (
	"context"
	"database/sql"
	"time"

	"agentstudio/internal/execution"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources is what is known only when somebody looks. What is nil is left out.
type Sources struct {
	// Backlog counts executions and workers in the database.
	Backlog func(ctx context.Context) (execution.Backlog, error)
	// Active is how many executions are in this process's memory.
	Active func() int
	// Pools are the connections to the database, by what they are for.
	Pools map[string]func() sql.DBStats
	// LimiterLocal reports whether rate limits are counted in this process only
	// although they should be shared.
	LimiterLocal func() bool
}

// lookWithin bounds what a look at the database may take.
const lookWithin = 3 * time.Second

// looker looks when it is asked.
type looker struct {
	sources Sources

	queue, waiting, workers, active, local        *prometheus.Desc
	open, inUse, idle, most, waits, waitTime, bad *prometheus.Desc
}

func newLooker(s Sources) *looker {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &looker{
		sources: s,
		queue:   desc("execution_queue_length", "Executions that are due and that nobody runs yet, in the whole database; of a longer queue only its first 100,000."),
		waiting: desc("executions_waiting", "Executions that wait for a time, a person, a call or another one, in the whole database; 100,000 at most."),
		workers: desc("workers", "Processes that run executions and whose lease has not ended."),
		active:  desc("executions_active", "Executions in the memory of this process."),
		local:   desc("rate_limiter_local", "1 while Redis is gone and each process counts rate limits for itself."),
		bad:     desc("metrics_backlog_readable", "1 when the database answered the questions of this scrape."),

		open:     desc("db_connections_open", "Open connections to the database.", "pool"),
		inUse:    desc("db_connections_in_use", "Connections that are in use.", "pool"),
		idle:     desc("db_connections_idle", "Connections that are idle.", "pool"),
		most:     desc("db_connections_max", "Connections that may be open.", "pool"),
		waits:    desc("db_connections_waits_total", "Times somebody waited for a connection.", "pool"),
		waitTime: desc("db_connections_wait_seconds_total", "Time spent waiting for connections.", "pool"),
	}
}

// Describe implements prometheus.Collector.
func (l *looker) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{l.queue, l.waiting, l.workers, l.active, l.local, l.bad, l.open, l.inUse, l.idle, l.most, l.waits, l.waitTime} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (l *looker) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := l.sources
	if s.Active != nil {
		gauge(l.active, float64(s.Active()))
	}
	local := 0.0
	if s.LimiterLocal != nil && s.LimiterLocal() {
		local = 1
	}
	gauge(l.local, local)
	for pool, stats := range s.Pools {
		now := stats()
		gauge(l.open, float64(now.OpenConnections), pool)
		gauge(l.inUse, float64(now.InUse), pool)
		gauge(l.idle, float64(now.Idle), pool)
		gauge(l.most, float64(now.MaxOpenConnections), pool)
		out <- prometheus.MustNewConstMetric(l.waits, prometheus.CounterValue, float64(now.WaitCount), pool)
		out <- prometheus.MustNewConstMetric(l.waitTime, prometheus.CounterValue, now.WaitDuration.Seconds(), pool)
	}
	if s.Backlog == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookWithin)
	defer cancel()
	b, err := s.Backlog(ctx)
	if err != nil { // the other numbers are worth the more now
		gauge(l.bad, 0)
		return
	}
	gauge(l.bad, 1)
	gauge(l.queue, float64(b.Due))
	gauge(l.waiting, float64(b.Waiting))
	gauge(l.workers, float64(b.Workers))
}
